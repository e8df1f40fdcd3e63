"""Runner: completes many runs, in sequence or in parallel; finished ones are kept."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import cast

import jax
from tqdm import tqdm

from train.common.command import cache_compilations, run_command
from train.common.endings import end_with_parent
from train.common.errors import Diverged, UserError
from train.common.files import begin_file
from train.config import Config
from train.data.dataset import Dataset, load_dataset
from train.report.provenance import provenance
from train.training.loss_options import check_classes
from train.workdir.run import Run

Complete = Callable[[Config], object]  # trains and evaluates what is not done yet


def complete_all(
    configs: Sequence[Config], complete: Complete, *, processes: int
) -> None:
    """Completes every unfinished run; interrupted ones resume.

    A run whose loss diverges is noted as such, and not begun again. Side by side, one
    that cannot be made leaves the others to the remaining processes.

    Args:
      configs: of the runs, each with a workdir of its own.
      complete: makes a run.
      processes: how many run side by side; with two or more, each sees one GPU and its
        share of the CPU's cores, and writes what it says to `PARENT/processN.log`,
        PARENT being that of the workdirs.

    Raises:
      UserError: a run cannot be made, other data than these have been trained on, or
        a process stopped.
    """
    waiting = [config for config in configs if not _is_done(Run.open(config))]
    print(f"{len(configs)} runs, {len(configs) - len(waiting)} of them done already.")
    if not waiting and not _are_moved(configs):
        return
    dataset = load_dataset(configs[0].data)  # prepared once, before several would
    for config in configs:
        check_classes(config.loss, len(dataset.class_names))
    check_data(configs, dataset)
    if not waiting:
        return
    if processes == 1:
        for number, config in enumerate(waiting, 1):
            print(f"\nRun {number} of {len(waiting)}.")
            _finish(config, complete)
    else:
        _side_by_side(waiting, complete, min(processes, len(waiting)))


def _is_done(run: Run) -> bool:
    return run.summary() is not None or run.divergence() is not None


def _are_moved(configs: Sequence[Config]) -> bool:
    return any(Run.open(config).is_of_another_path(config.data) for config in configs)


def check_data(configs: Sequence[Config], dataset: Dataset) -> None:
    """Refuses runs that were trained on a different version of the data.

    Raises:
      UserError: it names the run.
    """
    for config in configs:
        run = Run.open(config)
        run.check_data(dataset)
        if run.fingerprint() == dataset.earlier:
            run.record(config.data, dataset)  # all of them by one fingerprint


def _finish(config: Config, complete: Complete) -> None:
    """Completes a run, or records that its loss diverged."""
    try:
        complete(config)
    except Diverged as error:
        print(f"{config.run.workdir}: {error}")
        run = Run.open(config)
        result = {
            "diverged_at": error.step,
            "steps": config.optimizer.steps,
            **provenance(run.fingerprint() or ""),
        }
        run.write_divergence(result)
    jax.clear_caches()


def _side_by_side(
    configs: Sequence[Config], complete: Complete, processes: int
) -> None:
    """Runs a pool of processes, each of which asks for its next run."""
    # A forked child would share the parent's device.
    context = multiprocessing.get_context("spawn")
    folder = Path(configs[0].run.workdir).parent
    folder.mkdir(parents=True, exist_ok=True)
    waiting = list(reversed(configs))
    workers: dict[Connection, tuple[SpawnProcess, Path]] = {}
    stopped: list[Path] = []
    for index in range(processes):
        ours, theirs = context.Pipe()
        log = folder / f"process{index}.log"
        share = _cores(index, processes)
        arguments = theirs, complete, index, share, log
        process = context.Process(target=_work, args=arguments)
        process.start()
        theirs.close()
        workers[ours] = process, log
    try:
        with tqdm(total=len(configs), unit="run", dynamic_ncols=True) as progress:
            while workers:
                ready = multiprocessing.connection.wait(list(workers))
                for pipe in cast(list[Connection], ready):
                    try:
                        progress.update(pipe.recv())
                        pipe.send(waiting.pop() if waiting else None)
                    except (EOFError, ConnectionError):
                        process, log = workers.pop(pipe)
                        process.join()
                        if process.exitcode:
                            stopped.append(log)
    finally:
        for process, _ in workers.values():
            process.terminate()
    if stopped:
        raise UserError(
            "\n".join(map(_last_words, stopped))
            + "\nThe same command goes on with what is not done."
        )


def _cores(index: int, processes: int) -> set[int]:
    """Returns the CPU cores of a process; none where they cannot be set (macOS)."""
    if not hasattr(os, "sched_getaffinity"):
        return set()
    cores = sorted(os.sched_getaffinity(0))
    return set(cores[index::processes] or [cores[index % len(cores)]])


def _last_words(log: Path) -> str:
    """Returns why a process stopped: its error message, or else its last line."""
    _, found, message = log.read_text(errors="replace").rpartition("\nerror: ")
    said = message.strip() if found else message.strip().rpartition("\n")[2]
    return f"a process stopped: {said or 'no word'}\nWhat it did: {log}"


def _work(
    pipe: Connection, complete: Complete, index: int, cores: set[int], log: Path
) -> None:
    """Asks for a configuration, finishes its run, and so on."""
    if cores:  # before XLA starts a thread for each
        os.sched_setaffinity(0, cores)
    with begin_file(log) as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    # The names of JAX's own settings; elsewhere than on such GPUs they do nothing.
    for setting in ("jax_cuda_visible_devices", "jax_rocm_visible_devices"):
        jax.config.update(setting, str(index))

    # As if it had been told to stop: the step in flight is saved.
    end_with_parent(lambda: os.kill(os.getpid(), signal.SIGTERM))

    def work() -> None:
        done = 0
        while config := _ask(pipe, done):
            cache_compilations(config.run.compilation_cache)
            _finish(config, complete)
            done = 1

    run_command(work)


def _ask(pipe: Connection, done: int) -> Config | None:
    """Returns the next configuration, or None when no one waits for it.

    Args:
      pipe: to the parent.
      done: runs since the last question.
    """
    try:
        pipe.send(done)
        return pipe.recv()
    except (BrokenPipeError, EOFError):  # the parent was killed
        return None

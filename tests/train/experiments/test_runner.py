"""Runs side by side: every one is made, or it is said why not."""

import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from train.common.errors import UserError
from train.common.signals import StopRequest
from train.config import Config, load_config
from train.experiments.runner import _cores, _last_words, complete_all
from train.main import complete
from train.workdir.run import Run

from ...conftest import CACHE
from ..conftest import MakeConfig
from ..programs import ENVIRONMENT, OPTIONS, ROOT, start, wait


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets processes that a test starts print at once."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def test_a_stopped_process_leaves_the_other_and_is_reported(
    make_config: MakeConfig, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folders = [tmp_path / "runs" / name for name in ("held", "free")]
    configs = [make_config(workdir=str(path), steps=0) for path in folders]
    held, free = map(Run, folders)
    held.begin(configs[0])
    with held.alone(configs[0]):  # as where the same command runs twice
        with pytest.raises(UserError) as stopped:
            complete_all(configs, complete, processes=2)
    assert held.summary() is None and free.summary()  # by the process that is left
    said = f"a process stopped: {held.workdir} is being trained by another"
    assert said in str(stopped.value)
    words = r"process\d\.log\nThe same command goes on"
    assert re.search(words, str(stopped.value))

    capfd.readouterr()
    complete_all(configs, complete, processes=2)
    assert "2 runs, 1 of them done already" in capfd.readouterr().out
    assert held.summary()
    assert "Report: " in (tmp_path / "runs" / "process0.log").read_text()


@pytest.mark.parametrize(
    ("processes", "shares"),
    [
        (2, [{0, 4, 7}, {2, 6}]),
        (5, [{0}, {2}, {4}, {6}, {7}]),
        (7, [{0}, {2}, {4}, {6}, {7}, {0}, {2}]),
    ],
)
def test_processes_share_the_cores_that_there_are(
    monkeypatch: pytest.MonkeyPatch, processes: int, shares: list[set[int]]
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 4, 6, 7})
    assert [_cores(index, processes) for index in range(processes)] == shares
    monkeypatch.delattr(os, "sched_getaffinity")
    assert not _cores(0, processes)


def note_cores(config: Config) -> None:
    """Writes down the cores of its process instead of training."""
    folder = Path(config.run.workdir)
    folder.mkdir(parents=True)
    (folder / "cores").write_text(" ".join(map(str, os.sched_getaffinity(0))))
    while len(list(folder.parent.glob("*/cores"))) < 2:  # leaves the other its own
        time.sleep(0.01)


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="takes two cores that can be chosen",
)
def test_each_process_keeps_to_its_cores(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    folders = [tmp_path / "runs" / name for name in "ab"]
    configs = [make_config(workdir=str(path)) for path in folders]
    complete_all(configs, note_cores, processes=2)
    a, b = ({*(path / "cores").read_text().split()} for path in folders)
    assert a and b and not a & b
    assert a | b == {*map(str, os.sched_getaffinity(0))}


def test_stopped_by_hand_it_leaves_no_process(
    folder: Path, make_config: MakeConfig, tmp_path: Path
) -> None:
    words = ("--data", folder, "--prepared", make_config().data.prepared)
    where = ("--workdir", tmp_path / "stopped", "--processes", 2, "--budget", 2000)
    runs = tmp_path / "stopped" / "runs"
    runs.mkdir(parents=True)
    shutil.copytree(os.environ[CACHE], runs / "programs")  # compiled already, mostly
    process = start(
        "reproduce", "figure3", *OPTIONS, *words, *where, start_new_session=True
    )
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        begun = [Run(path.parent) for path in runs.glob("*/config.json")]
        if sum(run.has_checkpoint() for run in begun) == 2:
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does
    stopped = wait(process)
    output = stopped.stdout + stopped.stderr
    assert stopped.returncode == 130, output
    assert "The same command goes on" in output and "Traceback" not in output
    assert len(begun) == 2
    for run in begun:
        with run.alone(load_config(run.config_path)):  # no process holds it
            assert run.has_checkpoint() and not run.summary()


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (
            "step 1\n\nerror: no space\nDelete something.\n",
            "no space\nDelete something.",
        ),
        ("Traceback:\n  here\nRuntimeError: out of memory\n\n", "out of memory"),
        ("", "no word"),
    ],
)
def test_last_words_are_a_message_or_the_last_line(
    tmp_path: Path, log: str, said: str
) -> None:
    path = tmp_path / "process0.log"
    path.write_text(log)
    words = _last_words(path)
    assert words.startswith("a process stopped: ")
    assert words.endswith(f"{said}\nWhat it did: {path}")


def wait_to_be_stopped(config: Config) -> None:
    """Does what a training does when it is told to stop."""
    with StopRequest() as stop:
        print("training", flush=True)
        while not stop.error:
            time.sleep(0.01)
        print("saved", flush=True)
    stop.raise_if_asked()


def test_runs_stop_where_what_began_them_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "process0.log"
    program = f"""
        import multiprocessing, time
        from pathlib import Path
        from tests.train.experiments.test_runner import wait_to_be_stopped
        from train.config import Config
        from train.experiments.runner import _work

        if __name__ == "__main__":
            context = multiprocessing.get_context("spawn")
            ours, theirs = context.Pipe()
            arguments = theirs, wait_to_be_stopped, 0, set(), Path({str(log)!r})
            context.Process(target=_work, args=arguments).start()
            theirs.close()
            ours.recv()
            ours.send(Config())
            time.sleep(100)
        """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, cwd=ROOT) as killed:
        deadline = time.monotonic() + 60
        for word in ("training", "saved", "Stopped."):
            while not log.exists() or word not in log.read_text():
                assert time.monotonic() < deadline, word
                time.sleep(0.01)
            killed.kill()

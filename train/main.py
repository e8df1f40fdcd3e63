"""Trains a network: python train/main.py [PRESET] [--option value ...].

Called again with the same --workdir it resumes; --help lists every option.
"""

from __future__ import annotations

from models import beginning  # noqa: F401  # isort: skip
import dataclasses
import functools
import sys
from typing import Any

from train.common.command import cache_compilations, run_command
from train.common.errors import UserError, memory_for
from train.common.processes import (
    check_alike,
    first_goes_first,
    join_processes,
    of_first,
    others_needed,
    wait_for_all,
)
from train.config import Config
from train.data.batches import check_batch_size
from train.data.class_counts import class_counts
from train.data.dataset import find_dataset, prepare_dataset
from train.data.kinds import Found
from train.data.preprocessing import preprocessing_of
from train.data.shared_images import check_shared, warn_of_shared
from train.data.statistics import channel_statistics
from train.evaluation.inference import Predictor
from train.evaluation.whole_split import Evaluator
from train.presets import parse_config
from train.report.final_evaluation import finish
from train.report.panels import with_panels
from train.report.provenance import provenance
from train.training.alike import check_same_files, check_same_state
from train.training.best import Best
from train.training.checkpoint import Restored
from train.training.class_weighting import warn_of_weightless, with_class_weights
from train.training.devices import DeviceLayout
from train.training.initial_weights import check_initial_weights, with_weights
from train.training.loop import train
from train.training.loss_options import check_classes
from train.training.step import make_state, make_step
from train.workdir.batch import stream, told_batch
from train.workdir.normalization import statistics_of
from train.workdir.run import Run

FEWER_PIXELS = (
    "Choose a smaller --batch-size or --crop, or a larger --accumulation, with another "
    "--workdir."
)


def main() -> None:
    """Completes the run that the command line asks for."""
    config = parse_config(sys.argv[1:])
    join_processes(config.processes)
    cache_compilations(config.run.compilation_cache)
    with others_needed():
        check_alike(config.shared_options())
        complete(config)


def complete(config: Config) -> dict[str, Any]:
    """Completes a run: trains, evaluates, reports; returns its summary."""
    run = Run.open(config)
    if (summary := run.summary()) and run.is_described():
        _check_finished(run, config)
        print(run.completion_notice(summary))
        return summary

    begins = not run.has_checkpoint()
    wait_for_all("the run is open")
    if begins:
        check_initial_weights(config.model)
    found = _found_data(run, config)
    check_same_files(found, config.model, begins=begins)
    with first_goes_first("the data are prepared"):
        dataset = prepare_dataset(found, config.data)
    seed, steps = config.run.seed, config.optimizer.steps
    batch_size = config.optimizer.batch_size
    check_batch_size(dataset.train, batch_size, steps=steps)
    classes = len(dataset.class_names)
    layout = DeviceLayout.of(
        config.devices, batch_size // config.optimizer.accumulation
    )
    graph, state = make_state(config, classes, seed=seed)
    if begins:
        state = with_weights(state, graph, config.model)
        state = of_first(state)  # another CPU draws other last digits
    run.begin(config, provenance(dataset.fingerprint))
    wait_for_all("the run has begun")
    measure = functools.partial(channel_statistics, dataset.train)
    statistics = statistics_of(run, config, measure)
    named = config.model.preprocessing
    preprocess = preprocessing_of(named, statistics, config.data.form)
    predictor = Predictor(graph, preprocess, config.evaluation, void=dataset.void)
    evaluator = Evaluator(predictor, dataset.val, dataset.class_names)
    evaluate = with_panels(evaluator, run.history, dataset.colors, config.run.panels)
    loss = with_class_weights(config.loss, lambda: class_counts(dataset.train, classes))
    with run.alone(config):
        known = dataset.fingerprint, dataset.earlier
        open_best = functools.partial(run.open_checkpoints, config, *known, best=True)
        best = Best(open_best if config.run.keep_best else None)
        with run.open_checkpoints(config, *known) as checkpoints:
            state = layout.put_state(state)
            state, seconds, skipped, _ = checkpoints.restore(state) or Restored(state)
            check_same_state(state)
            run.record(config.data, dataset, statistics)
            start = int(state.step)
            run.history.rewind(start)
            print(run.opening(config, dataset, start))
            print(layout.describe())
            batches = stream(
                config,
                dataset.train,
                start=start,
                steps=steps,
                workers=config.run.workers,
                rows=layout.rows(batch_size),
                padding=preprocess.padding,
            )
            with memory_for("a step of training", FEWER_PIXELS):
                state, seconds = train(
                    state,
                    make_step(
                        graph,
                        dataclasses.replace(config, loss=loss),
                        layout,
                        preprocess=preprocess,
                    ),
                    map(layout.put_batch, batches),
                    config.optimizer,
                    config.run,
                    log=run.history.log,
                    evaluate=best.watching(evaluate),
                    save=checkpoints.save,
                    batch_told=functools.partial(
                        told_batch,
                        config,
                        dataset.train,
                        padding=preprocess.padding,
                    ),
                    evaluated=run.history.is_evaluated(start),
                    seconds=seconds,
                    skipped=skipped,
                )
        summary = finish(run, config, dataset, evaluator, state, seconds, best)
        warn_of_shared(found, config.data)  # beside the metrics that it is about
        return summary


def _found_data(run: Run, config: Config) -> Found:
    """Returns the run's data, checked.

    Raises:
      UserError: there are none, or they do not fit the run or its options.
    """
    found = find_dataset(run.with_split(config.data))
    run.check_data(found)
    check_classes(config.loss, len(found.class_names))
    warn_of_weightless(config.loss, found.class_names)
    check_shared(found, config.data)
    warn_of_shared(found, config.data)
    return found


def _check_finished(run: Run, config: Config) -> None:
    """Refuses to pass a finished run off as one on data that have changed since.

    Raises:
      UserError: the data are others, or another folder is named that cannot be read.
    """
    try:
        found = find_dataset(run.with_split(config.data))
    except UserError:
        if run.is_of_another_path(config.data):
            raise
        return  # its data may be gone, its result remains
    run.check_data(found)
    run.record(config.data, found, run.described().statistics)


if __name__ == "__main__":
    run_command(main, resume=" The same command goes on from the last checkpoint.")

"""Evaluates a run: python train/evaluate.py RUN [--split NAME] [--data DIR].

[--scales 0.5 1 1.5] [--flip] [--window HEIGHT WIDTH] override how the run predicts.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import tyro

from train.common.command import cache_compilations, run_command
from train.common.errors import UserError
from train.common.files import replace_text
from train.data.dataset import load_dataset
from train.evaluation.metrics import table
from train.evaluation.views import PredictionOptions
from train.evaluation.whole_split import Evaluator
from train.workdir.trained import load_run


def evaluate(
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")],
    /,
    prediction: tyro.conf.OmitArgPrefixes[PredictionOptions],
    split: str = "",
    data: str = "",
    evaluation_batch: int = 0,
) -> None:
    """Prints the IoU of every class and writes RUN/evaluation_SPLIT.json.

    Options of prediction are added to the file's name.

    Args:
      run: folder of a run.
      prediction: how to predict, where not as the run does.
      split: list in ImageSets/Segmentation; empty for the run's validation split, also
        where the run itself held out part of its training split.
      data: folder in VOC layout with the same classes; empty for the run's own.
      evaluation_batch: images of equal size evaluated together; 0 does as the run.
    """
    trained = load_run(run)
    cache_compilations(trained.config.run.compilation_cache)
    its = trained.config.data
    name = split or its.val_split
    dataset = load_dataset(
        dataclasses.replace(
            its,
            folder=data or its.folder,
            classes=trained.class_names,
            val_split=name,
            train_split=name,
            holdout=0.0,
            pixel_limit=prediction.pixel_limit or its.pixel_limit,
        )
    )
    if dataset.class_names != trained.class_names:
        raise UserError(
            f"{run} was trained on the classes {', '.join(trained.class_names)}; "
            f"{dataset.name} has {', '.join(dataset.class_names)}."
        )
    options = prediction.applied(trained.config.evaluation)
    if evaluation_batch:
        options = dataclasses.replace(options, batch_size=evaluation_batch)
    evaluator = Evaluator(trained.predictor(options), dataset.val, dataset.class_names)
    counts = evaluator.counts(trained.state)
    path = run / f"evaluation_{'_'.join([name, *prediction.named()])}.json"
    result = {
        "data": dataset.name,
        "step": int(trained.state.step),
        "scales": options.scales,
        "flip": options.flip,
        "window": options.window,
        **counts.measure(dataset.class_names),
    }
    print(table(counts.whole, dataset.class_names))
    replace_text(path, json.dumps(result, indent=2) + "\n")
    print(f"Step {result['step']}, {len(dataset.val)} images. Metrics: {path}")


if __name__ == "__main__":
    run_command(lambda: tyro.cli(evaluate, config=(tyro.conf.FlagCreatePairsOff,)))

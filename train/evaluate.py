"""Evaluates a run: python train/evaluate.py RUN [--split NAME] [--data DIR].

[--scales 0.5 1 1.5] [--flip] [--window HEIGHT WIDTH] predict otherwise than the run.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import tyro

from train import metrics
from train.datasets import load_dataset
from train.errors import UserError
from train.evaluation import Evaluator
from train.files import replace_text
from train.inference import PredictionOptions, Predictor
from train.program import keep_programs, run_program
from train.trained import load_run


def evaluate(
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")],
    /,
    prediction: tyro.conf.OmitArgPrefixes[PredictionOptions],
    split: str = "",
    data: str = "",
) -> None:
    """Prints the IoU of every class and writes RUN/evaluation_SPLIT.json.

    Options of prediction are added to the file's name.

    Args:
      run: folder of a run.
      prediction: how to predict, where not as the run does.
      split: list in ImageSets/Segmentation; empty for the run's validation split, also
        where the run itself held out part of its training split.
      data: folder in VOC layout with the same classes; empty for the run's own.
    """
    trained = load_run(run)
    keep_programs(trained.config.compilation_cache)
    config = dataclasses.replace(
        prediction.applied(trained.config),
        data=data or trained.config.data,
        classes=trained.class_names,
        val_split=split or trained.config.val_split,
        train_split=split or trained.config.val_split,
        holdout=0.0,
        steps=0,  # whatever the batch, nothing is trained
    )
    dataset = load_dataset(config)
    if dataset.class_names != trained.class_names:
        raise UserError(
            f"{run} was trained on the classes {', '.join(trained.class_names)}; "
            f"{dataset.name} has {', '.join(dataset.class_names)}."
        )
    evaluator = Evaluator(
        Predictor(trained.graph, config),
        dataset.val,
        dataset.class_names,
        batch_size=config.evaluation_batch,
    )
    counts = evaluator.counts(trained.state)
    path = run / f"evaluation_{'_'.join([config.val_split, *prediction.named()])}.json"
    result = {
        "data": dataset.name,
        "step": int(trained.state.step),
        "scales": config.evaluation_scales,
        "flip": config.evaluation_flip,
        "window": config.window,
        **counts.figures(dataset.class_names),
    }
    replace_text(path, json.dumps(result, indent=2) + "\n")
    print(metrics.table(counts.whole, dataset.class_names))
    print(f"Step {result['step']}, {len(dataset.val)} images. Figures: {path}")


if __name__ == "__main__":
    run_program(lambda: tyro.cli(evaluate, config=(tyro.conf.FlagCreatePairsOff,)))

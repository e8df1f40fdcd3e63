"""Evaluates a run: python train/evaluate.py RUN [--split NAME] [--data DIR].

[--scales 0.5 1 1.5] [--flip] [--window HEIGHT WIDTH] override how the run predicts;
--prepared DIR keeps prepared records elsewhere than the run does.
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
from train.data.dataset import DataOptions, Dataset, load_dataset
from train.evaluation.metrics import table
from train.evaluation.views import PredictionOptions
from train.evaluation.whole_split import Evaluator
from train.workdir.run import Run
from train.workdir.trained import Checkpoint, load_run


def evaluate(
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")],
    /,
    prediction: tyro.conf.OmitArgPrefixes[PredictionOptions],
    split: str = "",
    data: str = "",
    evaluation_batch: int = 0,
    prepared: str = "",
    checkpoint: Checkpoint = "newest",
    links: bool = False,
) -> None:
    """Prints the IoU of every class and writes RUN/evaluation_SPLIT.json.

    Options of prediction are added to the file's name; so are the fingerprint of data
    that are not the run's own, and `best`.

    Args:
      run: folder of a run.
      prediction: how to predict, where not as the run does.
      split: list in ImageSets/Segmentation; empty for the run's validation split, also
        where the run itself held out part of its training split.
      data: folder in VOC layout with the same classes; empty for the run's own.
      evaluation_batch: images of equal size evaluated together; 0 does as the run.
      prepared: folder for the prepared records; empty for the run's own.
      checkpoint: the best one is kept with --keep-best of train/main.py.
      links: images, masks and lists may be links to files outside of the folder of
        the data; no run says so.
    """
    trained = load_run(run, checkpoint)
    cache_compilations(prediction.compilation_cache)
    where = Run(run).data_options(trained.config.data)
    name = split or where.val_split
    options_of_data = dataclasses.replace(
        where,
        folder=data or where.folder,
        prepared=prepared or where.prepared,
        classes=trained.class_names,
        val_split=name,
        train_split=name,
        holdout=0.0,
        pixel_limit=prediction.pixel_limit or trained.use.pixel_limit,
        links=links,
    )
    dataset = load_dataset(options_of_data)
    if dataset.class_names != trained.class_names:
        raise UserError(
            f"{run} was trained on the classes {', '.join(trained.class_names)}; "
            f"{dataset.name} has {', '.join(dataset.class_names)}."
        )
    options = prediction.applied(trained.use.evaluation)
    if evaluation_batch:
        options = dataclasses.replace(options, batch_size=evaluation_batch)
    evaluator = Evaluator(trained.predictor(options), dataset.val, dataset.class_names)
    counts = evaluator.counts(trained.state)
    cut = evaluator.predictor.cut
    which = () if checkpoint == "newest" else (checkpoint,)
    words = [name, *which, *_of_other_data(run, name, options_of_data, dataset)]
    path = run / f"evaluation_{'_'.join([*words, *prediction.named()])}.json"
    result = {
        "data": dataset.name,
        "fingerprint": dataset.fingerprint,
        "image_height": where.image_height,
        "step": int(trained.state.step),
        "scales": options.scales,
        "flip": options.flip,
        "window": options.window,
        "images_cut_for_memory": cut,
        **counts.measure(dataset.class_names),
    }
    print(table(counts.whole, dataset.class_names))
    replace_text(path, json.dumps(result, indent=2) + "\n")
    how = f", {cut} of them in windows for want of memory" if cut else ""
    print(f"Step {result['step']}, {len(dataset.val)} images{how}. Metrics: {path}")


def _of_other_data(
    run: Path, split: str, options: DataOptions, dataset: Dataset
) -> list[str]:
    """Returns a word for the file's name, none for the run's own data.

    What a split holds tells, where the run has recorded it; else its path.
    """
    known = Run(run).split_fingerprint(split)
    elsewhere = Run(run).is_of_another_path(options)
    own = known == dataset.splits.get(split) if known else not elsewhere
    if own:
        return []
    if not elsewhere:
        print(f"Split {split!r} of {dataset.name} has changed since {run} was trained.")
    return [f"data_{dataset.fingerprint}"]


if __name__ == "__main__":
    run_command(lambda: tyro.cli(evaluate, config=(tyro.conf.FlagCreatePairsOff,)))

"""A split as a run's network is evaluated on it: which data, and how they are seen."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from train.common.errors import UserError
from train.common.notes import note
from train.data.dataset import DataOptions, Dataset, load_dataset
from train.data.mask_colors import ShownColor, ShownColors
from train.evaluation.views import EvaluationOptions, PredictionOptions
from train.workdir.run import Run
from train.workdir.trained import Checkpoint, Trained, load_run

_LONGEST = 200  # bytes of a result's name; endings follow, and 255 are the most


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """Which images a run is evaluated on, and by which of its networks."""

    split: str = ""
    """List in ImageSets/Segmentation; empty for the run's validation split, also where
    the run itself held out part of its training split."""
    data: str = ""
    """Folder in VOC layout with the same classes; empty for the run's own."""
    evaluation_batch: int = 0
    """Images of equal size evaluated together; 0 does as the run."""
    prepared: str = ""
    """Folder for the prepared records; empty for the run's own."""
    checkpoint: Checkpoint = "newest"
    """The best one is kept with --keep-best of train/main.py."""
    links: bool = False
    """Images, masks and lists may be links to files outside of the folder of the data;
    no run says so."""


class EvaluatedSplit(NamedTuple):
    """A network, the data set whose `val` it is evaluated on, and how it predicts."""

    trained: Trained
    dataset: Dataset
    options: EvaluationOptions
    image_height: int  # that images and masks are prepared at, 0 for their own
    name: str  # of the split
    words: list[str]  # for names of results: the split, and what is not the run's own


def name_of_result(kind: str, words: Sequence[str]) -> str:
    """Returns the name of what a way of evaluating found: its kind and its words.

    One that is longer than file systems take ends in a digest of them instead.
    """
    name = "_".join([kind, *words])
    encoded = name.encode()
    if len(encoded) <= _LONGEST:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:16]
    return f"{encoded[: _LONGEST - 17].decode(errors='ignore')}_{digest}"


def load_split(
    run: Path, prediction: PredictionOptions, chosen: SplitOptions
) -> EvaluatedSplit:
    """Returns a run's network with the split that the options name.

    Raises:
      UserError: the run or the data cannot be read, or have different classes.
    """
    trained = load_run(run, chosen.checkpoint)
    where = Run(run).data_options(trained.config.data)
    name = chosen.split or where.val_split
    options_of_data = dataclasses.replace(
        where,
        folder=chosen.data or where.folder,
        prepared=chosen.prepared or where.prepared,
        classes=trained.class_names,
        val_split=name,
        train_split=name,
        holdout=0.0,
        pixel_limit=prediction.pixel_limit or trained.use.pixel_limit,
        links=chosen.links,
    )
    dataset = load_dataset(options_of_data)
    if dataset.class_names != trained.class_names:
        raise UserError(
            f"{run} was trained on the classes {', '.join(trained.class_names)}; "
            f"{dataset.name} has {', '.join(dataset.class_names)}."
        )
    check_colors(Run(run), dataset)
    options = prediction.applied(trained.use.evaluation)
    if chosen.evaluation_batch:
        options = dataclasses.replace(options, batch_size=chosen.evaluation_batch)
    which = () if chosen.checkpoint == "newest" else (chosen.checkpoint,)
    elsewhere = of_other_data(run, name, options_of_data, dataset)
    words = [name, *which, *elsewhere, *prediction.named()]
    return EvaluatedSplit(trained, dataset, options, where.image_height, name, words)


def check_colors(run: Run, dataset: Dataset) -> None:
    """Refuses masks in whose palettes a color has another value than in training.

    Masks without palettes, those that labelmap.txt tells of, and runs of before, which
    have not recorded the colors, are taken as they are.

    Raises:
      UserError: it names the mask, the run, the color and both values.
    """
    if dataset.by_color:
        return
    place = f"the masks that {run.workdir} was trained with"
    known = run.described().mask_colors.items()
    trained = (ShownColor(color, value, place) for color, value in known)
    colors = ShownColors(trained, dataset.void)
    colors.add(dataset.shown)
    if said := colors.renumbered():
        note(f"warning: {said}")


def of_other_data(
    run: Path, split: str, options: DataOptions, dataset: Dataset
) -> list[str]:
    """Returns a word for the name of a result, none for the run's own data.

    What a split holds tells, where the run has recorded it; else its path. One that has
    changed is told.
    """
    known = Run(run).split_fingerprint(split)
    elsewhere = Run(run).is_of_another_path(options)
    own = known == dataset.splits.get(split) if known else not elsewhere
    if own:
        return []
    if not elsewhere:
        print(f"Split {split!r} of {dataset.name} has changed since {run} was trained.")
    return [f"data_{dataset.fingerprint}"]

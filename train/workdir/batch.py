"""The batches of a run, a pure function of seed and step, and one of them again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from train.common.text import shown
from train.config import Config, load_config
from train.data.augment import Augment
from train.data.batches import train_batches
from train.data.dataset import load_dataset
from train.data.image_files import PIXEL_LIMIT
from train.data.images import MEAN_COLOR, Example, Pixel, Source
from train.data.origin import name_of
from train.workdir.normalization import recorded_preprocessing
from train.workdir.run import Run

_MOST = 16  # names in a message


def stream(
    config: Config,
    source: Source,
    *,
    start: int,
    steps: int,
    workers: int = 0,
    rows: range | None = None,
    padding: Pixel = MEAN_COLOR,
) -> Iterator[Example]:
    """Yields the batches of a run's steps `start` to `steps`; see `train_batches`."""
    return train_batches(
        source,
        Augment(config.augmentation, padding),
        batch_size=config.optimizer.batch_size,
        seed=config.run.seed,
        start=start,
        steps=steps,
        workers=workers,
        rows=rows,
    )


class Batch(NamedTuple):
    """What a step is trained on."""

    names: tuple[str, ...]
    images: np.ndarray  # uint8 or uint16 [batch, height, width, channels]
    labels: np.ndarray  # uint8 [batch, height, width]


def batch_of(workdir: Path | str, step: int, *, links: bool = False) -> Batch:
    """Returns the batch that a run was, or will be, trained on in a step, from 1 on.

    Args:
      workdir: folder of the run.
      step: from 1 on.
      links: whether its data may be links to files elsewhere; no run says so.

    Raises:
      UserError: the folder is no run, or its data have changed since.
    """
    run = Run(Path(workdir))
    config = load_config(run.config_path)
    options = run.data_options(config.data)
    limit = min(options.pixel_limit, PIXEL_LIMIT)
    options = dataclasses.replace(options, links=links, pixel_limit=limit)
    dataset = load_dataset(options)
    run.check_data(dataset)
    padding = recorded_preprocessing(run, config).padding
    return batch_at(config, dataset.train, step, padding)


def batch_at(
    config: Config, source: Source, step: int, padding: Pixel = MEAN_COLOR
) -> Batch:
    """Returns the batch of a step.

    Args:
      config: of the run.
      source: the records of the training split.
      step: from 1 on.
      padding: color of what is beside the images.
    """
    noting = _Noting(source)
    (example,) = stream(config, noting, start=step - 1, steps=step, padding=padding)
    return Batch(tuple(noting.names), example.image, example.label)


def told_batch(
    config: Config, source: Source, step: int, padding: Pixel = MEAN_COLOR
) -> str:
    """Returns which images a batch has, and how to build it again."""
    found = batch_at(config, source, step, padding)
    names = [shown(name) for name in found.names]
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    call = f"{config.run.workdir!r}, {step}" + ", links=True" * config.data.links
    return (
        f"Its images: {', '.join(names[:_MOST])}{more}. In Python, its batch is:\n"
        "  from train.workdir.batch import batch_of\n"
        f"  names, images, labels = batch_of({call})"
    )


class _Noting:
    """Records that note the names of those that are read."""

    def __init__(self, source: Source):
        self.names: list[str] = []
        self._source = source

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        record = self._source[index]
        self.names.append(name_of(record))
        return record

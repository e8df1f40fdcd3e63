"""Batches: of training as a pure function of (seed, step), of evaluation in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import grain
import numpy as np
from absl import flags

from train.common.errors import UserError
from train.data.augment import Augment
from train.data.images import Example, Source, blank, decode, pad_to_multiple


def train_batches(
    source: Source,
    augment: Augment,
    *,
    batch_size: int,
    seed: int,
    start: int,
    steps: int,
    workers: int = 0,
) -> Iterator[Example]:
    """Yields the batches of steps `start` to `steps`.

    Each batch depends on the seed and its step alone, so a resumed run sees what an
    uninterrupted one would, whatever the number of workers.

    Args:
      source: the records of the training split.
      augment: varies an example, given the random numbers of its place in the stream.
      batch_size: images per step.
      seed: of order and augmentation.
      start: steps done already.
      steps: of the whole run.
      workers: processes that load data; 0 loads in threads.
    """
    # As many as the run needs: grain cannot count an endless stream of single images.
    epochs = -(-steps * batch_size // len(source))
    batches = (
        grain.MapDataset.source(source)
        .seed(seed)
        .shuffle()
        .repeat(max(1, epochs))
        .map(decode)
        .random_map(augment)
        .batch(batch_size, batch_fn=_stack)
        .slice(slice(start, steps))
        .to_iter_dataset(grain.ReadOptions(num_threads=4, prefetch_buffer_size=8))
    )
    if workers:
        if not flags.FLAGS.is_parsed():  # grain's workers read absl's flags
            flags.FLAGS.mark_as_parsed()
        options = grain.MultiprocessingOptions(num_workers=workers)
        batches = batches.mp_prefetch(options)
    return iter(batches)


def check_batch_size(source: Source, batch_size: int, *, steps: int) -> None:
    """Refuses a batch larger than the training split, unless nothing is trained.

    Raises:
      UserError: it names both.
    """
    if steps and len(source) < batch_size:
        raise UserError(
            f"--batch-size {batch_size} is more than the {len(source)} images of the "
            f"training split. Choose {len(source)} or less."
        )


def _stack(examples: Sequence[Example]) -> Example:
    images, labels = zip(*examples, strict=True)
    return Example(np.stack(images), np.stack(labels))


def evaluation_batches(
    source: Source, *, batch_size: int, multiple: int
) -> Iterator[tuple[Example, list[tuple[int, ...]]]]:
    """Yields the whole split at full resolution, in order, and each image's true size.

    Sizes are padded with ignored pixels to the next multiple; neighbors of equal padded
    size share a batch, and a short batch is filled with blank images, so every size
    compiles one program.
    """
    waiting: list[Example] = []
    sizes: list[tuple[int, ...]] = []
    for index in range(len(source)):
        example = decode(source[index])
        padded = pad_to_multiple(example, multiple)
        changes = bool(waiting) and waiting[0].label.shape != padded.label.shape
        if changes or len(waiting) == batch_size:
            yield _fill(waiting, batch_size), sizes
            waiting, sizes = [], []
        waiting.append(padded)
        sizes.append(example.label.shape)
    if waiting:
        yield _fill(waiting, batch_size), sizes


def _fill(examples: list[Example], batch_size: int) -> Example:
    height, width = examples[0].label.shape
    return _stack(examples + [blank((height, width))] * (batch_size - len(examples)))

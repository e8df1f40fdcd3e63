"""Batches: of training as a pure function of (seed, step), of evaluation in order."""

from __future__ import annotations

import functools
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import grain
import numpy as np
from absl import flags

from train.common.endings import end_with_parent
from train.common.errors import UserError
from train.data.augment import Augment
from train.data.image_files import limit_pixels, pixel_limit
from train.data.images import (
    MEAN_COLOR,
    Example,
    Pixel,
    Size,
    Source,
    blank,
    decode,
    pad,
)

# A run that is stopped leaves batches in shared memory. Python's tracker frees it, and
# would warn of nothing else.
_TRACKED = "ignore:resource_tracker:UserWarning"


def train_batches(
    source: Source,
    augment: Augment,
    *,
    batch_size: int,
    seed: int,
    start: int,
    steps: int,
    workers: int = 0,
    rows: range | None = None,
) -> Iterator[Example]:
    """Yields the batches of steps `start` to `steps`.

    Each batch depends on the seed and its step alone, so a resumed run sees what an
    uninterrupted one would, whatever the number of workers and of processes.

    Args:
      source: the records of the training split.
      augment: varies an example, given the random numbers of its place in the stream.
      batch_size: images per step.
      seed: of order and augmentation.
      start: steps done already.
      steps: of the whole run.
      workers: processes that load data; 0 loads in threads.
      rows: the images of each batch that this process loads, adjacent, and as many as
        its fellows do; None for all.
    """
    # As many as the run needs: grain cannot count an endless stream of single images.
    epochs = -(-steps * batch_size // len(source))
    share = batch_size if rows is None else len(rows)
    place, shares = (rows.start // share if rows else 0), batch_size // share
    batches = (
        grain.MapDataset.source(source)
        .seed(seed)
        .shuffle()
        .repeat(max(1, epochs))
        .map(decode)
        .random_map(augment)
        .batch(share, batch_fn=_stack)
        .slice(slice(start * shares + place, steps * shares, shares))
        .to_iter_dataset(grain.ReadOptions(num_threads=4, prefetch_buffer_size=8))
    )
    if workers:
        if not flags.FLAGS.is_parsed():  # grain's workers read absl's flags
            flags.FLAGS.mark_as_parsed()
        if _TRACKED not in sys.warnoptions:  # with which Python starts its tracker
            sys.warnoptions.append(_TRACKED)
        options = grain.MultiprocessingOptions(num_workers=workers)
        begin = functools.partial(_begin_worker, limit=pixel_limit())
        batches = batches.mp_prefetch(options, worker_init_fn=begin)
    return iter(batches)


def _begin_worker(worker: int, count: int, *, limit: int) -> None:
    """Leaves Ctrl-C, which a terminal sends to workers too, to the program.

    Args:
      worker: its number.
      count: of all.
      limit: pixels of an image, which the program's options say.
    """
    del worker, count
    end_with_parent()
    limit_pixels(limit)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


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


class Piece(NamedTuple):
    """Images of a split that are evaluated together."""

    indices: Sequence[int]  # in the source
    sizes: Sequence[Size]  # height and width of each, pixels
    padded: Size  # what all are padded to
    images: int  # in the batch: blank ones follow at the end


def evaluation_pieces(
    sizes: Sequence[Size], *, most: Callable[[Size], int], multiple: int
) -> Iterator[Piece]:
    """Yields the whole split in pieces, images of equal padded size together.

    Each padded size has batches of one size, as equal as can be, so that it compiles
    one program and few blank images are computed.

    Args:
      sizes: `mask_sizes(source)`.
      most: returns how many images of a padded size may be in a batch, 1 or more.
      multiple: heights and widths are padded to the next multiple, pixels.
    """
    alike: dict[Size, list[int]] = {}
    for index, (height, width) in enumerate(sizes):
        padded = (-height % multiple + height, -width % multiple + width)
        alike.setdefault(padded, []).append(index)
    for padded, indices in alike.items():
        count = -(-len(indices) // most(padded))
        even = -(-len(indices) // count)
        for start in range(0, len(indices), even):
            chosen = indices[start : start + even]
            yield Piece(chosen, [sizes[index] for index in chosen], padded, even)


def load_piece(source: Source, piece: Piece, color: Pixel = MEAN_COLOR) -> Example:
    """Returns a piece's images and masks, padded with ignored pixels of a color."""
    examples = [
        pad(decode(source[index]), piece.padded, color) for index in piece.indices
    ]
    filling = blank(piece.padded, color, examples[0].image.dtype)
    return _stack(examples + [filling] * (piece.images - len(examples)))

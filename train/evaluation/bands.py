"""Predictions of one image in bands of rows, whose memory does not grow with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import jax
import numpy as np

from train.training.scales import nearest

# Rows of a band, where windows do not decide.
ROWS = 256


class Band(NamedTuple):
    """Rows of an image, predicted."""

    mask: np.ndarray  # uint8 [rows, width]
    probabilities: np.ndarray  # float32 [rows, width, classes]


def row_bands(height: int) -> Iterator[slice]:
    """Yields the rows of an image in bands, whose floats and int64s fit into memory."""
    for start in range(0, height, ROWS):
        yield slice(start, start + ROWS)


def banded(mask: np.ndarray, rows: Callable[[int, int], jax.Array]) -> Iterator[Band]:
    """Yields the bands of an image that was predicted whole.

    Args:
      mask: uint8 `[height, width]`.
      rows: returns the probabilities of rows, by the first and their number, of the
        image's columns or of more.
    """
    height, width = mask.shape
    count = min(ROWS, height)
    for start in range(0, height, count):
        first = min(start, height - count)  # of one number, and so of one program
        found = np.asarray(rows(first, count))[start - first :, :width]
        yield Band(mask[start : start + count], found)


def bands_at_size(
    bands: Iterable[Band], before: tuple[int, ...], after: tuple[int, ...]
) -> Iterator[Band]:
    """Yields the bands of an image at another size, by nearest neighbor.

    Args:
      bands: from the top down.
      before: height and width of the image that they are of, pixels.
      after: those that are wanted.
    """
    if before == after:
        yield from bands
        return
    rows, columns = (nearest(*sides) for sides in zip(before, after, strict=True))
    start = 0
    for band in bands:
        end = start + len(band.mask)
        here = rows[np.searchsorted(rows, start) : np.searchsorted(rows, end)] - start
        for first in range(0, len(here), ROWS):
            some = np.ix_(here[first : first + ROWS], columns)
            yield Band(*(part[some] for part in band))
        start = end


def largest_class(scores: np.ndarray) -> np.ndarray:
    """Returns the class of the largest of the scores at each pixel, uint8."""
    return np.argmax(scores, axis=-1).astype(np.uint8)

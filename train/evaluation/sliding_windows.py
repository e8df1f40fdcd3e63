"""Windows over a large image: their positions, blending weights and weighted sums."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import jax
import numpy as np

from train.common.errors import NotFinite
from train.data.images import MEAN_COLOR, Example, Pixel, pad

_T = TypeVar("_T")


class Span(NamedTuple):
    """Where a window lies along one side of an image."""

    start: int
    weights: np.ndarray  # float32 [window]


def lay_windows(length: int, window: int, overlap: float) -> list[Span]:
    """Lays windows evenly over a length, the first and the last at its ends.

    Weights rise linearly to the middle of a window, but for its side at an end of the
    length, where what it sees is not cut off; they are divided by their sum over all
    windows: at every pixel they are above 0 and sum to 1.

    Args:
      length: of the image, pixels.
      window: of each window, pixels; a shorter length has one, which begins with it.
      overlap: neighbors have at least this fraction in common, in [0, 1), so far as
        whole pixels allow.
    """
    step = max(1, window - math.ceil(overlap * window))
    slack = max(0, length - window)
    gaps = -(-slack // step)
    starts = [index * slack // max(1, gaps) for index in range(gaps + 1)]
    flat = np.full(window, (window + 1) // 2)
    rise = np.minimum(np.arange(window) + 1, flat)
    total, tents = np.zeros(window + slack), []
    for start in starts:
        left, right = rise if start > 0 else flat, rise if start < slack else flat
        tents.append(np.minimum(left, right[::-1]))
        total[start : start + window] += tents[-1]
    return [
        Span(start, (tent / total[start : start + window]).astype(np.float32))
        for start, tent in zip(starts, tents, strict=True)
    ]


Progress = Callable[[Sequence[Span]], Iterable[Span]]

# Of a window's pixels and spans: weighted probabilities, and whether all are finite.
Weighed = Callable[[np.ndarray, Span, Span], tuple[jax.Array, jax.Array]]


def strip_of(
    band: np.ndarray,
    row: Span,
    columns: Sequence[Span],
    weighed: Weighed,
    padding: Pixel = MEAN_COLOR,
) -> np.ndarray:
    """Returns the weighted sum of a row of windows, float32 `[rows, width, classes]`.

    Args:
      band: the rows of the image that they see, `[rows, width, channels]`.
      row: where they lie along the height.
      columns: where each lies along the width.
      weighed: predicts a window; the next one is begun before its result is awaited.
      padding: color of what is beside the image.

    Raises:
      NotFinite: a logit is NaN or infinite.
    """
    window = len(row.weights), len(columns[0].weights)

    def begun(column: Span) -> tuple[jax.Array, jax.Array]:
        piece = band[:, column.start : column.start + window[1]]
        blank = np.zeros(piece.shape[:2], np.uint8)
        padded = pad(Example(piece, blank), window, padding)
        return weighed(padded.image, row, column)

    strip = np.zeros((0, 0, 0), np.float32)
    for column, weighted in _ahead((each, begun(each)) for each in columns):
        found, finite = jax.device_get(weighted)
        if not finite:
            raise NotFinite
        if not strip.size:
            strip = np.zeros((*band.shape[:2], found.shape[-1]), np.float32)
        part = strip[:, column.start : column.start + window[1]]
        part += found[: part.shape[0], : part.shape[1]]
    return strip


def _ahead(items: Iterable[_T]) -> Iterator[_T]:
    """Yields each item after starting the next, so that host and device overlap."""
    iterator = iter(items)
    current = next(iterator)
    for following in iterator:
        yield current
        current = following
    yield current

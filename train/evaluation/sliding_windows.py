"""Windows over a large image: their positions and blending weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np


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

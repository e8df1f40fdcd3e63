"""COCO's run lengths as masks.

A mask is read column by column: so many pixels without, so many with, and so on.
Compressed, a length is less that of two before it, in digits of five bits, lowest
first, each a character from "0" on; all but the last have a sixth bit. They are decoded
here, since pycocotools leaves pixels as memory happens to be where lengths are too few.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_MORE, _SIGN = 32, 16


def decode_runs(counts: str | Sequence[int], height: int, width: int) -> np.ndarray:
    """Returns which pixels a mask has, bool `[height, width]`.

    Args:
      counts: the run lengths, or their compressed form.
      height: of the mask, pixels.
      width: likewise.

    Raises:
      ValueError: they are not lengths that add up to the mask's pixels.

    >>> decode_runs([1, 2, 3], 2, 3).astype(int).tolist()
    [[0, 1, 0], [1, 0, 0]]
    >>> decode_runs("123", 2, 3).astype(int).tolist()
    [[0, 1, 0], [1, 0, 0]]
    """
    if isinstance(counts, str):
        lengths = _expand(counts)
    else:
        lengths = np.array([min(count, 2**40) for count in counts], np.int64)
    if (lengths < 0).any() or lengths.sum() != height * width:
        raise ValueError(
            f"its run lengths are not of {height}×{width} = {height * width} pixels"
        )
    has = np.arange(len(lengths)) % 2 == 1
    return np.repeat(has, lengths).reshape(width, height).T


def _expand(counts: str) -> np.ndarray:
    """Returns the run lengths of their compressed form."""
    codes = np.frombuffer(counts.encode(), np.uint8).astype(np.int64) - ord("0")
    ends = np.flatnonzero((codes & _MORE) == 0)
    wrong = (codes < 0) | (codes >= 2 * _MORE)
    if wrong.any() or not len(ends) or ends[-1] != len(codes) - 1:
        raise ValueError("its counts are no compressed run lengths")
    starts = np.concatenate([[0], ends[:-1] + 1])
    digits = ends - starts + 1
    if digits.max() > 7:
        raise ValueError("its counts have a run length of over 35 bits")
    places = np.arange(len(codes)) - np.repeat(starts, digits)
    values = np.add.reduceat((codes & (_MORE - 1)) << 5 * places, starts)
    values -= ((codes[ends] & _SIGN) != 0) * (1 << 5 * digits)
    for first in (1, 2):
        values[first::2] = np.cumsum(values[first::2])
    return values

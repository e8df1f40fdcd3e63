"""COCO's run lengths as the stretches of pixels that they mark.

A mask is read column by column: so many pixels without, so many with, and so on.
Compressed, a length is less that of two before it, in digits of five bits, lowest
first, each a character from "0" on; all but the last have a sixth bit. They are decoded
here, since pycocotools leaves pixels as memory happens to be where lengths are too few.
Stretches take the memory of their numbers, however many pixels they have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_MORE, _SIGN = 32, 16
# Of an object, numbers or characters: decoding takes a hundred bytes for each.
_MOST = 2**22


class Stretches(NamedTuple):
    """Pixels of a mask that follow each other column by column.

    Args:
      starts: of each, int64; in ascending order, none overlaps the one before.
      ends: likewise, exclusive.
    """

    starts: np.ndarray
    ends: np.ndarray

    def area(self) -> int:
        """Returns how many pixels there are."""
        return int((self.ends - self.starts).sum())

    def paint(self, columns: np.ndarray, value: int) -> None:
        """Gives the pixels a value, in the columns of a mask one after the other."""
        for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True):
            columns[start:end] = value


def decode_runs(counts: str | Sequence[int], height: int, width: int) -> Stretches:
    """Returns the pixels of run lengths.

    Args:
      counts: the run lengths, or their compressed form.
      height: of the mask, pixels.
      width: likewise.

    Raises:
      ValueError: they are not lengths that add up to the mask's pixels.

    >>> [ends.tolist() for ends in decode_runs([1, 2, 3], 2, 3)]
    [[1], [3]]
    >>> [ends.tolist() for ends in decode_runs("123", 2, 3)]
    [[1], [3]]
    """
    most = height * width
    counts = counts[: 8 * most + 8]  # more have no pixels, but take memory
    if len(counts) > _MOST:
        raise ValueError(f"it has more than {_MOST} run lengths, or characters of them")
    if isinstance(counts, str):
        lengths = _expand(counts)
    else:
        within = (min(max(count, -1), most + 1) for count in counts)
        lengths = np.fromiter(within, np.int64, len(counts))
    if (lengths < 0).any() or lengths.sum() != most:
        raise ValueError(f"its run lengths are not of {height}×{width} = {most} pixels")
    ends = np.cumsum(lengths)
    return Stretches(ends[:-1:2], ends[1::2])


def union(parts: Sequence[Stretches]) -> Stretches:
    """Returns the pixels that any of several masks has.

    >>> found = union([decode_runs([0, 2, 4], 2, 3), decode_runs([1, 2, 3], 2, 3)])
    >>> [ends.tolist() for ends in found]
    [[0], [3]]
    """
    starts, ends = (np.concatenate(ends) for ends in zip(*parts, strict=True))
    order = np.argsort(starts)
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    apart = starts[1:] > ends[:-1]
    return Stretches(
        starts[np.concatenate([[True], apart])[: len(starts)]],
        ends[np.concatenate([apart, [True]])[: len(ends)]],
    )


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

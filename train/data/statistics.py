"""Mean and standard deviation of each channel over the images of a split."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from train.data.images import Source, decode


class Statistics(NamedTuple):
    """Of each channel, levels."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def channel_statistics(source: Source) -> Statistics:
    """Returns mean and standard deviation of each channel over all pixels of a split.

    Summed as whole numbers, so that they are the same on every machine. The standard
    deviation of a channel that has one level alone is 1.
    """
    count, sums, squares = 0, [0], [0]
    indices = tqdm(
        range(len(source)), desc="measuring channels", unit="image", dynamic_ncols=True
    )
    for index in indices:
        image = decode(source[index]).image
        count += image.shape[0] * image.shape[1]
        channels = np.moveaxis(image, -1, 0)
        found = [int(channel.sum(dtype=np.uint64)) for channel in channels]
        sums = _added(sums, found)
        found = [int(np.square(c, dtype=np.uint64).sum()) for c in channels]
        squares = _added(squares, found)
    mean = tuple(total / count for total in sums)
    variance = (
        (count * square - total**2) / count**2
        for total, square in zip(sums, squares, strict=True)
    )
    return Statistics(mean, tuple(math.sqrt(value) or 1.0 for value in variance))


def _added(totals: list[int], more: list[int]) -> list[int]:
    if len(totals) != len(more):
        totals = [0] * len(more)
    return [a + b for a, b in zip(totals, more, strict=True)]


def check_statistics(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    """Refuses numbers that no images have.

    Raises:
      ValueError: they are not as many, not finite, or a deviation is not above 0.
    """
    finite = all(0 <= value < 2**16 for value in mean)
    if len(mean) != len(std) or not finite or not all(0 < s < 2**16 for s in std):
        raise ValueError(f"no means and deviations of channels: {mean}, {std}")

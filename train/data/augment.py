"""Augmentation of training images: random scale, flip and crop."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from train.common.options import Group, Limit, option
from train.data.images import Example, blank, rescale


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentationOptions(Group):
    """Augmentation of training images."""

    crop: tuple[int, int] = option(
        (321, 321),
        "Height and width of training crops, pixels; padded with ignored pixels where "
        "the image is too small.",
        Limit(
            lambda crop: min(crop) >= 8 and max(crop) <= 4096,
            "must be 8 to 4096 pixels a side",
        ),
    )
    scale: tuple[float, float] = option(
        (0.5, 1.5),
        "Smallest and largest random scale of a training image.",
        Limit(
            lambda scale: 0 < scale[0] <= scale[1] <= 16,
            "must be 0 < smallest ≤ largest ≤ 16",
        ),
    )
    flip: bool = option(
        True, "Flips every other training image left to right.", earlier="mirror"
    )


class Augment(NamedTuple):
    """Random scale, flip and crop; padded with ignored pixels where the crop is larger.

    Args:
      options: the ranges.
    """

    options: AugmentationOptions

    def __call__(self, example: Example, generator: np.random.Generator) -> Example:
        """Returns a crop of `options.crop` pixels."""
        options = self.options
        image, label = rescale(example, generator.uniform(*options.scale))
        if options.flip and generator.random() < 0.5:
            image, label = image[:, ::-1], label[:, ::-1]
        return _random_crop(Example(image, label), options.crop, generator)


def _random_crop(
    example: Example, crop: tuple[int, int], generator: np.random.Generator
) -> Example:
    """Cuts a crop at random; where the image is smaller, places it at random."""
    canvas = blank(crop)
    source, target = zip(
        *(
            _common_part(length, size, generator)
            for length, size in zip(example.label.shape, crop, strict=True)
        ),
        strict=True,
    )
    canvas.image[target] = example.image[source]
    canvas.label[target] = example.label[source]
    return canvas


def _common_part(
    length: int, size: int, generator: np.random.Generator
) -> tuple[slice, slice]:
    """Returns where to read in the image and where to write in the crop."""
    shift = int(generator.integers(abs(length - size) + 1))
    common = slice(0, min(length, size))
    moved = slice(shift, shift + min(length, size))
    return (moved, common) if length > size else (common, moved)

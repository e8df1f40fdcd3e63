"""Augmentation of training images: random scale, flip, crop, and light and color."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from train.common.options import BELOW_ONE, Group, Limit, option
from train.data.images import MEAN_COLOR, Example, Pixel, blank, rescale

_LUMA = np.array((0.299, 0.587, 0.114), np.float32)  # ITU-R BT.601, as Pillow's gray


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
    jitter: float = option(
        0.0,
        "Brightness, contrast and saturation of a training image are each multiplied "
        "by a random factor from 1 − jitter to 1 + jitter; 0 leaves colors as they "
        "are; in [0, 1).",
        BELOW_ONE,
    )


class Augment(NamedTuple):
    """Random scale, flip and crop, light and color.

    A crop that is larger than the image is padded with ignored pixels. Those have one
    color whatever `jitter` is, since they stand for nothing that was photographed.

    Args:
      options: the ranges.
      padding: color of what is beside the image.
    """

    options: AugmentationOptions
    padding: Pixel = MEAN_COLOR

    def __call__(self, example: Example, generator: np.random.Generator) -> Example:
        """Returns a crop of `options.crop` pixels."""
        options = self.options
        image, label = rescale(example, generator.uniform(*options.scale))
        if options.flip and generator.random() < 0.5:
            image, label = image[:, ::-1], label[:, ::-1]
        source, target = _random_place(label.shape, options.crop, generator)
        seen = image[source]
        if options.jitter:  # drawn last: with and without it the crops are the same
            seen = jittered(seen, generator.uniform(-1, 1, 3) * options.jitter + 1)
        canvas = blank(options.crop, self.padding, image.dtype)
        canvas.image[target] = seen
        canvas.label[target] = label[source]
        return canvas


def jittered(image: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Returns an image in another light and in stronger or weaker colors.

    Args:
      image: uint8 or uint16 `[height, width, 3]`.
      factors: of brightness, of contrast about the mean gray level, and of saturation
        about each pixel's own, in this order; rounded once, at the end.
    """
    brightness, contrast, saturation = factors.astype(np.float32)
    pixels = image * brightness
    mean = (pixels @ _LUMA).mean()
    pixels = mean + contrast * (pixels - mean)
    gray = (pixels @ _LUMA)[..., None]
    pixels = gray + saturation * (pixels - gray)
    return np.rint(pixels).clip(0, np.iinfo(image.dtype).max).astype(image.dtype)


def _random_place(
    shape: tuple[int, ...], crop: tuple[int, int], generator: np.random.Generator
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Returns where a random crop reads in an image, and where it writes.

    Where the image is smaller than the crop, it is placed at random.
    """
    places = [
        _common_part(length, size, generator)
        for length, size in zip(shape, crop, strict=True)
    ]
    source, target = zip(*places, strict=True)
    return source, target


def _common_part(
    length: int, size: int, generator: np.random.Generator
) -> tuple[slice, slice]:
    """Returns where to read in the image and where to write in the crop."""
    shift = int(generator.integers(abs(length - size) + 1))
    common = slice(0, min(length, size))
    moved = slice(shift, shift + min(length, size))
    return (moved, common) if length > size else (common, moved)

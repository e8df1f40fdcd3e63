"""Preprocessing: how pixels become what a network was trained to see."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from models.registry import Registry
from train.common.errors import UserError
from train.data.forms import RGB, Form
from train.data.images import MEAN_COLOR, Pixel
from train.data.statistics import Statistics

if TYPE_CHECKING:
    import jax


class Preprocessing(NamedTuple):
    """(pixel − mean) / standard deviation, channel by channel, in RGB or in BGR."""

    mean: tuple[float, ...]  # levels, in RGB
    std: tuple[float, ...]
    bgr: bool
    padding: Pixel = MEAN_COLOR  # of what is no image
    bits: int = RGB.bits

    def __call__(self, images: jax.Array) -> jax.Array:
        """Returns images `[..., channels]`, RGB or others, for a network, float32."""
        pixels = images.astype(np.float32) - np.array(self.mean, np.float32)
        pixels = pixels / np.array(self.std, np.float32)
        return pixels[..., ::-1] if self.bgr else pixels

    @property
    def form(self) -> Form:
        """Of the images."""
        return Form(len(self.mean), self.bits)


PREPROCESSINGS: Registry[Preprocessing] = Registry("preprocessing")

PREPROCESSINGS.add(
    "imagenet",
    Preprocessing((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), bgr=False),
    "RGB to mean 0 and standard deviation 1, as torchvision has it",
)
PREPROCESSINGS.add(
    "bgr_mean",
    Preprocessing((122.675, 116.669, 104.008), (1.0, 1.0, 1.0), bgr=True),
    "BGR minus ImageNet's mean, as Caffe and DeepLabV2 have it",
)
PREPROCESSINGS.add(
    "plus_minus_one",
    Preprocessing((127.0, 127.0, 127.0), (128.0, 128.0, 128.0), bgr=False),
    "RGB from about −1 to 1, as EfficientNet-Lite has it",
)
_LEAST_STD = 2**-40  # levels; one pixel of 10¹⁵ that differs gives as much
SPLIT = "split"  # whose numbers are those of the data
PREPROCESSINGS.add(
    SPLIT,
    Preprocessing((), (), bgr=False, padding=()),
    "every channel to mean 0 and standard deviation 1 over the training split",
)


def preprocessing_of(
    name: str, statistics: Statistics | None, form: Form = RGB
) -> Preprocessing:
    """Returns a preprocessing of the table.

    Args:
      name: one of `PREPROCESSINGS`.
      statistics: of the training split, for `split`.
      form: of the images.

    Raises:
      UserError: there are no statistics for `split`, of another number of channels, or
        such as no images of that form have.
    """
    if name != SPLIT:
        return PREPROCESSINGS[name]
    if statistics is None or len(statistics.mean) != form.channels:
        raise UserError(
            f"--preprocessing {SPLIT} needs the mean and the standard deviation of "
            f"each of {form.channels} channels, and the model does not have them"
        )
    for channel, (mean, std) in enumerate(zip(*statistics, strict=True), 1):
        if not (0 <= mean <= form.most and _LEAST_STD <= std <= form.most):
            raise UserError(
                f"the model says that channel {channel} of its images has mean {mean} "
                f"and standard deviation {std}, which none of {form.bits} bits has"
            )
    padding = tuple(round(mean) for mean in statistics.mean)
    return Preprocessing(*statistics, bgr=False, padding=padding, bits=form.bits)


def check_preprocessing(name: str, form: Form, *, jitter: float) -> None:
    """Refuses what is for RGB of 8 bits where images have another form.

    Raises:
      UserError: it names the option.
    """
    if not form.is_rgb and name != SPLIT:
        raise UserError(
            f"--preprocessing must be {SPLIT} with {form.options}: others are for RGB "
            f"of 8 bits, got {name!r}"
        )
    if form.channels != 3 and jitter:
        raise UserError(
            f"--jitter must be 0 with --channels {form.channels}: it changes light and "
            f"colors of RGB, got {jitter}"
        )

"""The form of images: how many channels they have, and of how many bits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from train.common.errors import UserError
from train.common.options import Limit, one_of

CHANNELS = Limit(lambda channels: 1 <= channels <= 32, "must lie in [1, 32]")
BITS = one_of((8, 16))


class Form(NamedTuple):
    """Channels of an image, and bits of each."""

    channels: int = 3
    bits: int = 8

    @property
    def is_rgb(self) -> bool:
        """Whether any picture of 8 bits can be shown in it, gray and palette too."""
        return self == RGB

    @property
    def dtype(self) -> np.dtype:
        """Of the arrays."""
        return np.dtype(np.uint8 if self.bits == 8 else np.uint16)

    @property
    def most(self) -> int:
        """The highest level."""
        return 2**self.bits - 1

    @property
    def options(self) -> str:
        """The words by which the command line asks for it."""
        return f"--channels {self.channels} --bit-depth {self.bits}"

    @property
    def caption(self) -> str:
        """What arrays of such images are."""
        return f"{self.dtype} {'RGB' if self.channels == 3 else 'levels'}"

    def __str__(self) -> str:
        return f"{self.channels} channel{'s' * (self.channels > 1)} of {self.bits} bits"


RGB = Form()


def form_of(pixels: np.ndarray) -> Form:
    """Returns the form of an array `[height, width, channels]`."""
    return Form(pixels.shape[-1], 8 * pixels.dtype.itemsize)


def check_form(found: Form, wanted: Form, name: str) -> None:
    """Refuses an image of another form than the network is for.

    Raises:
      UserError: it names the image, both forms and the way out.
    """
    if found != wanted:
        raise UserError(
            f"{name} has {found}, but images are read with {wanted} here, which the "
            f"network sees ({wanted.options}). Save it with those, or train another "
            f"network with {found.options}."
        )


def shown_image(image: np.ndarray) -> np.ndarray:
    """Returns what is seen of an image, uint8 RGB `[height, width, 3]`.

    The first three channels, or the first alone as gray where there are fewer. Those of
    16 bits are stretched, each from its 2nd to its 98th percentile.
    """
    pixels = image[..., :3] if image.shape[-1] >= 3 else image[..., :1]
    if pixels.dtype != np.uint8:
        low, high = np.percentile(pixels, (2, 98), axis=(0, 1))
        levels = (pixels - low) / np.maximum(high - low, 1)
        pixels = np.rint(255 * levels.clip(0, 1)).astype(np.uint8)
    return pixels if pixels.shape[-1] == 3 else pixels.repeat(3, axis=-1)

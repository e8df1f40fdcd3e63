"""Preprocessing: how pixels become what a network was trained to see."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from models.registry import Registry

if TYPE_CHECKING:
    import jax


class Preprocessing(NamedTuple):
    """(pixel − mean) / standard deviation, channel by channel, in RGB or in BGR."""

    mean: tuple[float, float, float]  # of 255, in RGB
    std: tuple[float, float, float]
    bgr: bool

    def __call__(self, images: jax.Array) -> jax.Array:
        """Returns uint8 RGB `[..., 3]` as the network wants it, float32."""
        pixels = images.astype(np.float32) - np.array(self.mean, np.float32)
        pixels = pixels / np.array(self.std, np.float32)
        return pixels[..., ::-1] if self.bgr else pixels


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

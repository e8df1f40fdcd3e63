"""How pixels become what a network was trained to see."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Preprocessing(NamedTuple):
    """(pixel − mean) / deviation, channel by channel, in RGB or in BGR."""

    mean: tuple[float, float, float]  # of 255, in RGB
    deviation: tuple[float, float, float]
    bgr: bool

    def __call__(self, images: jax.Array) -> jax.Array:
        """Returns uint8 RGB `[..., 3]` as the network wants it, float32."""
        pixels = images.astype(jnp.float32) - jnp.array(self.mean)
        pixels = pixels / jnp.array(self.deviation)
        return pixels[..., ::-1] if self.bgr else pixels


PREPROCESSINGS = {
    # torchvision's, and most others that began with ImageNet.
    "imagenet": Preprocessing(
        (123.675, 116.28, 103.53), (58.395, 57.12, 57.375), False
    ),
    # Caffe's, and so DeepLabV2's: the mean of ImageNet, no deviation.
    "bgr_mean": Preprocessing((122.675, 116.669, 104.008), (1.0, 1.0, 1.0), True),
}

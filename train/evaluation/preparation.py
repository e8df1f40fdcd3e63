"""What preparing does to images, done to those to predict (`--image-height`).

Masks go back to the size of the image that was given.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from train.data.images import Example, at_height
from train.training.scales import resize_linear, shrink_labels


def prepared(image: np.ndarray, height: int) -> np.ndarray:
    """Returns an image, uint8 `[height, width, 3]`, as preparing resizes it.

    Args:
      image: of any size.
      height: that images are prepared at, pixels; 0 leaves it as it is.
    """
    blank = np.zeros(image.shape[:2], np.uint8)
    return at_height(Example(image, blank), height).image


def at_size(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns a mask at a height and width, by nearest neighbor."""
    if mask.shape == size:
        return mask
    resized = Image.fromarray(mask).resize(size[::-1], Image.Resampling.NEAREST)
    return np.asarray(resized)


def prepared_images(images: jax.Array, height: int) -> jax.Array:
    """Returns what `prepared` does, to within a rounding, of a batch under `jit`.

    Args:
      images: uint8 `[batch, height, width, 3]`; the batch may be symbolic.
      height: that images are prepared at, pixels; 0 leaves them as they are.
    """
    tall, wide = images.shape[1:3]
    if height in (0, tall):
        return images
    width = max(1, round(wide * (height / tall)))
    pixels = images.astype(jnp.float32)
    for size in ((tall, width), (height, width)):  # to whole levels each, as Pillow
        pixels = jnp.floor(resize_linear(pixels, size, antialias=True) + 0.5)
    return pixels.astype(jnp.uint8)


def masks_at_size(masks: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """Returns what `at_size` does, of a batch under `jit`, of any type."""
    return shrink_labels(masks, size)

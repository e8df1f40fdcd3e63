"""What preparing does to images, done to those to predict (`--image-height`).

Masks go back to the size of the image that was given.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from train.data.forms import Form
from train.data.images import Example, at_height, rescaled_size
from train.training.scales import nearest, resize_linear


def prepared(image: np.ndarray, height: int) -> np.ndarray:
    """Returns an image `[height, width, channels]` as preparing resizes it.

    Args:
      image: of any size.
      height: that images are prepared at, pixels; 0 leaves it as it is.
    """
    blank = np.zeros(image.shape[:2], np.uint8)
    return at_height(Example(image, blank), height).image


def at_size(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns a mask at a height and width, by nearest neighbor."""
    for axis, (pixels, wanted) in enumerate(zip(mask.shape, size, strict=True)):
        if pixels != wanted:
            mask = np.take(mask, nearest(pixels, wanted), axis=axis)
    return mask


def prepared_images(images: jax.Array, height: int) -> jax.Array:
    """Returns what `prepared` does, to within a rounding, of a batch under `jit`.

    Args:
      images: `[batch, height, width, channels]`; the batch may be symbolic.
      height: that images are prepared at, pixels; 0 leaves them as they are.
    """
    tall, wide = images.shape[1:3]
    if height in (0, tall):
        return images
    _, width = rescaled_size((tall, wide), height / tall)
    pixels = images.astype(jnp.float32)
    is_rgb = Form(images.shape[-1], 8 * images.dtype.itemsize).is_rgb
    for size in ((tall, width), (height, width)):
        pixels = resize_linear(pixels, size, antialias=True)
        if is_rgb:  # to whole levels each time, as Pillow
            pixels = jnp.floor(pixels + 0.5)
    return jnp.floor(pixels + 0.5).astype(images.dtype)

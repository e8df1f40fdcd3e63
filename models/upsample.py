"""From the network's resolution back to the image's.

Every strided layer here is centred on its input pixel, so feature i stands on pixel
i × stride: the bilinear and the learned upsampling put it back exactly there. Resizing
by half-pixel centres, the usual default, is out by up to (stride − 1)/2 pixels towards
the borders; it is here for networks that were trained with it.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx


def bilinear_upsample(
    features: jax.Array, *, stride: int, size: tuple[int, int]
) -> jax.Array:
    """Interpolates linearly between features that stand `stride` pixels apart.

    Args:
      features: `[..., ⌈height/stride⌉, ⌈width/stride⌉, channels]`.
      stride: pixels per feature.
      size: (height, width) in pixels.

    Returns:
      `[..., height, width, channels]`; pixels past the last feature take its value.
    """
    rows, columns = (
        jnp.asarray(_interpolation(count, stride, length), features.dtype)
        for count, length in zip(features.shape[-3:-1], size, strict=True)
    )
    features = jnp.einsum("Hh,...hwc->...Hwc", rows, features)
    return jnp.einsum("Ww,...hwc->...hWc", columns, features)


def _interpolation(count: int, stride: int, length: int) -> np.ndarray:
    """Returns the weights `[length, count]` of each feature in each pixel."""
    position = np.minimum(np.arange(length) / stride, count - 1)
    return np.maximum(0.0, 1.0 - np.abs(position[:, None] - np.arange(count)))


def half_pixel_upsample(features: jax.Array, *, size: tuple[int, int]) -> jax.Array:
    """Resizes linearly as if features and pixels were areas that cover the image.

    Args:
      features: `[batch, h, w, channels]`.
      size: (height, width) in pixels.

    Returns:
      `[batch, height, width, channels]`, as PyTorch's
      `interpolate(mode="bilinear", align_corners=False)`.
    """
    batch, _, _, channels = features.shape
    return jax.image.resize(features, (batch, *size, channels), "linear")


class LearnedUpsample(nnx.Module):
    """A transposed convolution that starts as bilinear interpolation.

    Args:
      channels: inputs and outputs.
      stride: output pixels per feature; the window is 2·stride − 1.
      rngs: unused by the fixed initialisation, required by Flax.
    """

    def __init__(self, channels: int, *, stride: int, rngs: nnx.Rngs):
        self.stride = stride
        window = 2 * stride - 1
        self.deconvolution = nnx.ConvTranspose(
            channels,
            channels,
            (window, window),
            strides=(stride, stride),
            padding="VALID",
            use_bias=False,
            kernel_init=_bilinear_kernel,
            rngs=rngs,
        )

    def __call__(self, features: jax.Array, *, size: tuple[int, int]) -> jax.Array:
        """Returns `[batch, height, width, channels]` for `size` = (height, width).

        Past the last feature the values fade towards zero instead of repeating.
        """
        height, width = size
        start = self.stride - 1  # where the window of feature 0 is centred
        full = self.deconvolution(features)
        return full[:, start : start + height, start : start + width]


def _bilinear_kernel(
    key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype, *unused: object
) -> jax.Array:
    """Returns `[window, window, channels, channels]` that interpolates each channel."""
    del key, unused
    stride = (shape[0] + 1) // 2
    ramp = 1.0 - np.abs(np.arange(shape[0]) - (stride - 1)) / stride
    window = ramp[:, None] * ramp[None, :]
    return jnp.asarray(window[..., None, None] * np.eye(shape[2]), dtype)

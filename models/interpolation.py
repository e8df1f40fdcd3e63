"""Upsampling from the network's resolution to the image's.

Every strided layer here is centered on its input pixel, so feature i stands on pixel
i × stride: bilinear and learned upsampling put it back exactly there. Resizing by
half-pixel centers, the usual default, is off by up to (stride − 1)/2 pixels toward the
borders; it is here for networks that were trained with it.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx


class BilinearUpsample(nnx.Module):
    """Linear interpolation between features that stand `stride` pixels apart."""

    def __init__(self, stride: int):
        self.stride = stride

    def __call__(self, features: jax.Array, *, size: tuple[int, int]) -> jax.Array:
        """Returns `[..., height, width, channels]` for `size` = (height, width).

        Pixels past the last feature take its value.

        Args:
          features: `[..., ⌈height/stride⌉, ⌈width/stride⌉, channels]`.
          size: in pixels.
        """
        rows, columns = (
            jnp.asarray(_interpolation(count, self.stride, length), features.dtype)
            for count, length in zip(features.shape[-3:-1], size, strict=True)
        )
        features = jnp.einsum("Hh,...hwc->...Hwc", rows, features)
        return jnp.einsum("Ww,...hwc->...hWc", columns, features)


def _interpolation(count: int, stride: int, length: int) -> np.ndarray:
    """Returns the weights `[length, count]` of each feature in each pixel."""
    position = np.minimum(np.arange(length) / stride, count - 1)
    return np.maximum(0.0, 1.0 - np.abs(position[:, None] - np.arange(count)))


class HalfPixelUpsample(nnx.Module):
    """Linear resizing as if features and pixels were areas that cover the image.

    As PyTorch's `interpolate(mode="bilinear", align_corners=False)`.
    """

    def __call__(self, features: jax.Array, *, size: tuple[int, int]) -> jax.Array:
        """Returns `[batch, height, width, channels]` for `size` = (height, width)."""
        batch, _, _, channels = features.shape
        return jax.image.resize(features, (batch, *size, channels), "linear")


class LearnedUpsample(nnx.Module):
    """A transposed convolution that starts as bilinear interpolation.

    Each output pixel lies under at most 2 × 2 windows, so this is computed as a plain
    2 × 2 convolution with an output channel for each of the stride² positions between
    features: the same numbers, without multiplying the zeros that a transposed
    convolution inserts between features.

    Args:
      channels: inputs and outputs.
      stride: output pixels per feature; the window is 2·stride − 1.
      rngs: unused; the initial kernel is fixed.
    """

    def __init__(self, channels: int, *, stride: int, rngs: nnx.Rngs):
        del rngs
        self.stride = stride
        # What a feature adds around its pixel: [window, window, inputs, outputs].
        self.kernel = nnx.Param(_bilinear_kernel(channels, stride))

    def __call__(self, features: jax.Array, *, size: tuple[int, int]) -> jax.Array:
        """Returns `[batch, height, width, channels]` for `size` = (height, width).

        Past the last feature the values fade toward zero instead of repeating.
        """
        batch, rows, columns, channels = features.shape
        stride, (height, width) = self.stride, size
        # Pixel stride·j + p has tap p + stride of feature j and tap p of feature j + 1,
        # counted from a zero padded before the window.
        kernel = jnp.pad(self.kernel[...], ((1, 0), (1, 0), (0, 0), (0, 0)))
        kernel = kernel.reshape(2, stride, 2, stride, channels, channels)[::-1, :, ::-1]
        kernel = kernel.transpose(0, 2, 4, 1, 3, 5).reshape(2, 2, channels, -1)
        between = jax.lax.conv_general_dilated(
            features,
            kernel,
            window_strides=(1, 1),
            padding=((0, 1), (0, 1)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        between = between.reshape(batch, rows, columns, stride, stride, channels)
        full = between.transpose(0, 1, 3, 2, 4, 5)
        full = full.reshape(batch, rows * stride, columns * stride, channels)
        return full[:, :height, :width]


def _bilinear_kernel(channels: int, stride: int) -> jax.Array:
    """Returns `[window, window, channels, channels]` that interpolates each channel."""
    window = 2 * stride - 1
    ramp = 1.0 - np.abs(np.arange(window) - (stride - 1)) / stride
    kernel = ramp[:, None, None, None] * ramp[None, :, None, None] * np.eye(channels)
    return jnp.asarray(kernel, jnp.float32)

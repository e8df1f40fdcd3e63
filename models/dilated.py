"""Dilated convolution, its weight gradient stated in terms that XLA is fast at.

XLA hands the weight gradient of a plain convolution to the library that has a program
for it. That of a dilated one becomes a convolution whose window is as large as the
features, with the dilation as its stride: on a GPU it took 17 of a training step's 40
ms (benchmarks/RESULTS.md). The same sums are matrix products, one for each tap, or a
plain convolution's gradient over interleaved images.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp

# Features in and out from which products pay on a CPU (benchmarks/dilated.py).
CPU_CHANNELS = 256


def dilated_conv(
    images: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    *,
    rhs_dilation: Sequence[int],
    **options: Any,
) -> jax.Array:
    """Returns `jax.lax.conv_general_dilated`, with a faster gradient by the kernel.

    Reverse mode alone.

    Args:
      images: `[batch, height, width, inputs]`.
      kernel: `[side, side, inputs, outputs]`, the side odd.
      strides: 1.
      padding: half the window, so that the result has the images' size.
      rhs_dilation: inputs between the window's taps, the same along both axes.
      **options: the others, at their defaults; the layouts are as above.

    Returns:
      `[batch, height, width, outputs]`, of the images' dtype.
    """
    del strides, padding, options
    return _convolve(images, kernel, rhs_dilation[0])


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve(images: jax.Array, kernel: jax.Array, dilation: int) -> jax.Array:
    return _plain(images, kernel, dilation)


def _forward(
    images: jax.Array, kernel: jax.Array, dilation: int
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _convolve(images, kernel, dilation), (images, kernel)


def _backward(
    dilation: int, inputs: tuple[jax.Array, jax.Array], slope: jax.Array
) -> tuple[jax.Array, jax.Array]:
    images, kernel = inputs
    # Else XLA may rearrange the images in the forward pass and keep that as well.
    images, slope = jax.lax.optimization_barrier((images, slope))
    turned = jnp.swapaxes(kernel[::-1, ::-1], 2, 3)
    by_kernel = jax.lax.platform_dependent(
        images,
        slope,
        **{
            platform: functools.partial(way, side=kernel.shape[0], dilation=dilation)
            for platform, way in ways(images.shape, kernel.shape, dilation).items()
        },
    )
    by_images = _convolve(slope, turned, dilation)
    return by_images, by_kernel


_convolve.defvjp(_forward, _backward)


class WeightGradient(Protocol):
    """A way to the weight gradient of a dilated convolution."""

    def __call__(
        self, images: jax.Array, slope: jax.Array, *, side: int, dilation: int
    ) -> jax.Array:
        """Returns the gradient `[side, side, inputs, outputs]`, of the images' dtype.

        Args:
          images: `[batch, height, width, inputs]`.
          slope: the loss's gradient by the result, `[batch, height, width, outputs]`.
          side: of the window.
          dilation: between its taps.
        """


def ways(
    images: Sequence[int], kernel: Sequence[int], dilation: int
) -> dict[str, WeightGradient]:
    """Returns the fastest way for shapes, by platform."""
    mostly_padding = min(images[1:3]) < 4 * dilation  # once interleaved
    return {
        "cpu": tap_products if min(kernel[2:]) >= CPU_CHANNELS else transposed,
        "default": tap_products if mostly_padding else interleaved,
    }


def transposed(
    images: jax.Array, slope: jax.Array, *, side: int, dilation: int
) -> jax.Array:
    """Returns the gradient as JAX transposes the convolution; see `WeightGradient`."""
    kernel = jax.ShapeDtypeStruct(
        (side, side, images.shape[-1], slope.shape[-1]), images.dtype
    )

    def convolve(kernel: jax.Array) -> jax.Array:
        return _plain(images, kernel, dilation)

    (gradient,) = jax.linear_transpose(convolve, kernel)(slope)
    return gradient


def tap_products(
    images: jax.Array, slope: jax.Array, *, side: int, dilation: int
) -> jax.Array:
    """Returns the gradient as a matrix product for each tap; see `WeightGradient`.

    Places that lie outside the images are left out.
    """
    wide = jnp.promote_types(images.dtype, jnp.float32)

    def product(row: int, column: int) -> jax.Array:
        shifts = [dilation * (place - side // 2) for place in (row, column)]
        if any(abs(s) >= n for s, n in zip(shifts, images.shape[1:3], strict=True)):
            return jnp.zeros((images.shape[-1], slope.shape[-1]), wide)
        seen, under = (
            array[:, *(slice(max(0, s), min(0, s) or None) for s in turned)]
            for array, turned in ((images, shifts), (slope, [-s for s in shifts]))
        )
        return jnp.einsum("bhwi,bhwo->io", seen, under, preferred_element_type=wide)

    places = range(side)
    products = [[product(row, column) for column in places] for row in places]
    return jnp.stack([jnp.stack(row) for row in products]).astype(images.dtype)


def interleaved(
    images: jax.Array, slope: jax.Array, *, side: int, dilation: int
) -> jax.Array:
    """Returns the gradient of a plain convolution; see `WeightGradient`.

    Every `dilation`-th row and column is an image of its own.
    """
    parts = (_interleave(array, dilation) for array in (images, slope))
    return transposed(*parts, side=side, dilation=1)


def _interleave(images: jax.Array, step: int) -> jax.Array:
    """Returns `[step² batch, ⌈height/step⌉, ⌈width/step⌉, channels]`, zeros added."""
    batch, *sizes, channels = images.shape
    counts = [-(-size // step) for size in sizes]
    ends = [(0, count * step - n) for count, n in zip(counts, sizes, strict=True)]
    padded = jnp.pad(images, [(0, 0), *ends, (0, 0)])
    split = padded.reshape(batch, counts[0], step, counts[1], step, channels)
    return split.transpose(0, 2, 4, 1, 3, 5).reshape(-1, *counts, channels)


def _plain(images: jax.Array, kernel: jax.Array, dilation: int) -> jax.Array:
    reach = dilation * (kernel.shape[0] - 1) // 2
    return jax.lax.conv_general_dilated(
        images,
        kernel,
        (1, 1),
        ((reach, reach), (reach, reach)),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )

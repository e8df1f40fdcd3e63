"""Pointwise convolution, of a 1×1 window: the same matrix product at every pixel.

XLA's CPU code makes of its weight gradient a convolution with a window as large as the
features, which took up to ten times as long as the product that it is, and makes
transposed copies for it, each of which computes anew what stands before
(benchmarks/pointwise.py). On other devices XLA's own is used.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax

_DIVIDED = contextvars.ContextVar("rows divided", default=False)


@contextlib.contextmanager
def rows_divided(divided: bool) -> Iterator[None]:
    """Says whether what is traced within has its images' rows on several devices.

    XLA divides a convolution by rows. For a product of two axes it would first bring
    together what the devices have, so that none is used then.
    """
    before = _DIVIDED.set(divided)
    try:
        yield
    finally:
        _DIVIDED.reset(before)


def pointwise_conv(
    images: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    **options: Any,
) -> jax.Array:
    """Returns `jax.lax.conv_general_dilated` with a 1×1 window.

    Args:
      images: `[batch, height, width, inputs]`.
      kernel: `[1, 1, inputs, outputs]`.
      strides: of height and width.
      padding: none.
      **options: the others of `jax.lax.conv_general_dilated`, for devices that use it.

    Returns:
      `[batch, ⌈height/stride⌉, ⌈width/stride⌉, outputs]`, of the images' dtype.
    """
    convolve: Callable[..., jax.Array] = functools.partial(
        jax.lax.conv_general_dilated,
        window_strides=strides,
        padding=padding,
        **options,
    )
    if _DIVIDED.get():
        return convolve(images, kernel)
    return jax.lax.platform_dependent(
        images,
        kernel,
        cpu=functools.partial(pixel_product, strides=strides),
        default=convolve,
    )


def pixel_product(
    images: jax.Array, kernel: jax.Array, strides: Sequence[int]
) -> jax.Array:
    """Returns the convolution as one product; see `pointwise_conv`.

    Of two axes: with four, XLA transposes the features for the weight gradient.
    """
    down, right = strides
    seen = images[:, ::down, ::right]
    pixels = seen.reshape(-1, seen.shape[-1])
    return (pixels @ kernel[0, 0]).reshape(*seen.shape[:-1], -1)

"""Pointwise convolution, of a 1×1 window: the same matrix product at every pixel.

XLA's CPU code makes of its weight gradient a convolution with a window as large as the
features, which took up to ten times as long as the product that it is, and makes
transposed copies for it, each of which computes anew what stands before
(benchmarks/pointwise.py). XLA's GPU code had the product itself faster than the
convolution, but not the sum over all pixels in its weight gradient. Elsewhere the
convolution is used.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp

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


def rows_are_divided() -> bool:
    """Returns what `rows_divided` says here."""
    return _DIVIDED.get()


def pointwise_conv(
    images: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    *,
    offset: jax.Array | None = None,
    **options: Any,
) -> jax.Array:
    """Returns `jax.lax.conv_general_dilated` with a 1×1 window.

    Args:
      images: `[batch, height, width, inputs]`.
      kernel: `[1, 1, inputs, outputs]`.
      strides: of height and width.
      padding: none.
      offset: is added, `[outputs]`; on a CUDA GPU in the images' dtype, so that the
        product itself adds it.
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

    def plus_offset(product: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
        return lambda images, kernel, *offset: raised(product(images, kernel), *offset)

    offsets = () if offset is None else (offset,)
    if rows_are_divided():
        return plus_offset(convolve)(images, kernel, *offsets)
    return jax.lax.platform_dependent(
        images,
        kernel,
        *offsets,
        cpu=plus_offset(functools.partial(pixel_product, strides)),
        cuda=functools.partial(gpu_product, tuple(strides)),
        default=plus_offset(convolve),
    )


def raised(y: jax.Array, *offset: jax.Array) -> jax.Array:
    """Returns y plus an offset, if there is one, rounded once to y's dtype."""
    return (y + offset[0]).astype(y.dtype) if offset else y


def pixel_product(
    strides: Sequence[int], images: jax.Array, kernel: jax.Array, *offset: jax.Array
) -> jax.Array:
    """Returns the convolution as one product; see `pointwise_conv`.

    Of two axes: with four, XLA transposes the features for the weight gradient.
    """
    down, right = strides
    seen = images[:, ::down, ::right]
    y = seen.reshape(-1, seen.shape[-1]) @ kernel[0, 0]
    y = y + offset[0].astype(y.dtype) if offset else y
    return y.reshape(*seen.shape[:-1], -1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def gpu_product(
    strides: tuple[int, ...], images: jax.Array, kernel: jax.Array, *offset: jax.Array
) -> jax.Array:
    """Returns `pixel_product`, its gradient by the kernel that of the convolution.

    XLA pads the operands of that product first, to divide the sum over all pixels, and
    does not where it is a convolution's gradient.
    """
    return pixel_product(strides, images, kernel, *offset)


def _forward(
    strides: tuple[int, ...], *inputs: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    return gpu_product(strides, *inputs), inputs


def _backward(
    strides: tuple[int, ...], inputs: tuple[jax.Array, ...], slope: jax.Array
) -> tuple[jax.Array, ...]:
    images, kernel, *offset = inputs

    def product(images: jax.Array) -> jax.Array:
        return pixel_product(strides, images, kernel)

    def convolution(kernel: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated(
            images,
            kernel,
            strides,
            ((0, 0), (0, 0)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    (by_images,) = jax.linear_transpose(product, images)(slope)
    (by_kernel,) = jax.linear_transpose(convolution, kernel)(slope)
    by_offset = [jnp.sum(slope, (0, 1, 2), given.dtype) for given in offset]
    return by_images, by_kernel, *by_offset


gpu_product.defvjp(_forward, _backward)

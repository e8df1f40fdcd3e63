"""Depthwise convolution: each channel with a window of its own.

XLA's CPU code for it convolves channel by channel: it takes 10 to 100 times as long as
the same sum over shifted images, and its gradients likewise (benchmarks/depthwise.py).
On other devices XLA's own is used.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Window(NamedTuple):
    """Geometry of a convolution, for height and width."""

    strides: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]  # before and after
    dilation: tuple[int, int]


def depthwise_conv(
    images: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    *,
    rhs_dilation: Sequence[int] = (1, 1),
    **options: Any,
) -> jax.Array:
    """Returns `jax.lax.conv_general_dilated` of channels that do not mix.

    The sum is in float32 whatever the dtype.

    Args:
      images: `[batch, height, width, channels]`.
      kernel: `[rows, columns, 1, channels]`.
      strides: of height and width.
      padding: zeros before and after each.
      rhs_dilation: inputs between the window's taps.
      **options: the others of `jax.lax.conv_general_dilated`, for devices that use it.

    Returns:
      `[batch, h, w, channels]`, of the images' dtype.
    """
    window = Window(tuple(strides), tuple(padding), tuple(rhs_dilation))  # type: ignore
    return jax.lax.platform_dependent(
        images,
        kernel,
        cpu=lambda images, kernel: shifted_products(images, kernel, window),
        default=functools.partial(
            jax.lax.conv_general_dilated,
            window_strides=strides,
            padding=padding,
            rhs_dilation=rhs_dilation,
            **options,
        ),
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def shifted_products(images: jax.Array, kernel: jax.Array, window: Window) -> jax.Array:
    """Returns a depthwise convolution as the sum of shifted images times weights.

    Reverse mode alone: JAX's own derivative adds up padded images, and sums each weight
    in a pass of its own.
    """
    (top, bottom), (left, right) = window.padding
    padded = jnp.pad(images, ((0, 0), (top, bottom), (left, right), (0, 0)))
    # The barriers keep XLA from computing what stands before once for each tap.
    padded = jax.lax.optimization_barrier(padded)
    shifts = _shifts(padded, kernel.shape[:2], window)
    weights = kernel.reshape(-1, kernel.shape[-1]).astype(jnp.float32)
    products = [shift * weight for shift, weight in zip(shifts, weights, strict=True)]
    total = functools.reduce(jnp.add, products).astype(images.dtype)
    return jax.lax.optimization_barrier(total)


def _forward(
    images: jax.Array, kernel: jax.Array, window: Window
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return shifted_products(images, kernel, window), (images, kernel)


def _backward(
    window: Window, inputs: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    images, kernel = inputs
    return (
        _images_gradient(gradient, kernel, images.shape[1:3], window),
        _kernel_gradient(gradient, images, kernel.shape, window).astype(kernel.dtype),
    )


shifted_products.defvjp(_forward, _backward)


def _images_gradient(
    gradient: jax.Array, kernel: jax.Array, size: Sequence[int], window: Window
) -> jax.Array:
    """Returns the turned window over the gradient, with zeros between by the stride."""
    pads = []
    for axis in range(2):
        reach = (kernel.shape[axis] - 1) * window.dilation[axis]
        before = reach - window.padding[axis][0]
        spread = (gradient.shape[1 + axis] - 1) * window.strides[axis] + 1
        after = size[axis] + reach - before - spread
        pads.append((before, after, window.strides[axis] - 1))
    none = (0, 0, 0)
    padded = jax.lax.pad(gradient, gradient.dtype.type(0), (none, *pads, none))
    plain = window._replace(strides=(1, 1), padding=((0, 0), (0, 0)))
    return shifted_products(padded, kernel[::-1, ::-1], plain)


def _kernel_gradient(
    gradient: jax.Array, images: jax.Array, shape: tuple[int, ...], window: Window
) -> jax.Array:
    """Returns the sum of gradient times shifted images, for each weight.

    All weights at once in a single reduction, and image by image: what an image needs
    then stays in the cache.
    """
    (top, bottom), (left, right) = window.padding
    padded = jnp.pad(images, ((0, 0), (top, bottom), (left, right), (0, 0)))

    def add(
        total: jax.Array, pair: tuple[jax.Array, jax.Array]
    ) -> tuple[jax.Array, None]:
        image, slope = (array[None].astype(jnp.float32) for array in pair)
        products = [shift * slope for shift in _shifts(image, shape[:2], window)]
        sums = jax.lax.reduce(
            products,
            [jnp.float32(0)] * len(products),
            lambda left, right: [a + b for a, b in zip(left, right, strict=True)],
            (0, 1, 2),
        )
        return total + jnp.stack(sums), None

    zero = jnp.zeros((shape[0] * shape[1], shape[-1]))
    total, _ = jax.lax.scan(add, zero, (padded, gradient))
    return total.reshape(shape)


def _shifts(
    padded: jax.Array, size: Sequence[int], window: Window
) -> Iterator[jax.Array]:
    """Yields the padded images as each of the window's taps sees them, row by row."""
    batch, *sides, channels = padded.shape
    rows, columns = (
        range(0, count * dilation, dilation)
        for count, dilation in zip(size, window.dilation, strict=True)
    )
    ends = sides[0] - rows[-1], sides[1] - columns[-1]
    for row in rows:
        for column in columns:
            yield jax.lax.slice(
                padded,
                (0, row, column, 0),
                (batch, row + ends[0], column + ends[1], channels),
                (1, *window.strides, 1),
            )

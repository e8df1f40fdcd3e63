"""Several dilated convolutions, summed: one matrix product, then shifted sums."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np


def summed_convolutions(
    features: jax.Array, kernels: Sequence[jax.Array], dilations: Sequence[int]
) -> jax.Array:
    """Returns the sum of dilated convolutions: one product, then shifted sums.

    With few outputs that moves little, and XLA finds in it no convolution with a window
    as large as the features, which is what it makes of weight gradients (see
    `models.dilated`).

    Args:
      features: `[batch, height, width, inputs]`.
      kernels: `[side, side, inputs, outputs]` each, of an odd side; cast to the dtype
        of the features.
      dilations: features between the taps of each.

    Returns:
      `[batch, height, width, outputs]`, zero-padded at the borders, float32 or wider.
    """
    size = features.shape[1:3]
    taps, shifts = [], []
    for kernel, dilation in zip(kernels, dilations, strict=True):
        for row, column in np.ndindex(kernel.shape[:2]):
            center = np.array(kernel.shape[:2]) // 2
            shift = dilation * (np.array((row, column)) - center)
            if (np.abs(shift) < size).all():  # else it sees zeros alone
                taps.append(kernel[row, column])
                shifts.append(shift)
    products = _products(features, jnp.stack(taps, axis=1).astype(features.dtype))
    # A split, whose gradient is one array; of slices, each would be as large as it.
    parts = jax.lax.split(products, (1,) * len(taps), axis=3)
    return functools.reduce(
        jnp.add,
        (_shifted(x[..., 0, :], *s) for x, s in zip(parts, shifts, strict=True)),
    )


@jax.custom_vjp
def _products(features: jax.Array, kernels: jax.Array) -> jax.Array:
    """Returns the product of every tap `[batch, height, width, taps, outputs]`.

    Float32 or wider; its slope is taken in the features' precision, as that of every
    other layer, or a GPU would make the two products for it in float32.
    """
    wide = jnp.promote_types(features.dtype, jnp.float32)
    products = jnp.einsum(
        "bhwi,io->bhwo", features, _aligned(kernels), preferred_element_type=wide
    )
    _, taps, outputs = kernels.shape
    return products[..., : taps * outputs].reshape(*products.shape[:-1], taps, outputs)


def _products_forward(
    features: jax.Array, kernels: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _products(features, kernels), (features, kernels)


def _products_backward(
    inputs: tuple[jax.Array, jax.Array], slope: jax.Array
) -> tuple[jax.Array, jax.Array]:
    features, kernels = inputs
    slope = _aligned(slope.astype(features.dtype))
    wide = jnp.promote_types(features.dtype, jnp.float32)
    by_features = jnp.einsum("bhwo,io->bhwi", slope, _aligned(kernels))
    by_kernels = jnp.einsum(
        "bhwi,bhwo->io", features, slope, preferred_element_type=wide
    )
    by_kernels = by_kernels[:, : math.prod(kernels.shape[1:])].reshape(kernels.shape)
    return by_features, by_kernels.astype(kernels.dtype)


def _aligned(array: jax.Array) -> jax.Array:
    """Returns the last two axes as one, zeros added up to a multiple of 16 bytes.

    A GPU loads its matrix units by as many.
    """
    flat = array.reshape(*array.shape[:-2], -1)
    missing = -flat.shape[-1] % (16 // array.dtype.itemsize)
    return jnp.pad(flat, [(0, 0)] * (flat.ndim - 1) + [(0, missing)])


_products.defvjp(_products_forward, _products_backward)


def _shifted(images: jax.Array, down: int, right: int) -> jax.Array:
    """Returns images as seen from so many pixels further up and left, zeros beyond."""
    pads = [(0, 0, 0), (-down, down, 0), (-right, right, 0), (0, 0, 0)]
    return jax.lax.pad(images, images.dtype.type(0), pads)

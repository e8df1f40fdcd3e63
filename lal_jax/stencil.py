"""The selective window sum, the loss's inner loop.

Each place of the window is one slice of the padded image times a mask, so that XLA
fuses all of them into one loop and no window is ever stored.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int

# Stands for "no class": neither a void pixel nor a place outside the image has one.
_NO_CLASS = np.iinfo(np.int32).min


def mark_void(
    labels: Int[Array, "*pixels"], valid: Bool[Array, "*pixels"]
) -> Int[Array, "*pixels"]:
    """Returns the labels with a mark that no class has at void pixels.

    The barrier keeps XLA from folding labels that are constants into a mask for every
    place of the window.
    """
    return jax.lax.optimization_barrier(jnp.where(valid, labels, _NO_CLASS))


def center_slices(stride: int, rank: int) -> tuple[slice, ...]:
    """Returns the indices of the windows' centers: every stride-th along each axis."""
    return (slice(None, None, stride),) * rank


@functools.partial(jax.jit, static_argnames="stride")  # one program, also outside jit
def window_sum(
    values: Float[Array, "*batch_pixels channels"],
    marks: Int[Array, "*batch_pixels"],
    weights: Float[Array | np.ndarray, "*window"],
    *,
    stride: int,
) -> Float[Array, "*batch_centers channels"]:
    """Returns Σ μ ω x over each window; void is neither center nor neighbor."""
    return _window_sum(values, marks, weights, stride)


@functools.partial(jax.custom_jvp, nondiff_argnums=(3,))
def _window_sum(
    values: Float[Array, "*batch_pixels channels"],
    marks: Int[Array, "*batch_pixels"],
    weights: Float[Array, "*window"],
    stride: int,
) -> Float[Array, "*batch_centers channels"]:
    """Sums slices of the padded image.

    Differentiated as it stands, this would become a sum of padded images, four times as
    slow. But μ is symmetric, so the transpose is a window sum too, with the weights
    mirrored, and `_mirrored_transpose` says so.
    """
    rank = weights.ndim
    batch = [(0, 0)] * (marks.ndim - rank)
    border = [(size // 2, size // 2) for size in weights.shape]
    # These two selects also keep XLA from fusing the sum with what stands before and
    # after it, which would write every slice to memory.
    values = jnp.where((marks != _NO_CLASS)[..., None], values, 0.0)  # 0 × NaN is NaN
    padded = jnp.pad(values, [*batch, *border, (0, 0)])
    neighbors = jnp.pad(marks, [*batch, *border], constant_values=_NO_CLASS)
    centers = marks[(..., *center_slices(stride, rank))]
    total = jnp.zeros((*centers.shape, values.shape[-1]), values.dtype)
    for place in np.ndindex(*weights.shape):
        window = tuple(
            slice(start, start + size, stride)
            for start, size in zip(place, marks.shape[-rank:], strict=True)
        )
        same = (neighbors[(..., *window)] == centers).astype(values.dtype)  # μ
        share = weights[place] * same  # μ ω
        total += share[..., None] * padded[(..., *window, slice(None))]
    return jnp.where((centers != _NO_CLASS)[..., None], total, 0.0)


@functools.partial(_window_sum.defjvp, symbolic_zeros=True)
def _window_sum_jvp(stride, primals, tangents):
    """The sum is linear in the values and in the weights."""
    values, marks, weights = primals
    d_values, _, d_weights = tangents
    total = _window_sum(values, marks, weights, stride)
    change = jnp.zeros_like(total)
    if not isinstance(d_values, SymbolicZero):
        change += _mirrored_transpose(d_values, marks, weights, stride)
    if not isinstance(d_weights, SymbolicZero):
        change += _window_sum(values, marks, d_weights, stride)
    return total, change


def _mirrored_transpose(
    values: Float[Array, "*batch_pixels channels"],
    marks: Int[Array, "*batch_pixels"],
    weights: Float[Array | np.ndarray, "*window"],
    stride: int,
) -> Float[Array, "*batch_centers channels"]:
    """Returns the same as `window_sum`, as the transpose of its mirror image.

    Reverse mode transposes it once more, which leaves a sum of slices.
    """
    rank = weights.ndim
    mirrored = weights[(slice(None, None, -1),) * rank]
    transpose = jax.linear_transpose(
        lambda cotangents: _window_sum.fun(cotangents, marks, mirrored, 1), values
    )
    (total,) = transpose(values)
    return total[(..., *center_slices(stride, rank), slice(None))]

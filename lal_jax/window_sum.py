"""The selective window sum, the loss's inner loop, and its derivative.

`window_sum` is the seam between the loss and the code that adds up the windows. The
derivative is stated here, once, in terms of whichever implementation is chosen.

To add an implementation, write it in a file of its own, with the arguments and the
result of `lal_jax.window_sum_slices.sum_of_slices`, and return it from
`_implementation`. The GPU kernel of the whole loss is not one: see
`lal_jax.fused_window_losses`. Where it serves some devices, shapes or dtypes only, it
chooses itself: by `jax.lax.platform_dependent`, with `sum_of_slices` for the others. It
gets any number of batch axes and spatial axes, either float dtype, and any odd window
with any dilation.

JAX must be able to transpose it by the values at stride 1. A function of JAX operations
needs nothing more. A kernel states its transpose, which is the kernel itself with the
weights mirrored, with `jax.custom_derivatives.linear_call`, or as the transpose rule of
a primitive if gradients are to go through `vmap` as well.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from lal_jax.window_sum_slices import sum_of_slices
from lal_jax.windows import center_slices

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int


class WindowSum(Protocol):
    """An implementation of the window sum."""

    def __call__(
        self,
        values: Float[Array, "*batch_pixels channels"],
        marks: Int[Array, "*batch_pixels"],
        weights: Float[Array | np.ndarray, "*window"],
        stride: int,
        dilation: tuple[int, ...],
        /,
    ) -> Float[Array, "*batch_centers channels"]:
        """Returns Σ μ ω x over each window, 0 at centers without a class."""


def _implementation() -> WindowSum:
    """Chooses the implementation."""
    return sum_of_slices


@functools.partial(jax.jit, static_argnames=("stride", "dilation"))
def window_sum(
    values: Float[Array, "*batch_pixels channels"],
    marks: Int[Array, "*batch_pixels"],
    weights: Float[Array | np.ndarray, "*window"],
    *,
    stride: int,
    dilation: tuple[int, ...],
) -> Float[Array, "*batch_centers channels"]:
    """Returns S_ω x = Σ μ ω x over each window: one program, also outside jit.

    μ is 1 where a place has its center's mark, other than `NO_CLASS`, and 0 elsewhere.
    """
    return _window_sum(values, marks, weights, stride, dilation)


@functools.partial(jax.custom_jvp, nondiff_argnums=(3, 4))
def _window_sum(
    values: Float[Array, "*batch_pixels channels"],
    marks: Int[Array, "*batch_pixels"],
    weights: Float[Array, "*window"],
    stride: int,
    dilation: tuple[int, ...],
) -> Float[Array, "*batch_centers channels"]:
    return _implementation()(values, marks, weights, stride, dilation)


@functools.partial(_window_sum.defjvp, symbolic_zeros=True)
def _window_sum_jvp(stride, dilation, primals, tangents):
    """The sum is linear in the values and in the weights."""
    values, marks, weights = primals
    d_values, _, d_weights = tangents
    total = _window_sum(values, marks, weights, stride, dilation)
    change = jnp.zeros_like(total)
    if not isinstance(d_values, SymbolicZero):
        change += _transpose_of_mirrored(d_values, marks, weights, stride, dilation)
    if not isinstance(d_weights, SymbolicZero):
        # Reverse mode makes of this a product of images, which is no window sum.
        change += sum_of_slices(values, marks, d_weights, stride, dilation)
    return total, change


def _transpose_of_mirrored(
    values: Float[Array, "*batch_pixels channels"],
    marks: Int[Array, "*batch_pixels"],
    weights: Float[Array | np.ndarray, "*window"],
    stride: int,
    dilation: tuple[int, ...],
) -> Float[Array, "*batch_centers channels"]:
    """Returns S_ω x as the transpose of the sum with mirrored weights.

    As μ is symmetric, the two are the same. Reverse mode transposes it once more and is
    left with a window sum, where JAX's own transpose of the slices, a sum of padded
    images, would take four times as long.
    """
    rank = weights.ndim
    mirrored = weights[(slice(None, None, -1),) * rank]
    transpose = jax.linear_transpose(
        lambda cotangents: _implementation()(cotangents, marks, mirrored, 1, dilation),
        values,
    )
    (total,) = transpose(values)
    return total[(..., *center_slices(stride, rank), slice(None))]

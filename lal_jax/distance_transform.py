"""The exact Euclidean distance transform: how far it is to the nearest pixel of a set.

Axis after axis: with s the squared distance within the axes before, it is
min_j s_j + (i − j)² with the next one (Saito and Toriwaki 1994,
doi:10.1016/0031-3203(94)90133-3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, DTypeLike, Float


def squared_distances(
    members: Bool[Array, "*pixels"], spacing: tuple[float, ...], dtype: DTypeLike
) -> Float[Array, "*pixels"]:
    """Returns the squared distance to the nearest member, ∞ where there is none.

    Distances are within the last axes, one for each number of the spacing, which is how
    far apart neighbors are; 0 at members.
    """
    first, *others = reversed(spacing)
    squares = (first * _places_to_nearest(members, dtype)) ** 2
    for axis, step in enumerate(others, start=2):
        rows = jnp.moveaxis(squares, -axis, -1)
        squares = jnp.moveaxis(_lowest_parabola(rows, step), -1, -axis)
    return squares


def _places_to_nearest(
    members: Bool[Array, "*rows length"], dtype: DTypeLike
) -> Float[Array, "*rows length"]:
    """Returns |i − j| to the nearest member of the row, before or after."""
    axis = members.ndim - 1
    place = jax.lax.broadcasted_iota(dtype, members.shape, axis)
    before = jax.lax.cummax(jnp.where(members, place, -jnp.inf), axis)
    after = jax.lax.cummin(jnp.where(members, place, jnp.inf), axis, reverse=True)
    return jnp.minimum(place - before, after - place)


@jax.jit  # or each call outside jit would compile its loop
def _lowest_parabola(
    squares: Float[Array, "*rows length"], step: float
) -> Float[Array, "*rows length"]:
    """Returns min_j s_j + (step (i − j))² for all i.

    A loop over j that carries the minimum: of one expression over i and j, XLA may
    store all where another follows. Walking the lower envelope takes fewer operations,
    but they gather and scatter, and it gains little below some 500 places.
    """
    places = step * jnp.arange(squares.shape[-1], dtype=squares.dtype)
    everywhere = jax.lax.expand_dims(places, range(squares.ndim - 1))

    def lower(lowest, vertex):
        height, place = vertex
        parabola = height[..., None] + (everywhere - place) ** 2
        return jnp.minimum(lowest, parabola), None

    vertices = jnp.moveaxis(squares, -1, 0), places
    return jax.lax.scan(lower, squares, vertices, unroll=8)[0]

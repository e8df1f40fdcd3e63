"""The window sum in plain JAX: one slice of the padded image for each window place.

XLA fuses the slices into one loop, so no window is ever stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from lal_jax.windows import NO_CLASS, center_slices

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int


def sum_of_slices(
    values: Float[Array, "*batch_pixels channels"],
    marks: Int[Array, "*batch_pixels"],
    weights: Float[Array | np.ndarray, "*window"],
    stride: int,
    dilation: tuple[int, ...],
) -> Float[Array, "*batch_centers channels"]:
    """Returns Σ μ ω x over each window, 0 at centers without a class."""
    rank = weights.ndim
    extents = marks.shape[-rank:]
    offsets = dict(offsets_within(extents, weights.shape, dilation))
    reach = np.max([np.zeros(rank, int), *map(np.abs, offsets.values())], axis=0)
    batch = [(0, 0)] * (marks.ndim - rank)
    border = [(side, side) for side in reach.tolist()]
    # These two selects also keep XLA from fusing the sum with what stands before and
    # after it, which would write every slice to memory.
    values = jnp.where((marks != NO_CLASS)[..., None], values, 0.0)  # 0 × NaN is NaN
    # XLA would compute the slice in the middle, the image itself, once more.
    padded = jax.lax.optimization_barrier(jnp.pad(values, [*batch, *border, (0, 0)]))
    neighbors = jnp.pad(marks, [*batch, *border], constant_values=NO_CLASS)
    centers = marks[(..., *center_slices(stride, rank))]
    # One sum for each column of the window: 25 terms one after the other would each
    # wait for the one before.
    columns = [jnp.zeros((), values.dtype)] * weights.shape[-1]
    for place, offset in offsets.items():
        window = tuple(
            slice(start, start + size, stride)
            for start, size in zip((reach + offset).tolist(), extents, strict=True)
        )
        same = (neighbors[(..., *window)] == centers).astype(values.dtype)  # μ
        share = weights[place] * same  # μ ω
        columns[place[-1]] += share[..., None] * padded[(..., *window, slice(None))]
    total = sum(columns, jnp.zeros((*centers.shape, values.shape[-1]), values.dtype))
    return jnp.where((centers != NO_CLASS)[..., None], total, 0.0)


def offsets_within(
    extents: tuple[int, ...], window: tuple[int, ...], dilation: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], Int[np.ndarray, " axes"]]]:
    """Yields each window place and its offset from the center, in pixels.

    Places that lie outside the image whatever the center are left out.
    """
    for place in np.ndindex(*window):
        offset = (np.array(place) - np.array(window) // 2) * np.array(dilation)
        if (np.abs(offset) < extents).all():
            yield place, offset

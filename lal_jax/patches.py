"""Selective pooling by patch extraction, to be read beside Eq. 2.

Says what `lal_jax.selective_pool` computes with every window written out. It stores
`kernel_height × kernel_width` copies of the predictions: for reading, tests and
benchmarks only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from lal_jax.neighbor_weights import chessboard_weights

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int


def selective_pool_by_patches(
    predictions: Float[Array, "height width classes"],
    labels: Int[Array, "height width"],
    valid: Bool[Array, "height width"],
    *,
    kernel_size: int = 5,
) -> Float[Array, "height width classes"]:
    """Returns Eq. 2 of Guo et al. 2018 for one image, one step a line.

    Args:
      predictions: x, floating point.
      labels: class indices.
      valid: False at void pixels.
      kernel_size: odd window size in pixels.

    Returns:
      f, zeros at void centers.
    """
    height, width = labels.shape
    weights = jnp.asarray(chessboard_weights(kernel_size), predictions.dtype)  # ω
    offsets = np.arange(kernel_size) - kernel_size // 2
    rows = np.arange(height)[:, None, None, None] + offsets[:, None]  # i + u
    columns = np.arange(width)[:, None, None] + offsets  # j + v
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    window = (rows.clip(0, height - 1), columns.clip(0, width - 1))
    same = inside & valid[window] & (labels[window] == labels[:, :, None, None])  # μ
    patches = jnp.where(same[..., None], predictions[window], 0.0)  # μ x
    total = jnp.einsum("uv,hwuvc->hwc", weights, patches)
    count = jnp.sum(same, axis=(-2, -1))[..., None].astype(total.dtype)  # ξ
    return jnp.where(valid[..., None], total / jnp.maximum(count, 1.0), 0.0)

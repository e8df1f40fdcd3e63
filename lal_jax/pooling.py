"""Selective pooling: the label-aware window average at the heart of the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import jax.numpy as jnp
import numpy as np

from lal_jax import _checks
from lal_jax.masks import valid_mask
from lal_jax.neighbor_weights import chessboard_weights
from lal_jax.stencil import center_slices, mark_void, window_sum

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Int


def selective_pool(
    predictions: Float[Array, "*batch_pixels classes"],
    labels: Int[Array, "*batch_pixels"],
    *,
    kernel_size: int | Sequence[int] = 5,
    stride: int = 1,
    neighbor_weights: ArrayLike | None = None,
    normalizer: Literal["count", "weights"] = "count",
    ignore_label: int = 255,
    where: Bool[Array, "*batch_pixels"] | None = None,
) -> Float[Array, "*batch_centers classes"]:
    r"""Averages predictions over the neighbors that share the center's label.

    .. math:: f(i,j) = \frac{1}{\xi(i,j)} \sum_{u,v}
              \mu(i+u,j+v)\, \omega(u,v)\, x(i+u,j+v)

    μ is 1 where a neighbor has the label of the window's center and 0 elsewhere, ω
    are the neighbor weights, and ξ counts the points with μ = 1, center included.

    Args:
      predictions: x, `[..., height, width, classes]`, floating point.
      labels: class indices, `[..., height, width]`, integer.
      kernel_size: window size in pixels: an odd integer or a pair (height, width). One
        size, `(5,)`, pools sequences `[..., length, classes]`, three pool volumes
        `[..., depth, height, width, classes]`, and so on. Compile time grows with the
        number of pixels in the window.
      stride: distance between centers in pixels, the same along every axis. Centers
        stand at rows and columns 0, s, 2s, …; neighbors are taken at full resolution.
      neighbor_weights: ω, of the window's shape, such as `uniform_weights` or
        `gaussian_weights` give; None takes `chessboard_weights(kernel_size)`. They
        may be learned, but their gradient takes as much memory as patches would.
      normalizer: `"count"` divides by ξ as the paper does; `"weights"` divides by
        Σ μ ω, which makes f a weighted mean.
      ignore_label: the label of void pixels, neither centers nor neighbors.
      where: False marks further void pixels, `[..., height, width]`.

    Returns:
      f, `[..., ⌈height/stride⌉, ⌈width/stride⌉, classes]`; zeros at void centers.
      float32, or float64 for float64 predictions.

    Raises:
      ValueError: shapes, dtypes or options do not fit; the message has the values.

    >>> import jax.numpy as jnp
    >>> x = jnp.array([[[1.0], [3.0], [9.0]]])         # one row, one class
    >>> y = jnp.array([[0, 0, 1]])
    >>> selective_pool(x, y, kernel_size=(1, 3))[0, :, 0].tolist()
    [2.5, 3.5, 18.0]

    Source: Eq. 2 of Guo et al. 2018. Pixels outside the image are void, where the
    paper is silent.
    """
    predictions = _checks.as_logits(predictions, "predictions")
    labels = _checks.as_labels(labels, predictions, "predictions")
    _checks.check_integer("stride", stride, least=1)
    _checks.check_choice("normalizer", normalizer, ("count", "weights"))
    weights = window_weights(kernel_size, neighbor_weights, predictions.dtype)
    _checks.check_rank(predictions, "predictions", weights.ndim)
    valid = valid_mask(labels, ignore_label=ignore_label, where=where)
    marks = mark_void(labels, valid)
    sums = window_sum(predictions, marks, weights, stride=stride)
    pooled = sums * (1.0 / window_divisor(valid, marks, weights, stride, normalizer))
    centers = center_slices(stride, weights.ndim)
    return jnp.where(valid[(..., *centers, None)], pooled, 0.0)


def window_divisor(
    valid: Bool[Array, "*batch_pixels"],
    marks: Int[Array, "*batch_pixels"],
    weights: Float[Array | np.ndarray, "*window"],
    stride: int,
    normalizer: str,
) -> Float[Array, "*batch_centers 1"]:
    """Returns ξ, the number of places with μ = 1, or Σ μ ω; 1 instead of 0."""
    summands = (
        np.ones(weights.shape, weights.dtype) if normalizer == "count" else weights
    )
    divisor = window_sum(
        valid[..., None].astype(weights.dtype), marks, summands, stride=stride
    )
    return jnp.where(divisor == 0, 1.0, divisor)


def window_weights(
    kernel_size: int | Sequence[int],
    neighbor_weights: ArrayLike | None,
    dtype: np.dtype,
) -> Float[Array | np.ndarray, "*window"]:
    """Returns ω in the given dtype: the paper's, or the caller's after a check."""
    size = _checks.check_kernel_size(kernel_size)
    if neighbor_weights is None:
        return chessboard_weights(size).astype(dtype)
    if np.shape(neighbor_weights) != size:
        raise ValueError(
            f"neighbor_weights must have the shape of the window, kernel_size={size}: "
            f"got {np.shape(neighbor_weights)}"
        )
    if isinstance(neighbor_weights, jnp.ndarray):  # may be traced, so stays in JAX
        return neighbor_weights.astype(dtype)
    weights = np.asarray(neighbor_weights, dtype)
    if not np.isfinite(weights).all():
        raise ValueError(f"neighbor_weights must be finite, got {neighbor_weights!r}")
    return weights

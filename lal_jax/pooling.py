"""Selective pooling: the label-aware window average at the heart of the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import jax.numpy as jnp
import numpy as np

from lal_jax import _checks
from lal_jax.masks import valid_mask

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Int

# Stands for "no class": neither a void pixel nor a place outside the image has one.
_NO_CLASS = np.iinfo(np.int32).min


def chessboard_weights(
    kernel_size: int | Sequence[int],
) -> Float[np.ndarray, "kernel_height kernel_width"]:
    r"""Returns the paper's neighbour weights, which halve with every ring.

    .. math:: \omega(u, v) = 2^{1 - \max(|u|, |v|)}

    Args:
      kernel_size: an odd integer or a pair (height, width) of them, in pixels.

    Returns:
      float64 weights: 2 at the centre, 1 around it, then ½, ¼, …

    Raises:
      ValueError: a size is even or not positive.

    >>> chessboard_weights(3).tolist()
    [[1.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 1.0, 1.0]]

    Source: Eq. 2 of Guo et al. 2018; max(|u|, |v|) is the chessboard distance D₈.
    """
    height, width = _checks.check_kernel_size(kernel_size)
    rows = np.abs(np.arange(height) - height // 2)
    columns = np.abs(np.arange(width) - width // 2)
    return 2.0 ** (1 - np.maximum(rows[:, None], columns[None, :]))


def selective_pool(
    predictions: Float[Array, "*batch height width classes"],
    labels: Int[Array, "*batch height width"],
    *,
    kernel_size: int | Sequence[int] = 5,
    stride: int = 1,
    neighbor_weights: ArrayLike | None = None,
    normalizer: Literal["count", "weights"] = "count",
    ignore_label: int = 255,
    where: Bool[Array, "*batch height width"] | None = None,
) -> Float[Array, "*batch rows columns classes"]:
    r"""Averages predictions over the neighbours that share the centre's label.

    .. math:: f(i,j) = \frac{1}{\xi(i,j)} \sum_{u,v}
              \mu(i+u,j+v)\, \omega(u,v)\, x(i+u,j+v)

    μ is 1 where a neighbour has the label of the window's centre and 0 elsewhere, ω
    are the neighbour weights, and ξ counts the points with μ = 1, centre included.

    Args:
      predictions: x, `[..., height, width, classes]`, floating point.
      labels: class indices, `[..., height, width]`, integer.
      kernel_size: window size in pixels: an odd integer or a pair (height, width).
      stride: distance between centres in pixels. Centres stand at rows and columns
        0, s, 2s, …; neighbours are taken at full resolution.
      neighbor_weights: ω, `[kernel_height, kernel_width]`; None takes
        `chessboard_weights(kernel_size)`.
      normalizer: `"count"` divides by ξ as the paper does; `"weights"` divides by
        Σ μ ω, which makes f a weighted mean.
      ignore_label: the label of void pixels, neither centres nor neighbours.
      where: False marks further void pixels, `[..., height, width]`.

    Returns:
      f, `[..., ⌈height/stride⌉, ⌈width/stride⌉, classes]`; zeros at void centres.
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
    predictions = _checks.as_float(predictions, "predictions")
    _checks.check_image(predictions, "predictions")
    labels = _checks.as_labels(labels, predictions, "predictions")
    _checks.check_stride(stride)
    _checks.check_choice("normalizer", normalizer, ("count", "weights"))
    weights = window_weights(kernel_size, neighbor_weights, predictions.dtype)
    valid = valid_mask(labels, ignore_label=ignore_label, where=where)
    sums, divisor = window_sums(
        predictions, labels, valid, weights, stride=stride, normalizer=normalizer
    )
    pooled = sums / jnp.where(divisor == 0, 1.0, divisor)[..., None]
    return jnp.where(valid[..., ::stride, ::stride, None], pooled, 0.0)


def window_weights(
    kernel_size: int | Sequence[int],
    neighbor_weights: ArrayLike | None,
    dtype: np.dtype,
) -> Float[Array | np.ndarray, "kernel_height kernel_width"]:
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
    return np.asarray(neighbor_weights, dtype)


def window_sums(
    values: Float[Array, "*batch height width classes"],
    labels: Int[Array, "*batch height width"],
    valid: Bool[Array, "*batch height width"],
    weights: Float[Array | np.ndarray, "kernel_height kernel_width"],
    *,
    stride: int,
    normalizer: str,
) -> tuple[
    Float[Array, "*batch rows columns classes"], Float[Array, "*batch rows columns"]
]:
    """Returns Σ μ ω x and its divisor ξ, as a sum of shifted images.

    Each shift is one slice of the padded image times a mask, so that XLA can fuse all
    of them into one loop and no window is ever stored.
    """
    height, width = labels.shape[-2:]
    kernel_height, kernel_width = weights.shape
    border = (
        (kernel_height // 2, kernel_height // 2),
        (kernel_width // 2, kernel_width // 2),
    )
    batch = ((0, 0),) * (labels.ndim - 2)
    values = jnp.where(valid[..., None], values, 0.0)  # even NaN: 0 × NaN is NaN
    values = jnp.pad(values, (*batch, *border, (0, 0)))
    marks = jnp.where(valid, labels, _NO_CLASS)
    marks = jnp.pad(marks, (*batch, *border), constant_values=_NO_CLASS)
    centers = labels[..., ::stride, ::stride]
    sums = jnp.zeros((*centers.shape, values.shape[-1]), values.dtype)
    divisor = jnp.zeros(centers.shape, values.dtype)
    for row, column in np.ndindex(kernel_height, kernel_width):
        rows = slice(row, row + height, stride)
        columns = slice(column, column + width, stride)
        same = (marks[..., rows, columns] == centers).astype(values.dtype)  # μ
        share = weights[row, column] * same  # μ ω
        sums += share[..., None] * values[..., rows, columns, :]
        divisor += same if normalizer == "count" else share
    return sums, divisor

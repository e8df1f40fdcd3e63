"""Selective pooling, the window average over pixels of the same label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import jax.numpy as jnp
import numpy as np

from lal_jax import _checks
from lal_jax.window_sum import window_sum
from lal_jax.windows import Windows, checked_windows

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Int


def selective_pool(
    predictions: Float[Array, "*batch_pixels classes"],
    labels: Int[Array, "*batch_pixels"],
    *,
    kernel_size: int | Sequence[int] = 5,
    stride: int = 1,
    dilation: int | Sequence[int] = 1,
    neighbor_weights: ArrayLike | None = None,
    normalizer: Literal["count", "weights"] = "count",
    ignore_label: int | Sequence[int] = 255,
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
        are at rows and columns 0, s, 2s, …; neighbors are taken at full resolution.
      dilation: distance between a window's places in pixels, at least 1; an integer or
        one for each axis. Logits upsampled from a coarse grid differ little within a
        few pixels: a dilation of the output stride looks at the next features instead.
      neighbor_weights: ω, of the window's shape, such as `uniform_weights` or
        `gaussian_weights` return; None means `chessboard_weights(kernel_size)`. They
        can be learned, but their gradient takes as much memory as patches would.
      normalizer: `"count"` divides by ξ as the paper does; `"weights"` divides by
        Σ μ ω, which makes f a weighted mean.
      ignore_label: the label of ignored pixels, or several; neither centers nor
        neighbors.
      where: False marks further pixels to ignore, `[..., height, width]`.

    Returns:
      f, `[..., ⌈height/stride⌉, ⌈width/stride⌉, classes]`; zeros at ignored centers.
      float32, or float64 for float64 predictions.

    Raises:
      ValueError: shapes, dtypes or options do not fit; the message has the values.

    >>> import jax.numpy as jnp
    >>> x = jnp.array([[[1.0], [3.0], [9.0]]])         # one row, one class
    >>> y = jnp.array([[0, 0, 1]])
    >>> selective_pool(x, y, kernel_size=(1, 3))[0, :, 0].tolist()
    [2.5, 3.5, 18.0]

    Source: Eq. 2 of Guo et al. 2018. Places outside the image are ignored, which the
    paper leaves open; the dilation is not in the paper.
    """
    predictions = _checks.as_logits(predictions, "predictions")
    windows = checked_windows(
        predictions,
        labels,
        name="predictions",
        kernel_size=kernel_size,
        stride=stride,
        dilation=dilation,
        neighbor_weights=neighbor_weights,
        normalizer=normalizer,
        ignore_label=ignore_label,
        where=where,
    )
    return pool_windows(predictions, windows)


def pool_windows(
    predictions: Float[Array, "*batch_pixels classes"],
    windows: Windows,
    *,
    scale: Float[Array, ""] | float = 1.0,
) -> Float[Array, "*batch_centers classes"]:
    """Returns f of checked arguments, times the scale.

    The scale joins ξ, an array without classes: a product of its own would cost the
    backward pass another array of the logits' size.
    """
    marks = windows.marks()
    sums = window_sum(
        predictions,
        marks,
        windows.weights,
        stride=windows.stride,
        dilation=windows.dilation,
    )
    pooled = sums * (scale / window_divisor(windows, marks))
    return jnp.where(windows.at_centers(windows.valid)[..., None], pooled, 0.0)


def window_divisor(
    windows: Windows, marks: Int[Array, "*batch_pixels"]
) -> Float[Array, "*batch_centers 1"]:
    """Returns ξ, the number of places with μ = 1, or Σ μ ω; 1 instead of 0."""
    weights = windows.weights
    if windows.normalizer == "count":
        weights = np.ones(weights.shape, weights.dtype)
    ones = windows.valid[..., None].astype(weights.dtype)
    divisor = window_sum(
        ones, marks, weights, stride=windows.stride, dilation=windows.dilation
    )
    return jnp.where(divisor == 0, 1.0, divisor)

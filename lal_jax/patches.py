"""Selective pooling as it is defined: window by window, mapped over the centers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from lal_jax import _checks, _labels
from lal_jax.neighbor_weights import chessboard

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int


def selective_pool_by_patches(
    predictions: Float[Array, "height width classes"],
    labels: Int[Array, "height width"],
    valid: Bool[Array, "height width"],
    *,
    kernel_size: int | Sequence[int] = 5,
) -> Float[Array, "height width classes"]:
    r"""Returns the selective pool of one image, by patch extraction and `vmap`.

    .. math:: f(i,j) = \frac{1}{\xi(i,j)} \sum_{u,v}
              \mu(i+u,j+v)\, \omega(u,v)\, x(i+u,j+v)

    The definition that `selective_pool` is tested against, to be read beside Eq. 2. It
    stores `kernel_height × kernel_width` copies of the predictions, so it is for
    reading, tests and benchmarks.

    Args:
      predictions: x, `[height, width, classes]`, floating point; one image.
      labels: class indices, `[height, width]`, integer.
      valid: False at ignored pixels, `[height, width]`; see `valid_mask`.
      kernel_size: window size in pixels: an odd integer or a pair (height, width).

    Returns:
      f, `[height, width, classes]`; zeros at ignored centers. float32, or float64 for
      float64 predictions.

    Raises:
      ValueError: shapes or dtypes do not fit, or a size is even or not positive; the
        message has the values.

    >>> import jax.numpy as jnp
    >>> x = jnp.array([[[1.0], [3.0], [9.0]]])         # one row, one class
    >>> y = jnp.array([[0, 0, 1]])
    >>> valid = jnp.array([[True, True, True]])
    >>> selective_pool_by_patches(x, y, valid, kernel_size=(1, 3))[0, :, 0].tolist()
    [2.5, 3.5, 18.0]

    Source: Eq. 2 of Guo et al. 2018, with the paper's neighbor weights and its ξ.
    """
    predictions = _checks.as_logits(predictions, "predictions")
    labels = _labels.as_labels(labels, predictions, "predictions")
    valid = _checks.as_where(valid, labels.shape, "labels", argument="valid")
    sizes = _checks.check_kernel_size(kernel_size)
    if not labels.ndim == len(sizes) == 2:
        raise ValueError(
            "predictions must be one image [height, width, classes] and kernel_size a "
            f"number or a pair: got {predictions.shape} and {kernel_size!r}; map over "
            "a batch with jax.vmap"
        )
    weights = jnp.asarray(chessboard(sizes), predictions.dtype)  # ω
    border = [(size // 2, size // 2) for size in sizes]
    padded_predictions = jnp.pad(predictions, [*border, (0, 0)])
    padded_labels, padded_valid = jnp.pad(labels, border), jnp.pad(valid, border)

    def pool_at(i: Int[Array, ""], j: Int[Array, ""]) -> Float[Array, " classes"]:
        rows, columns = i + jnp.arange(sizes[0]), j + jnp.arange(sizes[1])
        window = (rows[:, None], columns[None])  # of the padded image, around (i, j)
        same = valid[i, j] & padded_valid[window]
        same &= padded_labels[window] == labels[i, j]  # μ
        matches = jnp.where(same[..., None], padded_predictions[window], 0.0)  # μ x
        total = jnp.einsum("uv,uvc->c", weights, matches)  # Σ μ ω x
        count = jnp.sum(same).astype(total.dtype)  # ξ
        return total / jnp.maximum(count, 1.0)

    along_rows = jax.vmap(pool_at, in_axes=(None, 0))
    height, width = labels.shape
    return jax.vmap(along_rows, in_axes=(0, None))(
        jnp.arange(height), jnp.arange(width)
    )

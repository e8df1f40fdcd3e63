"""The gradient of the locally adaptive loss as the paper prints it, with its errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from lal_jax import _checks
from lal_jax.pooling import pool_windows
from lal_jax.selective_loss import (
    checked_arguments,
    window_losses,
)
from lal_jax.window_sum import window_sum

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int


def as_printed(
    x: Float[Array, "*batch_pixels classes"],
    labels: Int[Array, "*batch_pixels"],
    *,
    kernel_size: int | Sequence[int] = 5,
    power: float = 3.0,
    ignore_label: int | Sequence[int] = 255,
    where: Bool[Array, "*batch_pixels"] | None = None,
) -> Float[Array, "*batch_pixels classes"]:
    r"""Returns the derivative by the standard scores as the paper prints it: wrong.

    .. math:: M^{-1/k} \Bigl(\sum_q L_q^k\Bigr)^{1/k-1} \sum_q L_q^{k-1} \cdot
              \sum_{m,n} \bigl(\mathrm{softmax}(f(i{+}m,j{+}n)) - y(i{+}m,j{+}n)\bigr)
              \mu(i,j)\, \omega(-m,-n)

    For the record, and to see what the two errors do: the sum in Eq. 7 gives all pixels
    of an image the same factor, so hard pixels weigh no more than easy ones, and
    without 1/ξ in Eq. 8 each window weighs by the number of its pixels. It has the
    options of the paper only: no stride, weights, smoothing or other normalizer.

    Args:
      x: the standard scores, `[..., height, width, classes]`.
      labels: class indices, `[..., height, width]`.
      kernel_size: as in `locally_adaptive_loss`.
      power: as in `locally_adaptive_loss`.
      ignore_label: the label of ignored pixels, or several.
      where: False marks further pixels to ignore.

    Returns:
      The printed derivative of each image's loss by its own scores, same shape as `x`.

    Raises:
      ValueError: as `locally_adaptive_loss`.

    Source: Eq. 6–8 of Guo et al. 2018, with μ read as that of the window centered at
    (i+m, j+n), as no other reading gives a derivative. `locally_adaptive_gradient` has
    them corrected.
    """
    _checks.check_power(power)
    arguments = checked_arguments(
        x,
        labels,
        kernel_size=kernel_size,
        stride=1,
        dilation=1,
        normalization="none",
        neighbor_weights=None,
        normalizer="count",
        ignore_label=ignore_label,
        where=where,
    )
    windows, valid = arguments.windows, arguments.windows.valid
    pooled = pool_windows(arguments.logits, windows)
    losses = window_losses(pooled, arguments)
    factor = _printed_factor(losses, valid, windows.axes, power)
    onehot = jax.nn.one_hot(windows.labels, pooled.shape[-1], dtype=pooled.dtype)
    residual = jnp.where(valid[..., None], jax.nn.softmax(pooled) - onehot, 0.0)
    return factor[..., None] * window_sum(
        residual,
        windows.marks(),
        windows.weights,
        stride=1,
        dilation=windows.dilation,
    )


def _printed_factor(
    losses: Float[Array, "*batch_pixels"],
    valid: Bool[Array, "*batch_pixels"],
    axes: tuple[int, ...],
    power: float,
) -> Float[Array, "..."]:
    """Returns Eq. 7 with its sum over all pixels: one factor per image."""
    count = jnp.maximum(jnp.sum(valid, axis=axes, keepdims=True), 1)
    total = jnp.sum(losses**power, axis=axes, keepdims=True)
    total = jnp.where(total == 0, 1.0, total)
    factor = count.astype(losses.dtype) ** (-1 / power) * total ** (1 / power - 1)
    rises = jnp.where(losses > 0, losses, 1.0) ** (power - 1)
    return factor * jnp.sum(jnp.where(losses > 0, rises, 0.0), axis=axes, keepdims=True)

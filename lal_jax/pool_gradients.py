"""The derivatives of the pools by each pixel's loss, in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax.numpy as jnp

from lal_jax import _checks
from lal_jax.class_balance import balanced_losses
from lal_jax.reductions import (
    checked_losses,
    divide,
    power_mean,
    total_weight,
    valid_only,
)

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int


def minkowski_gradient(
    losses: Float[Array, "..."],
    *,
    power: float = 3.0,
    where: Bool[Array, "..."] | None = None,
    axis: int | Sequence[int] | None = (-2, -1),
) -> Float[Array, "..."]:
    r"""Returns the derivative of `minkowski_mean` by each pixel's loss.

    .. math:: \frac{\partial L^{AD}}{\partial L_q} =
              \frac{1}{M} \Bigl(\frac{L_q}{L^{AD}}\Bigr)^{k-1}

    Args:
      losses: losses per pixel, not negative.
      power: k > 0.
      where: False leaves a pixel out.
      axis: the axes that were pooled.

    Returns:
      The derivative, same shape; 0 at ignored pixels and where the pooled loss is 0.

    Raises:
      ValueError: as `minkowski_mean`.

    >>> import jax.numpy as jnp
    >>> minkowski_gradient(jnp.array([[3.0, 4.0]]), power=2.0).round(4).tolist()
    [[0.4243, 0.5657]]

    Source: Eq. 7 of Guo et al. 2018, whose last factor, printed as a sum over pixels,
    is L_q^(k−1) of the pixel alone.
    """
    _checks.check_power(power)
    losses, valid, axes = checked_losses(losses, where, axis)
    return power_mean_gradient(losses, valid, axes, power=power)


def class_balanced_gradient(
    losses: Float[Array, "..."],
    labels: Int[Array, "..."],
    *,
    exponent: float = 0.5,
    power: float = 1.0,
    where: Bool[Array, "..."] | None = None,
    ignore_label: int | Sequence[int] = 255,
    classes: int | None = None,
    axis: int | Sequence[int] | None = (-2, -1),
) -> Float[Array, "..."]:
    r"""Returns the derivative of `class_balanced_mean` by each pixel's loss.

    .. math:: \frac{\partial L}{\partial L_q} =
              \frac{w_q}{\sum_p w_p} \Bigl(\frac{L_q}{L}\Bigr)^{k-1}

    Args:
      losses: losses per pixel, not negative.
      labels: class indices, integer, same shape.
      exponent: as in `class_balanced_mean`.
      power: as in `class_balanced_mean`.
      where: False leaves a pixel out.
      ignore_label: the label of ignored pixels, or several.
      classes: as in `class_balanced_mean`.
      axis: the axes that were pooled.

    Returns:
      The derivative, same shape; 0 at ignored pixels and where the pooled loss is 0.

    Raises:
      ValueError: as `class_balanced_mean`.

    >>> import jax.numpy as jnp
    >>> labels = jnp.array([[0, 0, 0, 1]])
    >>> class_balanced_gradient(jnp.ones((1, 4)), labels, exponent=1.0).tolist()
    [[0.1666666716337204, 0.1666666716337204, 0.1666666716337204, 0.5]]

    Source: Eq. 7 of Guo et al. 2018 with weights, which are not in the paper.
    """
    _checks.check_power(power)
    losses, valid, axes, weights = balanced_losses(
        losses,
        labels,
        exponent=exponent,
        where=where,
        ignore_label=ignore_label,
        classes=classes,
        axis=axis,
    )
    return power_mean_gradient(losses, valid, axes, power=power, weights=weights)


def power_mean_gradient(
    losses: Float[Array, "..."],
    valid: Bool[Array, "..."],
    axes: tuple[int, ...],
    *,
    power: float,
    weights: Float[Array, "..."] | None = None,
) -> Float[Array, "..."]:
    """Returns Eq. 7 of checked arguments: w_q/Σw (L_q/L)^(k−1)."""
    pooled = power_mean(losses, valid, axes, power=power, weights=weights)
    losses, total = valid_only(losses, valid, axes)
    if weights is not None:
        total = total_weight(weights, axes)
    pooled, total = jnp.expand_dims(pooled, axes), jnp.expand_dims(total, axes)
    counted = valid & (pooled != 0)
    if power < 1:
        counted &= losses != 0
    ratio = divide(jnp.where(counted, losses, 1.0), jnp.where(pooled == 0, 1.0, pooled))
    share = (1.0 if weights is None else weights) / total
    return jnp.where(counted, ratio ** (power - 1.0) * share, 0.0)

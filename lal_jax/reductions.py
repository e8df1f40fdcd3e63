"""Reductions from losses per pixel to one loss per image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from lal_jax import _checks

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float


def masked_mean(
    losses: Float[Array, "..."],
    *,
    weights: Float[Array, "..."] | None = None,
    where: Bool[Array, "..."] | None = None,
    axis: int | Sequence[int] | None = (-2, -1),
) -> Float[Array, "..."]:
    """Averages the losses of the valid pixels of each image.

    Args:
      losses: losses per pixel, `[..., height, width]`.
      weights: of the pixels, not negative; the mean is Σ w ℓ / Σ w. Same shape. With
        `class_weights[labels]` and `axis=None` it is PyTorch's mean under class
        weights, where losses that have them already are divided by the number of
        pixels. None weighs all alike.
      where: False leaves a pixel out; same shape. None takes all.
      axis: the axes to average over; None takes all.

    Returns:
      One mean per image, `[...]`; 0 where no pixel is valid or all weights are 0.

    Raises:
      ValueError: losses or weights are not floating point, or `weights`, `where` or
        `axis` do not fit.

    >>> import jax.numpy as jnp
    >>> losses = jnp.array([[1.0, 3.0], [5.0, jnp.nan]])
    >>> float(masked_mean(losses, where=jnp.isfinite(losses)))
    3.0
    """
    losses, valid, axes = checked_losses(losses, where, axis)
    losses, total = valid_only(losses, valid, axes)
    if weights is not None:
        weights = _as_weights(weights, losses)
        weights = jnp.where(valid, weights, 0.0)
        losses, total = losses * weights, total_weight(weights, axes)
    return jnp.sum(losses, axis=axes) / total


def _as_weights(weights: ArrayLike, losses: Float[Array, "..."]) -> Float[Array, "..."]:
    """Returns weights of pixels in the losses' dtype and of their shape."""
    weights = _checks.as_float(weights, "weights")
    if weights.shape != losses.shape:
        raise ValueError(
            "weights must have the shape of the losses: got weights "
            f"{weights.shape} and losses {losses.shape}"
        )
    return weights.astype(losses.dtype)


def minkowski_mean(
    losses: Float[Array, "..."],
    *,
    power: float = 3.0,
    where: Bool[Array, "..."] | None = None,
    axis: int | Sequence[int] | None = (-2, -1),
) -> Float[Array, "..."]:
    r"""Pools losses by their power mean, which emphasizes hard pixels.

    .. math:: L^{AD} = \Bigl(\frac{1}{M} \sum_{i,j} L^S(i,j)^k\Bigr)^{1/k}

    over the M valid pixels of an image. k = 1 is the mean; k → ∞ tends to the maximum.

    Args:
      losses: losses per pixel, not negative, `[..., height, width]`.
      power: k > 0.
      where: False leaves a pixel out; same shape. None takes all.
      axis: the axes to pool over; None takes all.

    Returns:
      One loss per image, `[...]`; 0 with gradient 0 where all losses are 0 or no pixel
      is valid. NaN where a valid loss is NaN or infinite.

    Raises:
      ValueError: `power` is not positive and finite, losses are not floating point,
        or `where` or `axis` do not fit.

    >>> import jax.numpy as jnp
    >>> round(float(minkowski_mean(jnp.array([[0.0, 0.0], [0.0, 2.0]]))), 4)
    1.2599

    Source: Eq. 5 of Guo et al. 2018, k = 3. The losses are divided by their maximum
    first, so that no power overflows or vanishes.
    """
    _checks.check_power(power)
    losses, valid, axes = checked_losses(losses, where, axis)
    return power_mean(losses, valid, axes, power=power)


def power_mean(
    losses: Float[Array, "..."],
    valid: Bool[Array, "..."],
    axes: tuple[int, ...],
    *,
    power: float,
    weights: Float[Array, "..."] | None = None,
) -> Float[Array, "..."]:
    """Returns `minkowski_mean` of checked arguments, (Σ w L^k / Σ w)^(1/k).

    The weights are 0 where not valid; None weighs all valid pixels alike.
    """
    losses, total = valid_only(losses, valid, axes)
    if weights is not None:
        total = total_weight(weights, axes)
    # The result does not depend on the scale, and so neither does the gradient. Powers
    # below 1 need none, and there it would cost the small losses' gradient its range.
    peak = jnp.max(losses, axis=axes, keepdims=True, initial=0.0)
    unscaled = (peak == 0) | (jnp.isfinite(peak) & (power < 1))
    scale = jax.lax.stop_gradient(jnp.where(unscaled, 1.0, peak))
    ratios = divide(losses, scale)
    if power < 1:  # the slope of a root is infinite at zero
        valid &= ratios != 0
    powers = jnp.where(valid, jnp.where(valid, ratios, 1.0) ** _exponent(power), 0.0)
    if weights is not None:
        powers *= weights
    mean = jnp.sum(powers, axis=axes) / total
    empty = mean == 0  # not mean > 0, so that NaN stays NaN
    root = jnp.where(empty, 0.0, jnp.where(empty, 1.0, mean) ** (1.0 / power))
    return jnp.squeeze(scale, axes) * root


def divide(
    losses: Float[Array, "..."], scale: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Returns the losses divided by the scale, one number an image, not negative.

    XLA multiplies by its inverse, which is subnormal, and so 0, of the largest numbers.
    """
    down = jnp.where(scale > 1, 2.0**-8, 1.0)  # exact
    return losses * down / (scale * down)


def total_weight(
    weights: Float[Array, "..."], axes: tuple[int, ...]
) -> Float[Array, "..."]:
    """Returns the sum of the weights, 1 where all are 0."""
    total = jnp.sum(weights, axis=axes)
    return jnp.where(total == 0, 1.0, total)


def _exponent(power: float) -> float | int:
    """Returns a whole power as int, which multiplies instead of taking logarithms."""
    return int(power) if float(power).is_integer() else float(power)


def checked_losses(
    losses: ArrayLike, where: ArrayLike | None, axis: int | Sequence[int] | None
) -> tuple[Float[Array, "..."], Bool[Array, "..."], tuple[int, ...]]:
    """Returns the losses, which of them are valid, and the axes to reduce."""
    losses = _checks.as_float(losses, "losses")
    axes = _checks.check_axes(axis, losses.shape)
    return losses, _checks.as_where(where, losses.shape, "losses"), axes


def valid_only(
    losses: Float[Array, "..."], valid: Bool[Array, "..."], axes: tuple[int, ...]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Returns the losses, 0 where not valid, and the number that are, at least 1."""
    count = jnp.maximum(jnp.sum(valid, axis=axes), 1).astype(losses.dtype)
    return jnp.where(valid, losses, 0.0), count

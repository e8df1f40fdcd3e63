"""Pooling of the hardest pixels of an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from lal_jax import _checks
from lal_jax.reductions import checked_losses, valid_only

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float


def hard_pixel_mean(
    losses: Float[Array, "..."],
    *,
    fraction: float = 0.25,
    threshold: float | None = None,
    minimum: int = 1,
    where: Bool[Array, "..."] | None = None,
    axis: int | Sequence[int] | None = (-2, -1),
) -> Float[Array, "..."]:
    r"""Averages the largest losses of each image: a fraction, or above a threshold.

    The mean of the m largest of n valid losses, m = max(1, ⌊fraction · n⌋): online hard
    example mining (OHEM), the top-k loss. With a threshold, m is the number of losses
    above it, or `minimum` where those are fewer, or n where that is less. Losses equal
    to the m-th largest share the remaining weight, so that the result does not depend
    on the order of the pixels.

    Args:
      losses: losses per pixel, `[..., height, width]`.
      fraction: fraction of the valid pixels, in (0, 1]; 1 is `masked_mean`. Unused with
        a threshold.
      threshold: a loss; -math.log(0.7) for the pixels that cross-entropy gives less
        than 0.7.
      minimum: the least number of pixels with a threshold, of each image, or of the
        batch with `axis=None`.
      where: False leaves a pixel out; same shape. None takes all.
      axis: the axes to pool over; None takes all.

    Returns:
      One mean per image, `[...]`; 0 with gradient 0 where no pixel is valid.

    Raises:
      ValueError: `fraction` does not lie in (0, 1], `threshold` is
        negative, `minimum` is below 1 or stands without one, losses are not floating
        point, or `where` or `axis` do not fit.

    >>> import jax.numpy as jnp
    >>> losses = jnp.array([[1.0, 5.0, 3.0, 2.0]])
    >>> float(hard_pixel_mean(losses, fraction=0.5))
    4.0
    >>> float(hard_pixel_mean(losses, threshold=4.0, minimum=3))
    3.3333332538604736

    Source: online hard example mining of Shrivastava et al. 2016 (arXiv:1604.03540),
    by pixels of one image as in Wu et al. 2016 (arXiv:1605.06885).
    """
    _checks.check_share("fraction", fraction)
    _checks.check_integer("minimum", minimum, least=1)
    if threshold is None and minimum != 1:
        raise ValueError(f"minimum={minimum} needs a threshold, got None")
    losses, valid, count = _pixels_last(losses, where, axis)
    fixed = jax.lax.stop_gradient(jnp.where(valid, losses, -jnp.inf))
    if threshold is None:
        wanted = _hard_count(fraction, count)
    else:
        _checks.check_not_negative("threshold", threshold)
        above = _count(valid & (fixed > threshold), losses.dtype)
        wanted = jnp.maximum(above, jnp.minimum(float(minimum), count))
    last = jnp.maximum(wanted.astype(jnp.int32) - 1, 0)
    least = jnp.take_along_axis(jnp.sort(fixed, descending=True), last, axis=-1)
    larger = valid & (fixed > least)
    ties = valid & (fixed == least)
    left = wanted - _count(larger, losses.dtype)
    share = left / jnp.maximum(_count(ties, losses.dtype), 1.0)
    weight = jnp.where(larger, 1.0, jnp.where(ties, share, 0.0))
    return jnp.sum(weight * losses, axis=-1) / wanted[..., 0]


def loss_max_pooling(
    losses: Float[Array, "..."],
    *,
    norm: float = 1.7,
    minimal_fraction: float = 0.3,
    where: Bool[Array, "..."] | None = None,
    axis: int | Sequence[int] | None = (-2, -1),
) -> Float[Array, "..."]:
    r"""Returns the largest weighted sum of losses with the weights' norms bounded.

    .. math:: \max_w \sum_i w_i \ell_i \quad \text{with} \quad
              \lVert w \rVert_p \le n^{-1/q}, \;
              \lVert w \rVert_\infty \le \tau = n^{-1/q} m^{-1/p}

    with 1/p + 1/q = 1, n the number of valid pixels and m = max(1, ⌊r n⌋), so at least
    m pixels share the weight. The solution is w = τ min(1, (ℓ/α)^(q−1)), with α such
    that Σ min(1, (ℓ/α)^q) = m.

    Args:
      losses: ℓ per pixel, not negative, `[..., height, width]`.
      norm: p > 1; toward 1 the hardest m pixels take all, p → ∞ tends to the mean.
      minimal_fraction: r in (0, 1], the least fraction of the valid pixels.
      where: False leaves a pixel out; same shape. None takes all.
      axis: the axes to pool over; None takes all.

    Returns:
      One loss per image, `[...]`; 0 with gradient 0 where all losses are 0 or no pixel
      is valid. Between the mean and the maximum of the losses.

    Raises:
      ValueError: `norm` is not above 1, `minimal_fraction` does not lie in (0, 1],
        losses are not floating point, or `where` or `axis` do not fit.

    >>> import jax.numpy as jnp
    >>> round(float(loss_max_pooling(jnp.array([[0.0, 0.0, 1.0, 2.0]]))), 4)
    1.2122

    Source: section 3 of Rota Bulò et al. 2017 (arXiv:1704.02966). The weights are held
    constant in the gradient, which is exact at an optimum (envelope theorem).
    """
    _checks.check_norm(norm)
    _checks.check_share("minimal_fraction", minimal_fraction)
    losses, _, count = _pixels_last(losses, where, axis)  # ℓ, 0 at ignored pixels; n
    conjugate = norm / (norm - 1.0)  # q
    wanted = _hard_count(minimal_fraction, count)  # m
    fixed = jax.lax.stop_gradient(losses)
    # With the j largest losses at the bound τ, the others set α: Σ ℓ^q = (m − j) α^q.
    # The right j is the first whose next loss does not reach that α. In logarithms,
    # since for p near 1 the powers q are so high that all but the largest would vanish.
    powers = conjugate * jnp.log(fixed)  # log ℓ^q
    ordered = jnp.sort(powers, descending=True)
    rest = jax.lax.cumlogsumexp(ordered, axis=ordered.ndim - 1, reverse=True)
    bounded = jax.lax.broadcasted_iota(powers.dtype, powers.shape, powers.ndim - 1)  # j
    room = wanted - bounded
    log_room = jnp.log(jnp.maximum(room, 1.0))
    fits = (room > 0) & (ordered + log_room <= rest)
    first = jnp.argmax(fits, axis=-1, keepdims=True)
    bound = jnp.take_along_axis(rest - log_room, first, axis=-1)  # log α^q
    # log α = −∞: fewer than m losses are above 0, and all of those are at the bound.
    shares = jnp.exp(jnp.minimum(powers - bound, 0.0) / norm)
    weights = jnp.where(fixed > 0, shares, 0.0)
    total = jnp.sum(weights * losses, axis=-1)
    limit = count ** (-1.0 / conjugate) * wanted ** (-1.0 / norm)  # τ
    return limit[..., 0] * total


def _count(mask: Bool[Array, "..."], dtype: np.dtype) -> Float[Array, "..."]:
    return jnp.sum(mask, axis=-1, keepdims=True).astype(dtype)


def _hard_count(fraction: float, count: Float[Array, "..."]) -> Float[Array, "..."]:
    """Returns max(1, ⌊fraction · n⌋), with the product rounded up if just short."""
    rounding = 2 * float(jnp.finfo(count.dtype).eps)
    product = jnp.minimum(fraction * count * (1 + rounding), count)
    return jnp.maximum(jnp.floor(product), 1.0)


def _pixels_last(
    losses: Float[Array, "..."],
    where: Bool[Array, "..."] | None,
    axis: int | Sequence[int] | None,
) -> tuple[Float[Array, "..."], Bool[Array, "..."], Float[Array, "..."]]:
    """Returns losses, 0 where not valid, and mask, both `[..., pixels]`; the count."""
    losses, valid, axes = checked_losses(losses, where, axis)
    losses, count = valid_only(losses, valid, axes)
    last = tuple(range(losses.ndim - len(axes), losses.ndim))
    losses, valid = (jnp.moveaxis(array, axes, last) for array in (losses, valid))
    kept = losses.shape[: losses.ndim - len(axes)]
    pixels = math.prod(losses.shape[len(kept) :])
    if pixels == 0:  # the largest of none is undefined: one ignored pixel stands in
        return (
            jnp.zeros((*kept, 1), losses.dtype),
            jnp.zeros((*kept, 1), bool),
            count[..., None],
        )
    return (
        losses.reshape(*kept, pixels),
        valid.reshape(*kept, pixels),
        count[..., None],
    )

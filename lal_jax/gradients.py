"""The gradient of the locally adaptive loss in closed form, without autodiff.

Eq. 6–8 of Guo et al. 2018, corrected: as printed, Eq. 7 has a sum too many and Eq. 8
lacks the factor 1/ξ. For studying the method and for checking autodiff.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import jax
import jax.numpy as jnp

from lal_jax import _checks
from lal_jax.locally_adaptive import LabelPool, Pool, center_arguments
from lal_jax.pool_gradients import (
    class_balanced_gradient,
    minkowski_gradient,
    power_mean_gradient,
)
from lal_jax.pooling import window_divisor
from lal_jax.printed_gradient import as_printed
from lal_jax.selective_loss import (
    Arguments,
    Normalization,
    checked_arguments,
    mean_over_deviation,
    pooled_scores,
    scores_and_inverse_deviation,
    window_losses,
)
from lal_jax.targets import has_class, smooth_target, target_weight
from lal_jax.window_sum import window_sum
from lal_jax.windows import center_slices

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Int

__all__ = [
    "as_printed",
    "class_balanced_gradient",
    "locally_adaptive_gradient",
    "minkowski_gradient",
    "selective_gradient",
]

# Called as the pool is; returns an array of the losses' shape, 0 where ignored.
PoolGradient = Pool | LabelPool


def selective_gradient(
    predictions: Float[Array, "*batch_pixels classes"],
    labels: Int[Array, "*batch_pixels"],
    *,
    cotangents: Float[Array, "*batch_centers"] | None = None,
    kernel_size: int | Sequence[int] = 5,
    stride: int = 1,
    dilation: int | Sequence[int] = 1,
    neighbor_weights: ArrayLike | None = None,
    normalizer: Literal["count", "weights"] = "count",
    class_weights: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_label: int | Sequence[int] = 255,
    where: Bool[Array, "*batch_pixels"] | None = None,
) -> Float[Array, "*batch_pixels classes"]:
    r"""Returns the derivative of Σ_q v_q L^S_q by the predictions that are pooled.

    .. math:: \sum_q v_q\, \bigl(\mathrm{softmax}(f_q) - t_q\bigr)
              \frac{\mu_q(p)\, \omega(p - q)}{\xi_q}

    Args:
      predictions: x, the standard scores.
      labels: class indices.
      cotangents: v, one factor for each center; None means 1.
      kernel_size: as in `selective_pool`.
      stride: as in `selective_pool`.
      dilation: as in `selective_pool`.
      neighbor_weights: as in `selective_pool`.
      normalizer: as in `selective_pool`.
      class_weights: as in `selective_cross_entropy`.
      label_smoothing: as in `selective_cross_entropy`.
      ignore_label: the label of ignored pixels, or several.
      where: False marks further pixels to ignore.

    Returns:
      The derivative by x, same shape as `predictions`; 0 at ignored pixels.

    Raises:
      ValueError: as `selective_cross_entropy`.

    Source: Eq. 8 of Guo et al. 2018, with the factor 1/ξ it omits. Where labels agree
    the window relation is symmetric, so the sum over centers q around p is again a
    selective window sum, with the weights mirrored.
    """
    arguments = checked_arguments(
        predictions,
        labels,
        name="predictions",
        kernel_size=kernel_size,
        stride=stride,
        dilation=dilation,
        normalization="none",
        neighbor_weights=neighbor_weights,
        normalizer=normalizer,
        class_weights=class_weights,
        label_smoothing=label_smoothing,
        ignore_label=ignore_label,
        where=where,
    )
    scores, _ = scores_and_inverse_deviation(arguments)
    pooled = pooled_scores(scores, arguments)
    if cotangents is not None:
        _check_cotangents("cotangents", cotangents, pooled.shape[:-1])
    return _pool_gradient(pooled, arguments, cotangents)


def locally_adaptive_gradient(
    logits: Float[Array, "*batch_pixels classes"],
    labels: Int[Array, "*batch_pixels"],
    *,
    kernel_size: int | Sequence[int] = 5,
    stride: int = 1,
    dilation: int | Sequence[int] = 1,
    power: float = 3.0,
    pool_gradient: PoolGradient | None = None,
    normalization: Normalization = "standard_score",
    score_scale: float | Float[Array, ""] = 1.0,
    neighbor_weights: ArrayLike | None = None,
    normalizer: Literal["count", "weights"] = "count",
    class_weights: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_label: int | Sequence[int] = 255,
    where: Bool[Array, "*batch_pixels"] | None = None,
) -> Float[Array, "*batch_pixels classes"]:
    r"""Returns the derivative of `locally_adaptive_loss` by the logits.

    .. math:: \frac{\partial L}{\partial \hat x_p} = \frac{1}{\sigma_p}
              \bigl(g_p - \overline{g_p} - x_p\, \overline{x_p g_p}\bigr), \quad
              g = \frac{\partial L}{\partial x}

    with means over the classes, and g from Eq. 7 and 8. Under the image score σ, and
    the last mean, are taken over the image's valid pixels as well.

    Args:
      logits: raw scores, `[..., height, width, classes]`.
      labels: class indices, `[..., height, width]`.
      kernel_size: as in `locally_adaptive_loss`.
      stride: as in `locally_adaptive_loss`.
      dilation: as in `locally_adaptive_loss`.
      power: as in `locally_adaptive_loss`.
      pool_gradient: replaces Eq. 7 where `pool` replaces the Minkowski pooling: returns
        the derivative of the pooled loss by each pixel's, and is called as `pool` is.
        For `class_balanced_mean` it is `class_balanced_gradient`.
      normalization: as in `locally_adaptive_loss`.
      score_scale: as in `locally_adaptive_loss`.
      neighbor_weights: as in `locally_adaptive_loss`.
      normalizer: as in `locally_adaptive_loss`.
      class_weights: as in `locally_adaptive_loss`.
      label_smoothing: as in `locally_adaptive_loss`.
      ignore_label: the label of ignored pixels, or several.
      where: False marks further pixels to ignore.

    Returns:
      The gradient of each image's loss by its own logits, same shape as `logits`; 0 at
      ignored pixels.

    Raises:
      ValueError: as `locally_adaptive_loss`.

    >>> import jax, jax.numpy as jnp, lal_jax
    >>> logits = jax.random.normal(jax.random.key(0), (6, 7, 4))
    >>> labels = jnp.arange(42).reshape(6, 7) // 11
    >>> exact = jax.jit(locally_adaptive_gradient)(logits, labels)
    >>> autodiff = jax.jit(jax.grad(lal_jax.locally_adaptive_loss))(logits, labels)
    >>> bool(jnp.allclose(autodiff, exact, atol=1e-6))
    True

    Source: Eq. 6–8 of Guo et al. 2018, corrected; the derivative of the standard
    score is not in the paper.
    """
    arguments = checked_arguments(
        logits,
        labels,
        kernel_size=kernel_size,
        stride=stride,
        dilation=dilation,
        normalization=normalization,
        score_scale=score_scale,
        neighbor_weights=neighbor_weights,
        normalizer=normalizer,
        class_weights=class_weights,
        label_smoothing=label_smoothing,
        ignore_label=ignore_label,
        where=where,
    )
    _checks.check_power(power)
    windows = arguments.windows
    scores, inverse_deviation = scores_and_inverse_deviation(arguments)
    pooled = pooled_scores(scores, arguments)
    losses = window_losses(pooled, arguments)
    if pool_gradient is None:
        valid = windows.at_centers(windows.valid)
        cotangents = power_mean_gradient(losses, valid, windows.axes, power=power)
    else:
        known = center_arguments(
            "pool_gradient", pool_gradient, windows, pooled.shape[-1]
        )
        cotangents = pool_gradient(losses, **known)
        _check_cotangents("pool_gradient", cotangents, losses.shape)
    # Eq. 7 is done; Eq. 8, and the chain through the scale and the score:
    slope = arguments.score_scale * _pool_gradient(pooled, arguments, cotangents)
    if inverse_deviation is None:
        return slope
    slope -= jnp.mean(slope, axis=-1, keepdims=True)
    overlap = mean_over_deviation(scores * slope, arguments)
    return (slope - scores * overlap) * inverse_deviation


def _check_cotangents(
    name: str, cotangents: Float[Array, "..."], centers: tuple[int, ...]
) -> None:
    if jnp.shape(cotangents) != centers:
        raise ValueError(
            f"{name} must have one number for each center, {centers}: got shape "
            f"{jnp.shape(cotangents)}"
        )


def _pool_gradient(
    pooled: Float[Array, "*batch_centers classes"],
    arguments: Arguments,
    cotangents: Float[Array, "*batch_centers"] | None,
) -> Float[Array, "*batch_pixels classes"]:
    """Returns Eq. 8 of checked arguments, with their predictions pooled already."""
    windows = arguments.windows
    labels = windows.at_centers(windows.labels)
    counted = has_class(labels, windows.at_centers(windows.valid), pooled.shape[-1])
    # r_q = v_q w_y (softmax(f_q) − t_q), 0 where the label is ignored or no class
    target = smooth_target(labels, counted, pooled, arguments.label_smoothing)
    factor = counted.astype(pooled.dtype)
    if arguments.class_weights is not None:
        factor *= target_weight(labels, arguments.class_weights)
    if cotangents is not None:
        factor *= cotangents
    residual = factor[..., None] * (jax.nn.softmax(pooled) - target)
    # Σ_q μ_q(p) ω(p − q) r_q / ξ_q, with r = 0 where no window is centered
    marks = windows.marks()
    residual /= window_divisor(windows, marks)
    rank = windows.weights.ndim
    centers = (..., *center_slices(windows.stride, rank), slice(None))
    spread = jnp.zeros_like(arguments.logits).at[centers].set(residual)
    mirrored = windows.weights[(slice(None, None, -1),) * rank]
    return window_sum(spread, marks, mirrored, stride=1, dilation=windows.dilation)

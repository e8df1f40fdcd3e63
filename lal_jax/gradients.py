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
from lal_jax.pooling import pool_windows, window_divisor
from lal_jax.printed_gradient import as_printed
from lal_jax.reductions import checked_losses, power_mean, valid_only
from lal_jax.selective_loss import (
    Arguments,
    checked_arguments,
    predictions_and_inverse_deviation,
    window_losses,
)
from lal_jax.targets import has_class, smooth_target, target_weight
from lal_jax.window_sum import window_sum
from lal_jax.windows import center_slices

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Int

__all__ = [
    "as_printed",
    "locally_adaptive_gradient",
    "minkowski_gradient",
    "selective_gradient",
]


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
    return _power_mean_gradient(losses, valid, axes, power=power)


def selective_gradient(
    predictions: Float[Array, "*batch_pixels classes"],
    labels: Int[Array, "*batch_pixels"],
    *,
    cotangents: Float[Array, "*batch_centers"] | None = None,
    kernel_size: int | Sequence[int] = 5,
    stride: int = 1,
    neighbor_weights: ArrayLike | None = None,
    normalizer: Literal["count", "weights"] = "count",
    class_weights: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_label: int = 255,
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
      neighbor_weights: as in `selective_pool`.
      normalizer: as in `selective_pool`.
      class_weights: as in `selective_cross_entropy`.
      label_smoothing: as in `selective_cross_entropy`.
      ignore_label: the label of ignored pixels.
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
        normalization="none",
        neighbor_weights=neighbor_weights,
        normalizer=normalizer,
        class_weights=class_weights,
        label_smoothing=label_smoothing,
        ignore_label=ignore_label,
        where=where,
    )
    pooled = pool_windows(arguments.logits, arguments.windows)
    centers = pooled.shape[:-1]
    if cotangents is not None and jnp.shape(cotangents) != centers:
        raise ValueError(
            f"cotangents must have one number for each center, {centers}: got "
            f"shape {jnp.shape(cotangents)}"
        )
    return _pool_gradient(pooled, arguments, cotangents)


def locally_adaptive_gradient(
    logits: Float[Array, "*batch_pixels classes"],
    labels: Int[Array, "*batch_pixels"],
    *,
    kernel_size: int | Sequence[int] = 5,
    stride: int = 1,
    power: float = 3.0,
    normalization: Literal["standard_score", "none"] = "standard_score",
    neighbor_weights: ArrayLike | None = None,
    normalizer: Literal["count", "weights"] = "count",
    class_weights: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_label: int = 255,
    where: Bool[Array, "*batch_pixels"] | None = None,
) -> Float[Array, "*batch_pixels classes"]:
    r"""Returns the derivative of `locally_adaptive_loss` by the logits.

    .. math:: \frac{\partial L}{\partial \hat x_p} = \frac{1}{\sigma_p}
              \bigl(g_p - \overline{g_p} - x_p\, \overline{x_p g_p}\bigr), \quad
              g = \frac{\partial L}{\partial x}

    with means over the classes, and g from Eq. 7 and 8.

    Args:
      logits: raw scores, `[..., height, width, classes]`.
      labels: class indices, `[..., height, width]`.
      kernel_size: as in `locally_adaptive_loss`.
      stride: as in `locally_adaptive_loss`.
      power: as in `locally_adaptive_loss`.
      normalization: as in `locally_adaptive_loss`.
      neighbor_weights: as in `locally_adaptive_loss`.
      normalizer: as in `locally_adaptive_loss`.
      class_weights: as in `locally_adaptive_loss`.
      label_smoothing: as in `locally_adaptive_loss`.
      ignore_label: the label of ignored pixels.
      where: False marks further pixels to ignore.

    Returns:
      The gradient of each image's loss by its own logits, same shape as `logits`; 0 at
      ignored pixels.

    Raises:
      ValueError: as `locally_adaptive_loss`.

    >>> import jax, jax.numpy as jnp, lal_jax
    >>> logits = jax.random.normal(jax.random.key(0), (6, 7, 4))
    >>> labels = jnp.arange(42).reshape(6, 7) // 11
    >>> exact = locally_adaptive_gradient(logits, labels)
    >>> bool(jnp.allclose(jax.grad(lal_jax.locally_adaptive_loss)(logits, labels),
    ...                   exact, atol=1e-6))
    True

    Source: Eq. 6–8 of Guo et al. 2018, corrected; the derivative of the standard
    score is not in the paper.
    """
    arguments = checked_arguments(
        logits,
        labels,
        kernel_size=kernel_size,
        stride=stride,
        normalization=normalization,
        neighbor_weights=neighbor_weights,
        normalizer=normalizer,
        class_weights=class_weights,
        label_smoothing=label_smoothing,
        ignore_label=ignore_label,
        where=where,
    )
    _checks.check_power(power)
    windows = arguments.windows
    predictions, inverse_deviation = predictions_and_inverse_deviation(arguments)
    pooled = pool_windows(predictions, windows)
    losses = window_losses(pooled, arguments)
    valid = windows.at_centers(windows.valid)
    cotangents = _power_mean_gradient(losses, valid, windows.axes, power=power)  # Eq. 7
    slope = _pool_gradient(pooled, arguments, cotangents)  # Eq. 8
    if inverse_deviation is None:
        return slope
    slope -= jnp.mean(slope, axis=-1, keepdims=True)
    slope -= predictions * jnp.mean(predictions * slope, axis=-1, keepdims=True)
    return slope * inverse_deviation


def _power_mean_gradient(
    losses: Float[Array, "..."],
    valid: Bool[Array, "..."],
    axes: tuple[int, ...],
    *,
    power: float,
) -> Float[Array, "..."]:
    """Returns Eq. 7 of checked arguments."""
    losses, count = valid_only(losses, valid, axes)
    pooled = power_mean(losses, valid, axes, power=power)
    pooled, count = jnp.expand_dims(pooled, axes), jnp.expand_dims(count, axes)
    counted = valid & (pooled != 0)
    if power < 1:
        counted &= losses != 0
    ratio = jnp.where(counted, losses, 1.0) / jnp.where(pooled == 0, 1.0, pooled)
    return jnp.where(counted, ratio ** (power - 1.0) / count, 0.0)


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
    return window_sum(spread, marks, mirrored, stride=1)

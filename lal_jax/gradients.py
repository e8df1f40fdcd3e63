"""The gradient of the locally adaptive loss in closed form, without autodiff.

Eq. 6–8 of Guo et al. 2018, corrected: as printed, Eq. 7 sums where it should not and
Eq. 8 lacks the factor 1/ξ. For studying the method and for checking autodiff.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp

from lal_jax import _checks
from lal_jax.cross_entropy import (
    has_class,
    is_target,
    smooth_target,
    target_weight,
)
from lal_jax.locally_adaptive import selective_cross_entropy
from lal_jax.masks import valid_mask
from lal_jax.pooling import selective_pool, window_divisor, window_weights
from lal_jax.reductions import minkowski_mean, valid_losses
from lal_jax.standard_score import EPSILON, score_and_inverse_deviation
from lal_jax.stencil import center_slices, mark_void, window_sum

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
      The derivative, same shape; 0 at void pixels and where the pooled loss is 0.

    Raises:
      ValueError: as `minkowski_mean`.

    >>> import jax.numpy as jnp
    >>> minkowski_gradient(jnp.array([[3.0, 4.0]]), power=2.0).round(4).tolist()
    [[0.4243, 0.5657]]

    Source: Eq. 7 of Guo et al. 2018, whose last factor, printed as a sum over pixels,
    is L_q^(k−1) of the pixel alone.
    """
    losses, valid, count, axes = valid_losses(losses, where, axis)
    pooled = minkowski_mean(losses, power=power, where=valid, axis=axes)
    pooled, count = jnp.expand_dims(pooled, axes), jnp.expand_dims(count, axes)
    counted = valid & (pooled != 0)
    if power < 1:
        counted &= losses != 0
    ratio = jnp.where(counted, losses, 1.0) / jnp.where(pooled == 0, 1.0, pooled)
    return jnp.where(counted, ratio ** (power - 1.0) / count, 0.0)


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
      ignore_label: the label of void pixels.
      where: False marks further void pixels.

    Returns:
      The derivative by x, same shape as `predictions`; 0 at void pixels.

    Raises:
      ValueError: as `selective_cross_entropy`.

    Source: Eq. 8 of Guo et al. 2018, with the factor 1/ξ it omits. Where labels agree
    the window relation is symmetric, so the sum over centers q around p is again a
    selective window sum, with the weights mirrored.
    """
    _checks.check_below_one("label_smoothing", label_smoothing)
    options: dict[str, Any] = {"ignore_label": ignore_label, "where": where}
    pooled = selective_pool(
        predictions,
        labels,
        kernel_size=kernel_size,
        stride=stride,
        neighbor_weights=neighbor_weights,
        normalizer=normalizer,
        **options,
    )
    predictions = _checks.as_logits(predictions, "predictions")
    labels = _checks.as_labels(labels, predictions, "predictions")
    valid = valid_mask(labels, **options)
    weights = window_weights(kernel_size, neighbor_weights, predictions.dtype)
    centers = (..., *center_slices(stride, weights.ndim))

    # r_q = v_q w_y (softmax(f_q) − t_q), 0 where the label is void or no class
    classes = predictions.shape[-1]
    own = labels[centers]
    counted = has_class(own, valid[centers], classes)
    target = smooth_target(own, counted, pooled, label_smoothing)
    factor = counted.astype(pooled.dtype)
    per_class = _checks.as_class_weights(class_weights, predictions)
    if per_class is not None:
        factor *= target_weight(is_target(own, classes), per_class)
    if cotangents is not None:
        if jnp.shape(cotangents) != factor.shape:
            raise ValueError(
                f"cotangents must have one number for each center, {factor.shape}: got "
                f"shape {jnp.shape(cotangents)}"
            )
        factor *= cotangents
    residual = factor[..., None] * (jax.nn.softmax(pooled) - target)

    # Σ_q μ_q(p) ω(p − q) r_q / ξ_q, with r = 0 where no window is centered
    marks = mark_void(labels, valid)
    residual /= window_divisor(valid, marks, weights, stride, normalizer)
    spread = jnp.zeros_like(predictions).at[(*centers, slice(None))].set(residual)
    mirrored = weights[(slice(None, None, -1),) * weights.ndim]
    return window_sum(spread, marks, mirrored, stride=1)


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
      ignore_label: the label of void pixels.
      where: False marks further void pixels.

    Returns:
      The gradient of each image's loss by its own logits, same shape as `logits`; 0 at
      void pixels.

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
    pooling: dict[str, Any] = {
        "kernel_size": kernel_size,
        "stride": stride,
        "neighbor_weights": neighbor_weights,
        "normalizer": normalizer,
        "class_weights": class_weights,
        "label_smoothing": label_smoothing,
        "ignore_label": ignore_label,
        "where": where,
    }
    losses = selective_cross_entropy(
        logits, labels, normalization=normalization, **pooling
    )
    rank = len(_checks.check_kernel_size(kernel_size))
    valid = valid_mask(labels, ignore_label=ignore_label, where=where)
    centers = valid[(..., *center_slices(stride, rank))]
    cotangents = minkowski_gradient(  # Eq. 7
        losses, power=power, where=centers, axis=tuple(range(-rank, 0))
    )
    predictions = jnp.where(valid[..., None], _checks.as_float(logits, "logits"), 0.0)
    if normalization == "none":
        return selective_gradient(predictions, labels, cotangents=cotangents, **pooling)
    score, inverse_deviation = score_and_inverse_deviation(predictions, EPSILON)
    slope = selective_gradient(score, labels, cotangents=cotangents, **pooling)  # Eq. 8
    slope -= jnp.mean(slope, axis=-1, keepdims=True)
    slope -= score * jnp.mean(score * slope, axis=-1, keepdims=True)
    return slope * inverse_deviation


def as_printed(
    x: Float[Array, "*batch_pixels classes"],
    labels: Int[Array, "*batch_pixels"],
    *,
    kernel_size: int | Sequence[int] = 5,
    power: float = 3.0,
    ignore_label: int = 255,
    where: Bool[Array, "*batch_pixels"] | None = None,
) -> Float[Array, "*batch_pixels classes"]:
    r"""Returns the derivative by the standard scores as the paper prints it: wrong.

    .. math:: M^{-1/k} \Bigl(\sum_q L_q^k\Bigr)^{1/k-1} \sum_q L_q^{k-1} \cdot
              \sum_{m,n} \bigl(\mathrm{softmax}(f(i{+}m,j{+}n)) - y(i{+}m,j{+}n)\bigr)
              \mu(i,j)\, \omega(-m,-n)

    For the record, and to see what the two errors do: the sum of Eq. 7 gives every
    pixel of an image the same factor, so that the hard ones weigh no more than the
    easy, and without Eq. 8's 1/ξ windows weigh by the number of pixels in them. Only
    what the paper has is here: no stride, weights, smoothing or other normalizer.

    Args:
      x: the standard scores, `[..., height, width, classes]`.
      labels: class indices, `[..., height, width]`.
      kernel_size: as in `locally_adaptive_loss`.
      power: as in `locally_adaptive_loss`.
      ignore_label: the label of void pixels.
      where: False marks further void pixels.

    Returns:
      The printed derivative of each image's loss by its own scores, same shape as `x`.

    Raises:
      ValueError: as `locally_adaptive_loss`.

    Source: Eq. 6–8 of Guo et al. 2018, with μ read as that of the window centered at
    (i+m, j+n), as no other reading gives a derivative. `locally_adaptive_gradient` has
    them corrected.
    """
    _checks.check_power(power)
    options: dict[str, Any] = {
        "kernel_size": kernel_size,
        "ignore_label": ignore_label,
        "where": where,
    }
    losses = selective_cross_entropy(x, labels, normalization="none", **options)
    pooled = selective_pool(x, labels, **options)
    labels = jnp.asarray(labels)
    valid = valid_mask(labels, ignore_label=ignore_label, where=where)
    weights = window_weights(kernel_size, None, pooled.dtype)
    axes = tuple(range(-weights.ndim, 0))
    count = jnp.maximum(jnp.sum(valid, axis=axes, keepdims=True), 1)
    total = jnp.sum(losses**power, axis=axes, keepdims=True)
    total = jnp.where(total == 0, 1.0, total)
    factor = count.astype(losses.dtype) ** (-1 / power) * total ** (1 / power - 1)
    rises = jnp.where(losses > 0, losses, 1.0) ** (power - 1)
    factor *= jnp.sum(jnp.where(losses > 0, rises, 0.0), axis=axes, keepdims=True)
    onehot = jax.nn.one_hot(labels, pooled.shape[-1], dtype=pooled.dtype)
    residual = jnp.where(valid[..., None], jax.nn.softmax(pooled) - onehot, 0.0)
    return factor[..., None] * window_sum(
        residual, mark_void(labels, valid), weights, stride=1
    )

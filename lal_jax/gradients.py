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
from lal_jax.cross_entropy import is_target, target_weight
from lal_jax.locally_adaptive import selective_cross_entropy
from lal_jax.masks import valid_mask
from lal_jax.pooling import selective_pool, window_sums, window_weights
from lal_jax.reductions import minkowski_mean
from lal_jax.standard_score import score_and_inverse_deviation

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Int

__all__ = ["locally_adaptive_gradient", "minkowski_gradient", "selective_gradient"]


def minkowski_gradient(
    losses: Float[Array, "*batch height width"],
    *,
    power: float = 3.0,
    where: Bool[Array, "*batch height width"] | None = None,
) -> Float[Array, "*batch height width"]:
    r"""Returns the derivative of `minkowski_mean` by each pixel's loss.

    .. math:: \frac{\partial L^{AD}}{\partial L_q} =
              \frac{1}{M} \Bigl(\frac{L_q}{L^{AD}}\Bigr)^{k-1}

    Args:
      losses: losses per pixel, not negative.
      power: k > 0.
      where: False leaves a pixel out.

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
    losses = _checks.as_float(losses, "losses")
    valid = _checks.as_where(where, losses.shape, "losses")
    pooled = minkowski_mean(losses, power=power, where=valid)[..., None, None]
    count = jnp.maximum(jnp.sum(valid, axis=(-2, -1), keepdims=True), 1)
    counted = valid & (pooled != 0)
    if power < 1:
        counted &= losses != 0
    ratio = jnp.where(counted, losses, 1.0) / jnp.where(pooled == 0, 1.0, pooled)
    slope = ratio ** (power - 1.0) / count.astype(losses.dtype)
    return jnp.where(counted, slope, 0.0)


def selective_gradient(
    predictions: Float[Array, "*batch height width classes"],
    labels: Int[Array, "*batch height width"],
    *,
    cotangents: Float[Array, "*batch rows columns"] | None = None,
    kernel_size: int | Sequence[int] = 5,
    stride: int = 1,
    neighbor_weights: ArrayLike | None = None,
    normalizer: Literal["count", "weights"] = "count",
    class_weights: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_label: int = 255,
    where: Bool[Array, "*batch height width"] | None = None,
) -> Float[Array, "*batch height width classes"]:
    r"""Returns the derivative of Σ_q v_q L^S_q by the predictions that are pooled.

    .. math:: \sum_q v_q\, \bigl(\mathrm{softmax}(f_q) - t_q\bigr)
              \frac{\mu_q(p)\, \omega(p - q)}{\xi_q}

    Args:
      predictions: x, the standard scores.
      labels: class indices.
      cotangents: v, one factor for each centre; None means 1.
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
    the window relation is symmetric, so the sum over centres q around p is again a
    selective window sum, with the weights mirrored.
    """
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
    predictions = _checks.as_float(predictions, "predictions")
    labels = _checks.as_labels(labels, predictions, "predictions")
    valid = valid_mask(labels, **options)
    weights = window_weights(kernel_size, neighbor_weights, predictions.dtype)

    # r_q = v_q w_y (softmax(f_q) − t_q)
    hit = is_target(labels[..., ::stride, ::stride], predictions.shape[-1])
    target = (1 - label_smoothing) * hit.astype(predictions.dtype)
    target += label_smoothing / predictions.shape[-1]
    residual = jax.nn.softmax(pooled) - target
    factor = jnp.ones(hit.shape[:-1], predictions.dtype)
    per_class = _checks.as_class_weights(class_weights, predictions)
    if per_class is not None:
        factor *= target_weight(hit, per_class)
    if cotangents is not None:
        factor *= cotangents

    # Σ_q μ_q(p) ω(p − q) r_q / ξ_q, with r = 0 where no window is centred
    _, divisor = window_sums(
        predictions, labels, valid, weights, stride=stride, normalizer=normalizer
    )
    residual *= (factor / jnp.where(divisor == 0, 1.0, divisor))[..., None]
    spread = jnp.zeros_like(predictions).at[..., ::stride, ::stride, :].set(residual)
    total, _ = window_sums(
        spread, labels, valid, weights[::-1, ::-1], stride=1, normalizer=normalizer
    )
    return jnp.where(valid[..., None], total, 0.0)


def locally_adaptive_gradient(
    logits: Float[Array, "*batch height width classes"],
    labels: Int[Array, "*batch height width"],
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
    where: Bool[Array, "*batch height width"] | None = None,
) -> Float[Array, "*batch height width classes"]:
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
    valid = valid_mask(labels, ignore_label=ignore_label, where=where)
    centers = valid[..., ::stride, ::stride]
    cotangents = minkowski_gradient(losses, power=power, where=centers)  # Eq. 7
    predictions = jnp.where(valid[..., None], _checks.as_float(logits, "logits"), 0.0)
    if normalization == "none":
        return selective_gradient(predictions, labels, cotangents=cotangents, **pooling)
    score, inverse_deviation = score_and_inverse_deviation(predictions)
    slope = selective_gradient(score, labels, cotangents=cotangents, **pooling)  # Eq. 8
    slope -= jnp.mean(slope, axis=-1, keepdims=True)
    slope -= score * jnp.mean(score * slope, axis=-1, keepdims=True)
    return slope * inverse_deviation

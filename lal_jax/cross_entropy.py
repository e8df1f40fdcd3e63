"""Softmax cross-entropy with void pixels, class weights and label smoothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from lal_jax import _checks
from lal_jax.masks import valid_mask

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Int


def softmax_cross_entropy(
    logits: Float[Array, "*pixels classes"],
    labels: Int[Array, "*pixels"],
    *,
    class_weights: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_label: int = 255,
    where: Bool[Array, "*pixels"] | None = None,
) -> Float[Array, "*pixels"]:
    r"""Returns the softmax cross-entropy of every pixel.

    .. math:: L = -w_y \sum_c t_c \log \mathrm{softmax}(\hat x)_c, \quad
              t = (1-\varepsilon)\,\mathrm{onehot}(y) + \varepsilon / C

    Args:
      logits: raw scores, `[..., classes]`, floating point.
      labels: class indices, `[...]`, integer.
      class_weights: w, one factor a class, `[classes]`; None means 1.
      label_smoothing: ε in [0, 1).
      ignore_label: the label of void pixels.
      where: False marks further void pixels, `[...]`.

    Returns:
      The losses in nats, `[...]`; zero at void pixels, whatever their logits hold.
      float32, or float64 for float64 logits.

    Raises:
      ValueError: shapes, dtypes or options do not fit; the message has the values.

    >>> import jax.numpy as jnp
    >>> logits = jnp.array([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> softmax_cross_entropy(logits, jnp.array([0, 255])).round(4).tolist()
    [0.2395, 0.0]

    Source: the baseline of Guo et al. 2018, Table 2; label smoothing after Szegedy et
    al. 2016. A label outside `[0, classes)` that is not `ignore_label` is an error
    that cannot be seen under jit; it contributes a loss of zero.
    """
    logits = _checks.as_float(logits, "logits")
    labels = _checks.as_labels(labels, logits)
    weights = _checks.as_class_weights(class_weights, logits)
    _checks.check_label_smoothing(label_smoothing)
    valid = valid_mask(labels, ignore_label=ignore_label, where=where)
    logits = jnp.where(valid[..., None], logits, 0.0)
    losses = target_cross_entropy(logits, labels, weights, label_smoothing)
    return jnp.where(valid, losses, 0.0)


def target_cross_entropy(
    logits: Float[Array, "*pixels classes"],
    labels: Int[Array, "*pixels"],
    class_weights: Float[Array, " classes"] | None,
    label_smoothing: float,
) -> Float[Array, "*pixels"]:
    """Returns −w_y Σ t log softmax(logits); the inputs have been checked."""
    log_probabilities = _log_softmax(logits)
    # A select, not an index: its derivative is a select too, where a scatter is slow.
    hit = is_target(labels, logits.shape[-1])
    losses = -jnp.sum(jnp.where(hit, log_probabilities, 0.0), axis=-1)
    if label_smoothing:
        uniform = -jnp.mean(log_probabilities, axis=-1)
        losses = (1.0 - label_smoothing) * losses + label_smoothing * uniform
    if class_weights is not None:
        losses = losses * target_weight(hit, class_weights)
    return losses


def _log_softmax(
    logits: Float[Array, "*pixels classes"],
) -> Float[Array, "*pixels classes"]:
    """Returns log softmax(logits), never above 0.

    XLA may compute the logits twice with different rounding, once for the maximum and
    once for the difference to it. Without the selects the loss could then fall below 0,
    and a root of it be NaN.
    """
    shifted = logits - jax.lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True))
    shifted = jnp.where(shifted > 0, 0.0, shifted)
    total = jnp.sum(jnp.exp(shifted), axis=-1, keepdims=True)
    return shifted - jnp.log(jnp.where(total < 1, 1.0, total))


def is_target(
    labels: Int[Array, "*pixels"], classes: int
) -> Bool[Array, "*pixels classes"]:
    """Returns the one-hot labels as booleans."""
    indices = jax.lax.broadcasted_iota(
        labels.dtype, (*labels.shape, classes), labels.ndim
    )
    return indices == labels[..., None]


def target_weight(
    hit: Bool[Array, "*pixels classes"], class_weights: Float[Array, " classes"]
) -> Float[Array, "*pixels"]:
    """Returns the weight of each pixel's class."""
    weights = jnp.broadcast_to(class_weights, hit.shape)
    return jnp.sum(jnp.where(hit, weights, 0.0), axis=-1)

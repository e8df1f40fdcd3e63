"""Softmax cross-entropy with ignored pixels, class weights and label smoothing."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from lal_jax import _checks
from lal_jax.masks import labels_and_mask
from lal_jax.targets import at_label, has_class, smooth_target, target_weight

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Int


def softmax_cross_entropy(
    logits: Float[Array, "*pixels classes"],
    labels: Int[Array, "*pixels"],
    *,
    class_weights: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_label: int | Sequence[int] = 255,
    where: Bool[Array, "*pixels"] | None = None,
) -> Float[Array, "*pixels"]:
    r"""Returns the softmax cross-entropy of every pixel.

    .. math:: L = -w_y \sum_c t_c \log \mathrm{softmax}(\hat x)_c, \quad
              t = (1-\varepsilon)\,\mathrm{onehot}(y) + \varepsilon / C

    Args:
      logits: raw scores, `[..., classes]`, floating point.
      labels: class indices, `[...]`, integer.
      class_weights: w, one factor per class, `[classes]`; None means 1.
      label_smoothing: ε in [0, 1).
      ignore_label: the label of ignored pixels, or several.
      where: False marks further pixels to ignore, `[...]`.

    Returns:
      The losses in nats, `[...]`; zero at ignored pixels, even if their logits are NaN.
      float32, or float64 for float64 logits.

    Raises:
      ValueError: shapes, dtypes or options do not fit; the message has the values.

    >>> import jax.numpy as jnp
    >>> logits = jnp.array([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> softmax_cross_entropy(logits, jnp.array([0, 255])).round(4).tolist()
    [0.2395, 0.0]

    Source: the baseline of Guo et al. 2018, Table 2; label smoothing after Szegedy et
    al. 2016. PyTorch weights the smoothed part class by class, here w_y multiplies all.
    Under jit a label outside `[0, classes)` that is not `ignore_label` cannot raise
    (see `check_labels`): its loss and its gradient are zero.
    """
    logits = _checks.as_logits(logits)
    labels, valid = labels_and_mask(
        labels, logits, ignore_label=ignore_label, where=where
    )
    weights = _checks.as_class_weights(class_weights, logits)
    _checks.check_below_one("label_smoothing", label_smoothing)
    return target_cross_entropy(logits, labels, valid, weights, label_smoothing)


def target_cross_entropy(
    logits: Float[Array, "*pixels classes"],
    labels: Int[Array, "*pixels"],
    valid: Bool[Array, "*pixels"],
    class_weights: Float[Array, " classes"] | None,
    label_smoothing: float,
) -> Float[Array, "*pixels"]:
    """Returns −w_y Σ t log softmax(logits) of checked arguments."""
    counted = has_class(labels, valid, logits.shape[-1])
    losses, _ = _loss_and_probabilities(logits, labels, counted, label_smoothing)
    if class_weights is None:
        return losses
    return losses * target_weight(labels, class_weights)


@functools.partial(jax.custom_jvp, nondiff_argnums=(3,))
def _loss_and_probabilities(
    logits: Float[Array, "*pixels classes"],
    labels: Int[Array, "*pixels"],
    counted: Bool[Array, "*pixels"],
    label_smoothing: float,
) -> tuple[Float[Array, "*pixels"], Float[Array, "*pixels classes"]]:
    """Returns −Σ t log p and p = softmax(logits), both 0 where not counted.

    The derivative is stated below in terms of p alone, so that it takes one pass and
    the logits of ignored pixels never enter it.
    """
    classes = logits.shape[-1]
    shifted = logits - jnp.max(logits, axis=-1, keepdims=True)
    exponentials = jnp.exp(shifted)
    own = at_label(shifted, labels)
    if label_smoothing:
        uniform = jnp.mean(shifted, axis=-1)
        own = (1.0 - label_smoothing) * own + label_smoothing * uniform
    # XLA may compute the logits anew for the maximum and for the difference to it, and
    # round them in two ways. The bounds, which are exact, keep the loss from 0 upwards,
    # and finite where the difference of two logits overflows.
    total = jnp.clip(jnp.sum(exponentials, axis=-1), 1.0, classes)
    own = jnp.clip(own, jnp.finfo(own.dtype).min, 0.0)
    losses = jnp.where(counted, jnp.log(total) - own, 0.0)
    probabilities = jnp.minimum(exponentials / total[..., None], 1.0)
    return losses, jnp.where(counted[..., None], probabilities, 0.0)


@_loss_and_probabilities.defjvp
def _loss_and_probabilities_jvp(label_smoothing, primals, tangents):
    """Applies dL = Σ (p − t) d and dp = p (d − Σ p d)."""
    (logits, labels, counted), (change, *_) = primals, tangents
    losses, probabilities = _loss_and_probabilities(
        logits, labels, counted, label_smoothing
    )
    target = smooth_target(labels, counted, logits, label_smoothing)
    d_losses = jnp.sum((probabilities - target) * change, axis=-1)
    mean = jnp.sum(probabilities * change, axis=-1, keepdims=True)
    return (losses, probabilities), (d_losses, probabilities * (change - mean))

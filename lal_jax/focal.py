"""The focal loss, cross-entropy that down-weights well-classified pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax.numpy as jnp

from lal_jax import _checks
from lal_jax.cross_entropy import target_cross_entropy
from lal_jax.masks import labels_and_mask
from lal_jax.targets import target_weight

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Int


def focal_loss(
    logits: Float[Array, "*pixels classes"],
    labels: Int[Array, "*pixels"],
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    class_weights: ArrayLike | None = None,
    ignore_label: int | Sequence[int] = 255,
    where: Bool[Array, "*pixels"] | None = None,
) -> Float[Array, "*pixels"]:
    r"""Returns the focal loss of every pixel, in its softmax form.

    .. math:: L = -\alpha\, w_y\, (1 - p)^\gamma \log p, \quad
              p = \mathrm{softmax}(\hat x)_y

    Args:
      logits: raw scores, `[..., classes]`, floating point.
      labels: class indices, `[...]`, integer.
      alpha: one factor for all classes, above 0; see `class_weights` for one per class.
      gamma: how strongly well-classified pixels are down-weighted, 0 or more; 0 is α
        times cross-entropy.
      class_weights: w, one factor per class, `[classes]`; None means 1.
      ignore_label: the label of ignored pixels, or several.
      where: False marks further pixels to ignore, `[...]`.

    Returns:
      The losses, `[...]`; zero at ignored pixels. float32, or float64 for float64
      logits.

    Raises:
      ValueError: shapes, dtypes or options do not fit; the message has the values.

    >>> import jax.numpy as jnp
    >>> logits = jnp.array([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> focal_loss(logits, jnp.array([0, 1])).round(4).tolist()
    [0.0027, 0.1221]

    Source: Eq. 5 of Lin et al. 2017 (arXiv:1708.02002), whose two classes become the
    C of a softmax; α = 0.25 and γ = 2 as Guo et al. 2018 take them in Table 2.
    """
    _checks.check_positive("alpha", alpha)
    _checks.check_not_negative("gamma", gamma)
    logits = _checks.as_logits(logits)
    labels, valid = labels_and_mask(
        labels, logits, ignore_label=ignore_label, where=where
    )
    weights = _checks.as_class_weights(class_weights, logits)
    losses = target_cross_entropy(logits, labels, valid, None, 0.0)
    miss = -jnp.expm1(-losses)  # 1 − p, with all its digits where p is near 1
    missed = miss > 0  # γ < 1 has an infinite slope at 0, where the loss has none
    fading = jnp.where(missed, jnp.where(missed, miss, 1.0) ** gamma, 0.0)
    losses = alpha * fading * losses
    if weights is not None:
        losses *= target_weight(labels, weights)
    return losses

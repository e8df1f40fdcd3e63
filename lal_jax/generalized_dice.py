"""The generalized Dice loss: one ratio for all classes, rare ones weighing more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax.numpy as jnp

from lal_jax.overlap_sums import Activation, overlap_sums, ratio, weights_by_class

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Shaped


def generalized_dice_loss(
    logits: Float[Array, "*batch height width classes"],
    labels: Shaped[Array, "..."],
    *,
    activation: Activation = "softmax",
    per_image: bool = True,
    class_weights: ArrayLike | None = None,
    ignore_label: int | Sequence[int] = 255,
    where: Bool[Array, "*batch height width"] | None = None,
) -> Float[Array, "*batch"]:
    r"""Returns the generalized Dice loss of each image, one ratio for all its classes.

    .. math:: L = 1 - 2\,\frac{\sum_c v_c \sum p\,t}{\sum_c v_c (\sum p + \sum t)},
              \quad v_c = \frac{w_c}{(\sum t)^2}

    over the valid pixels; v = 0 for a class that is absent.

    Args:
      logits: raw scores, `[..., height, width, classes]`, floating point.
      labels: class indices, `[..., height, width]`, integer; or targets t in [0, 1],
        `[..., height, width, classes]`, floating point or boolean.
      activation: how p comes from the logits: `"softmax"`, `"sigmoid"` for several
        labels a pixel, or `"none"` where probabilities are given.
      per_image: True sums over each image, the last two axes before the classes (merge
        the axes of a volume by `reshape`); False over all pixels of the batch.
      class_weights: w, one factor per class, `[classes]`; None means 1.
      ignore_label: the label of ignored pixels, or several; of labels alone, targets
        are ignored by `where`.
      where: False marks further pixels to ignore, `[..., height, width]`.

    Returns:
      One loss per image, `[...]`, or with `per_image=False` one in all, `[]`;
      in [0, 1], float32, or float64 for float64 logits. Without a valid pixel, or
      a class that is present, 0 with gradient 0.

    Raises:
      ValueError: shapes, dtypes or options do not fit; the message has the values.

    >>> import jax.numpy as jnp
    >>> p = jnp.array([[[0.8, 0.2], [0.4, 0.6]]])
    >>> labels = jnp.array([[0, 1]])
    >>> round(float(generalized_dice_loss(p, labels, activation="none")), 4)
    0.3

    Source: Sudre et al. 2017 (arXiv:1707.03237), Section 2.1, without class weights.
    Their absent classes have an infinite v; here they count by what they take from the
    classes present. A label out of range is left out, as an ignored pixel.
    """
    sums = overlap_sums(
        logits,
        labels,
        alpha=0.5,
        beta=0.5,
        activation=activation,
        per_image=per_image,
        ignore_label=ignore_label,
        where=where,
    )
    weights = weights_by_class(sums.hits, class_weights) * _rarity(sums.targets)
    errors = jnp.sum(weights * sums.errors, axis=-1)
    return ratio(errors, errors + jnp.sum(weights * sums.hits, axis=-1))


def _rarity(
    targets: Float[Array, "*images classes"],
) -> Float[Array, "*images classes"]:
    """Returns 1 / (Σt)² up to a factor, 1 for the smallest class; 0 for those absent.

    The loss does not depend on the factor, and without it the squares would overflow.
    """
    present = targets > 0
    largest = jnp.max(targets, axis=-1, keepdims=True)
    least = jnp.min(jnp.where(present, targets, largest), axis=-1, keepdims=True)
    return jnp.where(present, jnp.square(least / jnp.where(present, targets, 1.0)), 0.0)

"""Losses by the overlap of regions, class by class: Tversky, Dice and Jaccard.

All are errors over hits and errors: with TP = Σ p t and E the sum of what is wrong,
1 − (TP + s) / (TP + E + s) = E / (TP + E + s), which keeps its digits near 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lal_jax import _checks
from lal_jax.overlap_sums import (
    Activation,
    WhichClasses,
    class_average,
    overlap_sums,
    power_of,
    ratio,
)

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Shaped


def tversky_loss(
    logits: Float[Array, "*batch height width classes"],
    labels: Shaped[Array, "..."],
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    gamma: float = 1.0,
    smooth: float = 1.0,
    classes: WhichClasses = "present",
    activation: Activation = "softmax",
    per_image: bool = True,
    class_weights: ArrayLike | None = None,
    ignore_label: int | Sequence[int] = 255,
    where: Bool[Array, "*batch height width"] | None = None,
) -> Float[Array, "*batch"]:
    r"""Returns the Tversky loss of each image; with γ, its focal form.

    .. math:: L = \frac{\sum_c w_c \ell_c}{\sum_c w_c}, \quad
              \ell_c = \Bigl(1 - \frac{TP + s}
              {TP + \alpha\,FP + \beta\,FN + s}\Bigr)^\gamma

    with, for each class, TP = Σ p t, FP = Σ p (1 − t) and FN = Σ (1 − p) t over the
    valid pixels. α = β = ½ is the Dice loss with twice the s, α = β = 1 the Jaccard
    loss.

    Args:
      logits: raw scores, `[..., height, width, classes]`, floating point.
      labels: class indices, `[..., height, width]`, integer; or targets t in [0, 1],
        `[..., height, width, classes]`, floating point or boolean.
      alpha: what false alarms cost, 0 or more.
      beta: what misses cost, 0 or more; above α it favors recall over precision.
      gamma: above 0; below 1 the small losses, of classes that are nearly right, gain
        weight, above 1 the large ones do.
      smooth: s in pixels, 0 or more; keeps the slope small for classes of few pixels.
      classes: `"present"` averages over the classes with a target in the sums, `"all"`
        over all. A class that is absent costs α Σp / (α Σp + s), to the γ, and
        nothing if s = 0 and it is nowhere predicted.
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
      a class to average over, 0 with gradient 0.

    Raises:
      ValueError: shapes, dtypes or options do not fit; the message has the values.

    >>> import jax.numpy as jnp
    >>> p = jnp.array([[[0.8, 0.2], [0.4, 0.6]]])
    >>> labels = jnp.array([[0, 1]])
    >>> round(float(tversky_loss(p, labels, activation="none", smooth=0.0)), 4)
    0.3035

    Source: Salehi et al. 2017 (arXiv:1706.05721), whose α and β are these; γ after
    Abraham and Khan 2018 (arXiv:1810.07842), who write the exponent 1/γ (their 4/3 is
    0.75 here) and let α weigh misses. The average is over the classes present, theirs
    over all. A label out of range is left out, as an ignored pixel.
    """
    _checks.check_not_negative("alpha", alpha)
    _checks.check_not_negative("beta", beta)
    if alpha == 0 and beta == 0:
        raise ValueError("alpha and beta must not both be 0: no error would cost")
    _checks.check_positive("gamma", gamma)
    _checks.check_not_negative("smooth", smooth)
    sums = overlap_sums(
        logits,
        labels,
        alpha=alpha,
        beta=beta,
        activation=activation,
        per_image=per_image,
        ignore_label=ignore_label,
        where=where,
    )
    losses = ratio(sums.errors, sums.hits + sums.errors + float(smooth))
    return class_average(
        power_of(losses, gamma),
        sums.targets > 0,
        classes=classes,
        class_weights=class_weights,
    )


def dice_loss(
    logits: Float[Array, "*batch height width classes"],
    labels: Shaped[Array, "..."],
    *,
    smooth: float = 1.0,
    squared: bool = False,
    classes: WhichClasses = "present",
    activation: Activation = "softmax",
    per_image: bool = True,
    class_weights: ArrayLike | None = None,
    ignore_label: int | Sequence[int] = 255,
    where: Bool[Array, "*batch height width"] | None = None,
) -> Float[Array, "*batch"]:
    r"""Returns the Dice loss of each image, 1 − F1 of its classes made smooth.

    .. math:: L = \frac{\sum_c w_c \ell_c}{\sum_c w_c}, \quad
              \ell_c = 1 - \frac{2 \sum p\,t + s}{\sum p + \sum t + s}

    over the valid pixels; with `squared`, the divisor is Σp² + Σt² + s.

    Args:
      logits: raw scores, `[..., height, width, classes]`, floating point.
      labels: class indices, `[..., height, width]`, integer; or targets t in [0, 1],
        `[..., height, width, classes]`, floating point or boolean.
      smooth: s in pixels, 0 or more; keeps the slope small for classes of few pixels.
      squared: sums squares in the divisor. The loss is then least at p = t for targets
        between 0 and 1 too; otherwise it asks for 0 or 1.
      classes: `"present"` averages over the classes with a target in the sums, `"all"`
        over all. A class that is absent costs Σp / (Σp + s) (with
        `squared`, of Σp²), nothing if s = 0 and it is nowhere predicted.
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
      a class to average over, 0 with gradient 0.

    Raises:
      ValueError: shapes, dtypes or options do not fit; the message has the values.

    >>> import jax.numpy as jnp
    >>> p = jnp.array([[[0.8, 0.2], [0.4, 0.6]]])
    >>> labels = jnp.array([[0, 1]])
    >>> round(float(dice_loss(p, labels, activation="none", smooth=0.0)), 4)
    0.303

    Source: Milletari et al. 2016 (arXiv:1606.04797), Section 3, with squares and for
    one class; without them Drozdzal et al. 2016 (arXiv:1608.04117), Eq. 2. Class
    weights and s are common additions. A label out of range is left out, as an ignored
    pixel.
    """
    _checks.check_not_negative("smooth", smooth)
    if not isinstance(squared, bool):
        raise ValueError(f"squared must be True or False, got {squared!r}")
    sums = overlap_sums(
        logits,
        labels,
        alpha=0.5,
        beta=0.5,
        squared=squared,
        activation=activation,
        per_image=per_image,
        ignore_label=ignore_label,
        where=where,
    )
    # Half of numerator and denominator: Σp + Σt = 2 TP + FP + FN.
    losses = ratio(sums.errors, sums.hits + sums.errors + float(smooth) / 2)
    return class_average(
        losses, sums.targets > 0, classes=classes, class_weights=class_weights
    )


def jaccard_loss(
    logits: Float[Array, "*batch height width classes"],
    labels: Shaped[Array, "..."],
    *,
    smooth: float = 1.0,
    classes: WhichClasses = "present",
    activation: Activation = "softmax",
    per_image: bool = True,
    class_weights: ArrayLike | None = None,
    ignore_label: int | Sequence[int] = 255,
    where: Bool[Array, "*batch height width"] | None = None,
) -> Float[Array, "*batch"]:
    r"""Returns the Jaccard loss of each image, 1 − IoU of its classes made smooth.

    .. math:: L = \frac{\sum_c w_c \ell_c}{\sum_c w_c}, \quad
              \ell_c = 1 - \frac{\sum p\,t + s}{\sum p + \sum t - \sum p\,t + s}

    over the valid pixels.

    Args:
      logits: raw scores, `[..., height, width, classes]`, floating point.
      labels: class indices, `[..., height, width]`, integer; or targets t in [0, 1],
        `[..., height, width, classes]`, floating point or boolean.
      smooth: s in pixels, 0 or more; keeps the slope small for classes of few pixels.
      classes: `"present"` averages over the classes with a target in the sums, `"all"`
        over all. A class that is absent costs Σp / (Σp + s), nothing if s = 0 and it is
        nowhere predicted.
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
      a class to average over, 0 with gradient 0.

    Raises:
      ValueError: shapes, dtypes or options do not fit; the message has the values.

    >>> import jax.numpy as jnp
    >>> p = jnp.array([[[0.8, 0.2], [0.4, 0.6]]])
    >>> labels = jnp.array([[0, 1]])
    >>> round(float(jaccard_loss(p, labels, activation="none", smooth=0.0)), 4)
    0.4643

    Source: Rahman and Wang 2016 (doi:10.1007/978-3-319-50835-1_22), Eq. 3–5, for one
    class. A label out of range is left out, as an ignored pixel.
    """
    return tversky_loss(
        logits,
        labels,
        alpha=1.0,
        beta=1.0,
        smooth=smooth,
        classes=classes,
        activation=activation,
        per_image=per_image,
        class_weights=class_weights,
        ignore_label=ignore_label,
        where=where,
    )

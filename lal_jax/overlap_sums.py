"""What the overlap losses share: probabilities and targets, their sums, averages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

import jax
import jax.numpy as jnp

from lal_jax import _checks
from lal_jax.reductions import total_weight
from lal_jax.targets import targets_and_mask

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float

Activation = Literal["softmax", "sigmoid", "none"]
WhichClasses = Literal["present", "all"]


class OverlapSums(NamedTuple):
    """Sums by class over the valid pixels of each image, or of the batch."""

    hits: Float[Array, "*images classes"]  # TP = Σ p t
    errors: Float[Array, "*images classes"]  # α FP + β FN, or half of Σ (p−t)²
    targets: Float[Array, "*images classes"]  # Σ t


def overlap_sums(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    alpha: float,
    beta: float,
    squared: bool = False,
    activation: Activation,
    per_image: bool,
    ignore_label: int | Sequence[int],
    where: ArrayLike | None,
) -> OverlapSums:
    """Checks the arguments and adds up; pixels that are ignored add 0.

    The errors are α FP + β FN = Σ (α p (1−t) + β (1−p) t), or Σ (p−t)² / 2.
    """
    probabilities, targets, _, axes = probabilities_and_targets(
        logits,
        labels,
        activation=activation,
        per_image=per_image,
        ignore_label=ignore_label,
        where=where,
    )
    hits, errors = _hits_and_errors(
        probabilities, targets, float(alpha), float(beta), axes
    )
    if squared:
        distances = probabilities - targets.astype(probabilities.dtype)
        errors = jnp.sum(0.5 * jnp.square(distances), axis=axes)
    return OverlapSums(
        hits=hits,
        errors=errors,
        targets=jnp.sum(targets, axis=axes).astype(hits.dtype),
    )


def probabilities_and_targets(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    activation: Activation,
    per_image: bool,
    ignore_label: int | Sequence[int],
    where: ArrayLike | None,
    rank: int = 2,
) -> tuple[
    Float[Array, "*pixels classes"],
    Array,
    Bool[Array, "*pixels"],
    tuple[int, ...],
]:
    """Checks the arguments; returns p, t, which pixels count, and the axes of an image.

    Of pixels that do not count p and t are 0. The axes are those before the classes,
    as many as `rank` or, with `per_image=False`, all.
    """
    _checks.check_choice("activation", activation, ("softmax", "sigmoid", "none"))
    logits = _checks.as_logits(logits)
    _check_one_class(logits, labels, activation)
    targets, counted = targets_and_mask(
        labels, logits, ignore_label=ignore_label, where=where
    )
    shape = "logits must have shape [..., height, width, classes]"
    axes = axes_of_pixels(logits, rank, per_image=per_image, wanted=shape)
    return _probabilities(logits, counted, activation), targets, counted, axes


def check_image(logits: ArrayLike, rank: int) -> None:
    """Requires the axes of an image of a batch as well, which neighborhoods need."""
    if jnp.ndim(logits) <= rank:
        axes = ", ".join(("depth", "height", "width")[-rank:])
        raise ValueError(
            f"logits must have shape [..., {axes}, classes], got {jnp.shape(logits)}"
        )


def ratio(
    errors: Float[Array, "..."], total: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Returns errors / total, 0 with gradient 0 where the total vanishes."""
    nothing = vanishes(total)
    # Probabilities that round to more than 1 are no gain.
    errors = jnp.where((errors < 0) | nothing, 0.0, errors)
    return errors / jnp.where(nothing, 1.0, total)


def vanishes(total: Float[Array, "..."]) -> Bool[Array, "..."]:
    """Returns where a total counts as 0, False where it is NaN.

    It does below the smallest number whose square is one: the slope of a ratio, which
    divides by the square, would not be finite.
    """
    return total < math.sqrt(jnp.finfo(total.dtype).tiny)


def power_of(losses: Float[Array, "..."], gamma: float) -> Float[Array, "..."]:
    """Returns losses^γ, with slope 0 where the loss is 0."""
    if gamma == 1:
        return losses
    right = losses == 0  # γ < 1 has an infinite slope there
    return jnp.where(right, 0.0, jnp.where(right, 1.0, losses) ** float(gamma))


def class_average(
    losses: Float[Array, "*images classes"],
    present: Bool[Array, "*images classes"],
    *,
    classes: WhichClasses,
    class_weights: ArrayLike | None,
) -> Float[Array, "*images"]:
    """Returns Σ w l / Σ w over the classes present or all; 0 if there are none."""
    _checks.check_choice("classes", classes, ("present", "all"))
    weights = weights_by_class(losses, class_weights)
    if classes == "present":
        weights = jnp.where(present, weights, 0.0)
    # A product, not a select: a NaN of a class that is absent shows.
    return jnp.sum(weights * losses, axis=-1) / total_weight(weights, (-1,))


def weights_by_class(
    by_class: Float[Array, "*images classes"], class_weights: ArrayLike | None
) -> Float[Array, "*images classes"]:
    """Returns the class weights of each image, 1 for None, in the shape given."""
    weights = _checks.as_class_weights(class_weights, by_class)
    if weights is None:
        return jnp.ones_like(by_class)
    return jnp.broadcast_to(weights, by_class.shape)


def axes_of_pixels(
    array: jax.Array, rank: int, *, per_image: bool, wanted: str
) -> tuple[int, ...]:
    """Returns an image's axes of pixels, or the batch's: those before the last axis.

    Args:
      array: `[..., classes]`, or features `[..., depth]`.
      rank: how many axes are an image's.
      per_image: False takes all.
      wanted: what its shape must be, for the message.
    """
    if not isinstance(per_image, bool):
        raise ValueError(f"per_image must be True or False, got {per_image!r}")
    if not per_image:
        return tuple(range(array.ndim - 1))
    if array.ndim <= rank:
        raise ValueError(
            f"{wanted} for one loss an image, got {array.shape}; pass per_image=False "
            "for pixels in any shape"
        )
    return tuple(range(array.ndim - 1 - rank, array.ndim - 1))


def _check_one_class(
    logits: jax.Array, labels: ArrayLike, activation: Activation
) -> None:
    """Requires targets and no softmax of a single class, which would learn nothing."""
    of_indices = jnp.ndim(labels) < logits.ndim
    if logits.shape[-1] == 1 and (activation == "softmax" or of_indices):
        raise ValueError(
            'one class needs activation="sigmoid" (or "none") and targets of the '
            "logits' shape, such as labels[..., None] == 1: got logits "
            f"{logits.shape}, labels {jnp.shape(labels)} and activation={activation!r}"
        )


def _probabilities(
    logits: Float[Array, "*pixels classes"],
    counted: Bool[Array, "*pixels"],
    activation: Activation,
) -> Float[Array, "*pixels classes"]:
    """Returns p, 0 at pixels that do not count, whatever their logits hold."""
    if activation == "softmax":
        return _softmax(logits, counted)
    inside = counted[..., None]
    logits = jnp.where(inside, logits, 0.0)
    if activation == "sigmoid":
        logits = jnp.where(inside, jax.nn.sigmoid(logits), 0.0)
    return logits


@jax.custom_jvp
def _softmax(
    logits: Float[Array, "*pixels classes"], counted: Bool[Array, "*pixels"]
) -> Float[Array, "*pixels classes"]:
    """Returns the softmax, 0 where not counted.

    The derivative is stated below in terms of it alone, so that it takes one pass and
    the logits of ignored pixels never enter it.
    """
    powers = jnp.exp(logits - jnp.max(logits, axis=-1, keepdims=True))
    probabilities = powers / jnp.sum(powers, axis=-1, keepdims=True)
    return jnp.where(counted[..., None], probabilities, 0.0)


@_softmax.defjvp
def _softmax_jvp(primals, tangents):
    """Applies dp = p (d − Σ p d)."""
    probabilities, (change, _) = _softmax(*primals), tangents
    mean = jnp.sum(probabilities * change, axis=-1, keepdims=True)
    return probabilities, probabilities * (change - mean)


@partial(jax.custom_jvp, nondiff_argnums=(2, 3, 4))
def _hits_and_errors(
    probabilities: Float[Array, "*pixels classes"],
    targets: jax.Array,
    alpha: float,
    beta: float,
    axes: tuple[int, ...],
) -> tuple[jax.Array, jax.Array]:
    """Returns Σ p t and Σ (α p (1−t) + β (1−p) t).

    Errors are summed as such: from Σp, Σt and Σ p t, small ones would lose their
    digits. The derivative below does go by Σ dp, so that reverse mode, its transpose,
    is one number a class and another one where t is.
    """
    hits = _mix(targets, probabilities, 0.0)
    errors = _mix(targets, beta * (1.0 - probabilities), alpha * probabilities)
    return jnp.sum(hits, axis=axes), jnp.sum(errors, axis=axes)


@_hits_and_errors.defjvp
def _hits_and_errors_jvp(alpha, beta, axes, primals, tangents):
    """Applies dH = Σ (t dp + p dt), dE = α Σ dp + β Σ dt − (α+β) dH."""
    (probabilities, targets), (change, target_change) = primals, tangents
    sums = _hits_and_errors(probabilities, targets, alpha, beta, axes)
    d_hits = jnp.sum(_mix(targets, change, 0.0), axis=axes)
    d_errors = alpha * jnp.sum(change, axis=axes)
    if targets.dtype != jnp.bool_:
        d_hits += jnp.sum(probabilities * target_change, axis=axes)
        d_errors += beta * jnp.sum(target_change, axis=axes)
    return sums, (d_hits, d_errors - (alpha + beta) * d_hits)


def _mix(
    targets: jax.Array, inside: jax.Array, outside: jax.Array | float
) -> jax.Array:
    """Returns t · inside + (1−t) · outside, by a select where t is boolean."""
    if targets.dtype == jnp.bool_:
        return jnp.where(targets, inside, outside)
    return targets * inside + (1.0 - targets) * outside

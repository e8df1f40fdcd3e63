"""What the overlap losses share: sums over pixels, ratios of them, their average."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import jax
import jax.numpy as jnp

from lal_jax import _checks
from lal_jax.reductions import total_weight
from lal_jax.targets import targets_and_mask

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float

Activation = Literal["softmax", "sigmoid", "none"]
Classes = Literal["present", "all"]


class OverlapSums(NamedTuple):
    """Sums by class over the valid pixels of each image, or of the batch."""

    hits: Float[Array, "*images classes"]  # TP = Σ p t
    errors: Float[Array, "*images classes"]  # Σ of an error of p and t
    targets: Float[Array, "*images classes"]  # Σ t
    any_valid: Bool[Array, "*images 1"]


def misses_and_false_alarms(
    probabilities: Float[Array, "..."],
    targets: Float[Array, "..."],
    *,
    alpha: float = 0.5,
    beta: float = 0.5,
) -> Float[Array, "..."]:
    """Returns α p (1−t) + β (1−p) t, whose sum is α FP + β FN."""
    false_alarms = probabilities * (1.0 - targets)
    misses = (1.0 - probabilities) * targets
    return float(alpha) * false_alarms + float(beta) * misses


def overlap_sums(
    logits: ArrayLike,
    labels: ArrayLike,
    error: Callable[[jax.Array, jax.Array], jax.Array] = misses_and_false_alarms,
    *,
    activation: Activation,
    per_image: bool,
    ignore_label: int | Sequence[int],
    where: ArrayLike | None,
) -> OverlapSums:
    """Checks the arguments and adds up; pixels that are ignored add 0.

    Errors are summed as such, not taken from Σp and Σt: their difference would lose
    the digits of small ones.
    """
    _checks.check_choice("activation", activation, ("softmax", "sigmoid", "none"))
    logits = _checks.as_logits(logits)
    _check_one_class(logits, labels, activation)
    targets, counted = targets_and_mask(
        labels, logits, ignore_label=ignore_label, where=where
    )
    axes = _axes_of_pixels(logits, per_image)
    probabilities = _probabilities(logits, counted, activation)
    return OverlapSums(
        hits=jnp.sum(probabilities * targets, axis=axes),
        errors=jnp.sum(error(probabilities, targets), axis=axes),
        targets=jnp.sum(targets, axis=axes),
        any_valid=jnp.any(counted[..., None], axis=axes),
    )


def ratio(
    errors: Float[Array, "..."], total: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Returns errors / total, 0 with gradient 0 where the total is 0.

    A total counts as 0 below the smallest number whose square is one: the slope, which
    divides by the square, would not be finite.
    """
    least = math.sqrt(jnp.finfo(total.dtype).tiny)
    nothing = total < least  # False where it is NaN
    # Probabilities that round to more than 1 are no gain.
    errors = jnp.where((errors < 0) | nothing, 0.0, errors)
    return errors / jnp.where(nothing, 1.0, total)


def power_of(losses: Float[Array, "..."], gamma: float) -> Float[Array, "..."]:
    """Returns losses^γ, with slope 0 where the loss is 0."""
    if gamma == 1:
        return losses
    right = losses == 0  # γ < 1 has an infinite slope there
    return jnp.where(right, 0.0, jnp.where(right, 1.0, losses) ** float(gamma))


def class_average(
    losses: Float[Array, "*images classes"],
    sums: OverlapSums,
    *,
    classes: Classes,
    class_weights: ArrayLike | None,
) -> Float[Array, "*images"]:
    """Returns Σ w l / Σ w over the classes present or all; 0 if there are none."""
    _checks.check_choice("classes", classes, ("present", "all"))
    weights = weights_by_class(sums, class_weights)
    if classes == "present":
        counted = sums.targets > 0
    else:
        counted = jnp.broadcast_to(sums.any_valid, losses.shape)
    share = jnp.where(counted, weights, 0.0)
    # A product, not a select: a NaN of a class that is absent shows.
    return jnp.sum(share * losses, axis=-1) / total_weight(share, (-1,))


def weights_by_class(
    sums: OverlapSums, class_weights: ArrayLike | None
) -> Float[Array, "*images classes"]:
    """Returns the class weights of each image, 1 for None."""
    weights = _checks.as_class_weights(class_weights, sums.hits)
    if weights is None:
        return jnp.ones_like(sums.hits)
    return jnp.broadcast_to(weights, sums.hits.shape)


def _axes_of_pixels(logits: jax.Array, per_image: bool) -> tuple[int, ...]:
    """Returns the axes to sum over: height and width, or all but the classes."""
    if not isinstance(per_image, bool):
        raise ValueError(f"per_image must be True or False, got {per_image!r}")
    if not per_image:
        return tuple(range(logits.ndim - 1))
    if logits.ndim < 3:
        raise ValueError(
            "logits must have shape [..., height, width, classes] for one loss an "
            f"image, got {logits.shape}; pass per_image=False for pixels in any shape"
        )
    return (logits.ndim - 3, logits.ndim - 2)


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
    inside = counted[..., None]
    logits = jnp.where(inside, logits, 0.0)
    if activation == "softmax":
        logits = jax.nn.softmax(logits, axis=-1)
    elif activation == "sigmoid":
        logits = jax.nn.sigmoid(logits)
    return jnp.where(inside, logits, 0.0)

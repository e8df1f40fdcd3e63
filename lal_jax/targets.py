"""What a pixel is trained toward: its class, one-hot or smoothed, or given targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from lal_jax import _checks
from lal_jax.kernel_switch import several_devices
from lal_jax.masks import ignored_labels, labels_and_mask

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Int


def has_class(
    labels: Int[Array, "*pixels"], valid: Bool[Array, "*pixels"], classes: int
) -> Bool[Array, "*pixels"]:
    """Returns False where a pixel is ignored or its label is out of range."""
    return valid & (labels >= 0) & (labels < classes)


def is_target(
    labels: Int[Array, "*pixels"], classes: int
) -> Bool[Array, "*pixels classes"]:
    """Returns the one-hot labels as booleans."""
    indices = jax.lax.broadcasted_iota(
        labels.dtype, (*labels.shape, classes), labels.ndim
    )
    return indices == labels[..., None]


def at_label(
    values: Float[Array, "*pixels classes"], labels: Int[Array, "*pixels"]
) -> Float[Array, "*pixels"]:
    """Returns each pixel's value of its own class; that of a label out of range: any.

    By index, since a select would take another array of the values' size. Programs that
    may be divided select all the same: by index all values might be gathered, and JAX
    refuses to index along classes that Explicit mesh axes divide.
    """
    classes = values.shape[-1]
    if several_devices() or jax.typeof(values).sharding.spec[-1] is not None:
        return jnp.sum(jnp.where(is_target(labels, classes), values, 0.0), axis=-1)
    index = jnp.clip(labels, 0, classes - 1)[..., None]
    found = jnp.take_along_axis(values, index, axis=-1, mode="promise_in_bounds")
    return found[..., 0]


def smooth_target(
    labels: Int[Array, "*pixels"],
    counted: Bool[Array, "*pixels"],
    logits: Float[Array, "*pixels classes"],
    label_smoothing: float,
) -> Float[Array, "*pixels classes"]:
    """Returns t = (1−ε)·onehot + ε/C in the logits' dtype, 0 where not counted."""
    classes = logits.shape[-1]
    onehot = is_target(labels, classes).astype(logits.dtype)
    target = (1.0 - label_smoothing) * onehot + label_smoothing / classes
    return jnp.where(counted[..., None], target, 0.0)


def target_weight(
    labels: Int[Array, "*pixels"], class_weights: Float[Array, " classes"]
) -> Float[Array, "*pixels"]:
    """Returns w_y, the class weight of each pixel's label; 0 for one out of range."""
    hit = is_target(labels, len(class_weights))
    weights = jnp.broadcast_to(class_weights, hit.shape)
    return jnp.sum(jnp.where(hit, weights, 0.0), axis=-1)


def targets_and_mask(
    labels: ArrayLike,
    logits: Float[Array, "*pixels classes"],
    *,
    ignore_label: int | Sequence[int],
    where: ArrayLike | None,
) -> tuple[Array, Bool[Array, "*pixels"]]:
    """Returns targets, 0 or False at pixels that do not count, and which do.

    Labels become one-hot as booleans, and one out of range does not count. Boolean
    targets `[..., classes]` stay as they are, others get the logits' dtype.
    """
    classes = logits.shape[-1]
    given: Any = labels
    if jnp.ndim(given) == logits.ndim:
        given = jnp.asarray(labels)
        _check_given_targets(given, logits)
        ignored_labels(ignore_label)
        counted = _checks.as_where(where, logits.shape[:-1], "targets' pixels")
    else:
        indices, valid = labels_and_mask(
            given, logits, ignore_label=ignore_label, where=where
        )
        counted = has_class(indices, valid, classes)
        given = is_target(indices, classes)
    inside = counted[..., None]
    if given.dtype == jnp.bool_:
        return given & inside, counted
    return jnp.where(inside, given.astype(logits.dtype), 0.0), counted


def _check_given_targets(
    targets: jax.Array, logits: Float[Array, "*pixels classes"]
) -> None:
    """Requires the logits' shape, and floating point or boolean values."""
    fits = jnp.issubdtype(targets.dtype, jnp.floating) or targets.dtype == jnp.bool_
    if not fits or targets.shape != logits.shape:
        raise ValueError(
            "labels must have the shape of the logits without their last axis, the "
            "classes, or be floating point or boolean targets of their whole shape: "
            f"got logits {logits.shape} and labels {targets.shape} of {targets.dtype}; "
            "of one-hot labels take labels.argmax(-1), of several labels a pixel "
            "labels.astype(bool)"
        )

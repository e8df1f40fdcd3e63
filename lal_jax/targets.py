"""What a pixel is trained toward: its class as a one-hot or smoothed target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int


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

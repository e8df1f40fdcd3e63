"""Labels as integers that are what they were: no other dtype makes another class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int


def as_indices(labels: ArrayLike, name: str = "labels") -> Int[Array, "..."]:
    """Returns labels as int32, int64 ones as they are; none wraps around to another."""
    if isinstance(labels, np.ndarray | np.generic):
        labels = np.asarray(labels, labels.dtype.newbyteorder("="))  # JAX has no other
        labels = _within_int32(labels, np)  # JAX would cut off what is beyond
    indices = _within_int32(jnp.asarray(labels), jnp)
    if not jnp.issubdtype(indices.dtype, jnp.integer):
        raise ValueError(
            f"{name} must be integer class indices, got {indices.dtype}; "
            f"convert them with {name}.astype(jnp.int32)"
        )
    # uint8 labels: 255 + 1 would wrap to 0, and ignore_label=-1 would not fit.
    return indices if indices.dtype == jnp.int64 else indices.astype(jnp.int32)


def _within_int32(labels: Any, xp: Any) -> Any:
    """Returns labels, those beyond int32 as the nearest in it, but JAX's int64."""
    limits = np.iinfo(np.int32)
    if labels.dtype in (np.uint32, np.uint64):
        return xp.minimum(labels, xp.asarray(limits.max, labels.dtype))
    if labels.dtype == np.int64 and xp is np:
        return np.clip(labels, limits.min + 1, limits.max)
    return labels


def as_labels(
    labels: ArrayLike, logits: Float[Array, "..."], name: str = "logits"
) -> Int[Array, "..."]:
    """Returns labels as signed integers, of the logits' shape without the classes."""
    labels = as_indices(labels)
    if logits.shape[:-1] != labels.shape:
        onehot = labels.shape == logits.shape
        raise ValueError(
            f"labels must have the shape of the {name} without their last axis, the "
            f"classes: got {name} {logits.shape} and labels {labels.shape}"
            + ("; of one-hot labels take labels.argmax(-1)" if onehot else "")
        )
    return labels

"""The center loss, which pulls features toward the center of their class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from lal_jax import _checks
from lal_jax.masks import labels_and_mask
from lal_jax.targets import has_class, is_target

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Int


def center_loss(
    features: Float[Array, "*pixels depth"],
    labels: Int[Array, "*pixels"],
    centers: Float[Array, "classes depth"],
    *,
    ignore_label: int | Sequence[int] = 255,
    where: Bool[Array, "*pixels"] | None = None,
) -> Float[Array, "*pixels"]:
    r"""Returns half the squared distance of each pixel to its class's center.

    .. math:: L = \tfrac12 \lVert x - c_y \rVert^2

    The centers are constants to the gradient; `update_centers` moves them. The caller
    carries them from step to step and saves them with the weights.

    Args:
      features: x, `[..., depth]`, floating point; the logits or an earlier layer.
      labels: class indices, `[...]`, integer.
      centers: c, `[classes, depth]`; start with zeros.
      ignore_label: the label of ignored pixels, or several.
      where: False marks further pixels to ignore, `[...]`.

    Returns:
      The losses, `[...]`; zero at ignored pixels. float32, or float64 for float64
      features.

    Raises:
      ValueError: shapes or dtypes do not fit; the message has the values.

    >>> import jax.numpy as jnp
    >>> centers = jnp.array([[0.0, 0.0], [1.0, 1.0]])
    >>> features = jnp.array([[3.0, 4.0], [1.0, 2.0]])
    >>> center_loss(features, jnp.array([0, 1]), centers).tolist()
    [12.5, 0.5]

    Source: Eq. 2 of Wen et al. 2016 (A Discriminative Feature Learning Approach for
    Deep Face Recognition), with λ left to the caller.
    """
    features = _checks.as_float(features, "features")
    labels, valid = labels_and_mask(
        labels, features, ignore_label=ignore_label, where=where, name="features"
    )
    centers = _as_centers(centers, features)
    offsets = _offsets(features, labels, jax.lax.stop_gradient(centers), valid)
    return 0.5 * jnp.sum(jnp.square(offsets), axis=-1)


def update_centers(
    centers: Float[Array, "classes depth"],
    features: Float[Array, "*pixels depth"],
    labels: Int[Array, "*pixels"],
    *,
    alpha: float = 0.5,
    ignore_label: int | Sequence[int] = 255,
    where: Bool[Array, "*pixels"] | None = None,
) -> Float[Array, "classes depth"]:
    r"""Returns the class centers, moved toward the features of a batch.

    .. math:: c_k - \alpha \frac{\sum_{y = k} (c_k - x)}{1 + n_k}

    with n_k the number of pixels of class k in the batch. A class that the batch lacks
    keeps its center. No gradient flows through the result.

    Args:
      centers: c, `[classes, depth]`.
      features: x, `[..., depth]`; the whole batch, as the sum is over all its pixels.
      labels: class indices, `[...]`, integer.
      alpha: α in (0, 1], the step size of the centers.
      ignore_label: the label of ignored pixels, or several.
      where: False marks further pixels to ignore, `[...]`.

    Returns:
      The new centers, `[classes, depth]`, in the dtype of `centers`.

    Raises:
      ValueError: shapes or dtypes do not fit, or α does not lie in (0, 1].

    >>> import jax.numpy as jnp
    >>> features = jnp.array([[4.0], [8.0]])
    >>> update_centers(jnp.zeros((2, 1)), features, jnp.array([1, 1])).tolist()
    [[0.0], [2.0]]

    Source: Eq. 4 of Wen et al. 2016; the 1 keeps absent classes from dividing by 0.
    """
    _checks.check_share("alpha", alpha)
    features = jax.lax.stop_gradient(_checks.as_float(features, "features"))
    labels, valid = labels_and_mask(
        labels, features, ignore_label=ignore_label, where=where, name="features"
    )
    current = jax.lax.stop_gradient(_as_centers(centers, features))
    moved = _moved(current, features, labels, valid, alpha)
    return moved.astype(jnp.asarray(centers).dtype)


@jax.jit  # or each call by itself would compile its loop
def _moved(
    current: Float[Array, "classes depth"],
    features: Float[Array, "*pixels depth"],
    labels: Int[Array, "*pixels"],
    valid: Bool[Array, "*pixels"],
    alpha: float,
) -> Float[Array, "classes depth"]:
    """Returns `update_centers` of checked arguments."""
    offsets = _offsets(features, labels, current, valid)
    pixels = tuple(range(labels.ndim))

    def add_up(label: Int[Array, ""]) -> tuple[Float[Array, " depth"], Int[Array, ""]]:
        member = valid & (labels == label)
        total = jnp.sum(jnp.where(member[..., None], offsets, 0.0), axis=pixels)
        return total, jnp.sum(member)

    # Class by class: a scatter would neither shard nor add in the same order twice on a
    # GPU, a product of sharded axes leaves open where its result should be.
    classes = jnp.arange(len(current), dtype=labels.dtype)
    total, count = jax.lax.map(add_up, classes)
    count = count.astype(current.dtype)
    return current + alpha * total / (1.0 + count)[:, None]


def _offsets(
    features: Float[Array, "*pixels depth"],
    labels: Int[Array, "*pixels"],
    centers: Float[Array, "classes depth"],
    valid: Bool[Array, "*pixels"],
) -> Float[Array, "*pixels depth"]:
    """Returns x − c_y, 0 where a pixel is ignored or has no class."""
    counted = has_class(labels, valid, len(centers))
    # A product, not an index: a gather would not shard.
    member = is_target(labels, len(centers)).astype(features.dtype)
    own = jnp.matmul(member, centers, precision="highest")
    return jnp.where(counted[..., None], features - own, 0.0)


def _as_centers(
    centers: ArrayLike, features: Float[Array, "..."]
) -> Float[Array, "classes depth"]:
    """Returns class centers in the features' dtype, of the features' depth."""
    centers = jnp.asarray(centers)
    if centers.ndim != 2 or centers.shape[-1:] != features.shape[-1:]:
        raise ValueError(
            "centers must have shape [classes, depth] with the depth of the features, "
            f"their last axis: got centers {centers.shape} and features "
            f"{features.shape}"
        )
    if not jnp.issubdtype(centers.dtype, jnp.floating):
        raise ValueError(
            f"centers must be floating point, got {centers.dtype}; begin with "
            "jnp.zeros((classes, depth))"
        )
    return centers.astype(features.dtype)

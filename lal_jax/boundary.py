"""The boundary loss: probabilities weighed by how far away their class is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from lal_jax import _checks
from lal_jax.distances import (
    check_spatial_axes,
    checked_spacing,
    distances_of_members,
)
from lal_jax.overlap_sums import Activation, probabilities_and_targets

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Shaped


def boundary_loss(
    logits: Float[Array, "*batch height width classes"],
    labels: Shaped[Array, "..."],
    *,
    distances: Float[Array, "*batch height width classes"] | None = None,
    spacing: float | Sequence[float] = 1.0,
    activation: Activation = "softmax",
    per_image: bool = True,
    class_weights: ArrayLike | None = None,
    ignore_label: int | Sequence[int] = 255,
    where: Bool[Array, "*batch height width"] | None = None,
) -> Float[Array, "*batch"]:
    r"""Returns the boundary loss of each image: what is predicted far off costs most.

    .. math:: L = \frac{1}{M} \sum_q \sum_c w_c\, p_{qc}\, \varphi_c(q)

    over the M valid pixels q, with φ the `signed_distances`. It is least, and negative,
    where each pixel is surely of its class.

    Args:
      logits: raw scores, `[..., height, width, classes]`, floating point.
      labels: class indices, `[..., height, width]`, integer; or targets,
        `[..., height, width, classes]`, boolean. Floating point ones have no boundary
        and need `distances`.
      distances: φ, `[..., height, width, classes]`; labels then only tell which pixels
        are ignored. None computes it, which takes seven to ten times as long as the
        rest: where images come more than once, keep `signed_distances` with them.
      spacing: distance between neighboring pixels: a number, or one for each spatial
        axis, `(1.0, 1.0, 1.0)` for volumes, `(1.0,)` for sequences.
      activation: how p comes from the logits: `"softmax"`, `"sigmoid"` for several
        labels a pixel, or `"none"` where probabilities are given.
      per_image: True averages over each image, as many axes before the classes as the
        spacing has numbers; False over all pixels of the batch.
      class_weights: w, one factor per class, `[classes]`; None means 1. A class of
        weight 0 is left out, often the background.
      ignore_label: the label of ignored pixels, or several; of labels alone, targets
        are ignored by `where`.
      where: False marks further pixels to ignore, `[..., height, width]`.

    Returns:
      One loss per image, `[...]`, or with `per_image=False` one in all, `[]`;
      of either sign, float32, or float64 for float64 logits. Without a valid pixel, 0
      with gradient 0.

    Raises:
      ValueError: shapes, dtypes or options do not fit; the message has the values.

    >>> import jax.numpy as jnp
    >>> p = jnp.array([[[0.8, 0.2], [0.4, 0.6], [0.5, 0.5]]])
    >>> labels = jnp.array([[0, 1, 1]])
    >>> round(float(boundary_loss(p, labels, activation="none")), 4)
    -0.2667

    Source: Kervadec et al. 2019 (arXiv:1812.07032), Section 2, who sum over the
    foreground of two classes (here `class_weights=[0.0, 1.0]`) and add it to another
    loss, with a weight that grows during training: alone it may end at an empty
    prediction. A label out of range is left out, as an ignored pixel.
    """
    steps = checked_spacing(spacing)
    if distances is None or per_image:
        shape = jnp.shape(logits)
        check_spatial_axes("logits before the classes", shape, len(shape) - 1, steps)
    probabilities, targets, counted, axes = probabilities_and_targets(
        logits,
        labels,
        activation=activation,
        per_image=per_image,
        ignore_label=ignore_label,
        where=where,
        rank=len(steps),
    )
    weights = _checks.as_class_weights(class_weights, probabilities)
    if distances is None:
        disjoint = jnp.ndim(labels) < probabilities.ndim
        phi = _distances_of_targets(targets, counted, steps, probabilities, disjoint)
    else:
        phi = _as_distances(distances, probabilities)
    phi = jnp.where(counted[..., None], phi, 0.0)
    if weights is not None:
        phi *= jax.lax.expand_dims(weights, range(phi.ndim - 1))
    pixels = jnp.maximum(jnp.sum(counted, axis=axes), 1).astype(phi.dtype)
    return jnp.sum(probabilities * phi, axis=(*axes, phi.ndim - 1)) / pixels


def _distances_of_targets(
    targets: Array,
    counted: Bool[Array, "*pixels"],
    spacing: tuple[float, ...],
    logits: Float[Array, "*pixels classes"],
    disjoint: bool,
) -> Float[Array, "*pixels classes"]:
    """Returns φ in the logits' dtype, which needs a boundary to begin from."""
    if targets.dtype != jnp.bool_:
        raise ValueError(
            "floating point targets have no boundary to measure distances from: pass "
            f"distances, or boolean targets such as labels > 0.5; got {targets.shape}"
        )
    return distances_of_members(
        targets, counted, spacing, logits.dtype, disjoint=disjoint
    )


def _as_distances(
    distances: ArrayLike, logits: Float[Array, "*pixels classes"]
) -> Float[Array, "*pixels classes"]:
    """Returns the distances given in the logits' dtype; their shapes must be equal."""
    phi = _checks.as_float(distances, "distances")
    if phi.shape != logits.shape:
        raise ValueError(
            f"distances must have the shape of the logits {logits.shape}, got "
            f"{phi.shape}; signed_distances(labels, num_classes={logits.shape[-1]}) "
            "has it"
        )
    return phi.astype(logits.dtype)

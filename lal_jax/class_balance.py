"""The class-balanced mean of an image's losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from lal_jax import _checks, _labels
from lal_jax.masks import mask_of
from lal_jax.reductions import checked_losses, power_mean
from lal_jax.targets import has_class, is_target
from lal_jax.windows import NO_CLASS

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int


def class_balanced_mean(
    losses: Float[Array, "..."],
    labels: Int[Array, "..."],
    *,
    exponent: float = 0.5,
    power: float = 1.0,
    where: Bool[Array, "..."] | None = None,
    ignore_label: int | Sequence[int] = 255,
    classes: int | None = None,
    axis: int | Sequence[int] | None = (-2, -1),
) -> Float[Array, "..."]:
    r"""Averages the losses of each image with less weight on its common classes.

    .. math:: L = \Bigl(\frac{\sum_q w_q L_q^k}{\sum_q w_q}\Bigr)^{1/k},
              \quad w_q = n_{y_q}^{-e}

    where n_c is the number of valid pixels of class c in the image. With e = 0 all
    pixels weigh alike (`masked_mean`, or `minkowski_mean` of the same power); with
    e = 1 each class that occurs weighs the same as the others, whatever its size.

    As `pool=` of `locally_adaptive_loss` it is handed the labels and the number of
    classes.

    Args:
      losses: losses per pixel, not negative, `[..., height, width]`.
      labels: class indices, integer, same shape.
      exponent: e in [0, 1].
      power: k > 0; 1 is the mean.
      where: False leaves a pixel out; same shape. None takes all.
      ignore_label: the label of ignored pixels, or several.
      classes: number of classes; a label that is none of them is left out. None counts
        whatever labels there are, by sorting them, which takes longer.
      axis: the axes to pool over; None takes all.

    Returns:
      One loss per image, `[...]`; 0 with gradient 0 where no pixel is valid.

    Raises:
      ValueError: `exponent` does not lie in [0, 1], `power` is not positive, or shapes
        and dtypes do not fit; the message has the values.

    >>> import jax.numpy as jnp
    >>> losses = jnp.array([[1.0, 1.0, 1.0, 5.0]])
    >>> labels = jnp.array([[0, 0, 0, 1]])
    >>> float(class_balanced_mean(losses, labels, exponent=1.0))
    3.0

    Source: weights by a power of the class frequency are common practice (Mikolov et
    al. 2013 sample by one, arXiv:1310.4546); here frequencies are those of the image.
    """
    _checks.check_power(power)
    losses, valid, axes, weights = balanced_losses(
        losses,
        labels,
        exponent=exponent,
        where=where,
        ignore_label=ignore_label,
        classes=classes,
        axis=axis,
    )
    return power_mean(losses, valid, axes, power=power, weights=weights)


def balanced_losses(
    losses: Float[Array, "..."],
    labels: Int[Array, "..."],
    *,
    exponent: float,
    where: Bool[Array, "..."] | None,
    ignore_label: int | Sequence[int],
    classes: int | None,
    axis: int | Sequence[int] | None,
) -> tuple[
    Float[Array, "..."], Bool[Array, "..."], tuple[int, ...], Float[Array, "..."]
]:
    """Checks the arguments; returns losses, mask, axes and weights n^(−e)."""
    _checks.check_exponent(exponent)
    losses, valid, axes = checked_losses(losses, where, axis)
    labels = _labels.as_indices(labels)
    if labels.shape != losses.shape:
        raise ValueError(
            f"labels must have the shape of the losses: got labels {labels.shape} and "
            f"losses {losses.shape}; with a stride pass labels of the centers"
        )
    valid &= mask_of(labels, ignore_label, None)
    if classes is None:
        count = _count_by_sorting(labels, valid, axes)
    else:
        _checks.check_integer("classes", classes, least=1)
        valid = has_class(labels, valid, classes)
        count = _count_of_classes(labels, valid, axes, classes)
    count = jnp.maximum(count, 1).astype(losses.dtype)
    return losses, valid, axes, jnp.where(valid, count**-exponent, 0.0)


def _count_of_classes(
    labels: Int[Array, "..."],
    valid: Bool[Array, "..."],
    axes: tuple[int, ...],
    classes: int,
) -> Int[Array, "..."]:
    """Returns, for each pixel, the number of valid pixels of its class along the axes.

    Selects and sums, not a scatter and a gather, which would not shard.
    """
    same = is_target(labels, classes) & valid[..., None]
    counts = jnp.sum(same, axis=axes, keepdims=True)
    return jnp.sum(jnp.where(same, counts, 0), axis=-1)


def _count_by_sorting(
    labels: Int[Array, "..."], valid: Bool[Array, "..."], axes: tuple[int, ...]
) -> Int[Array, "..."]:
    """Returns the same for any labels: how far each reaches in sorted order."""
    marks = jnp.where(valid, labels, NO_CLASS)
    last = tuple(range(labels.ndim - len(axes), labels.ndim))
    moved = jnp.moveaxis(marks, axes, last)
    kept = labels.ndim - len(axes)
    rows = moved.reshape(-1, math.prod(moved.shape[kept:])) if moved.size else moved

    def count(row: Int[Array, " pixels"]) -> Int[Array, " pixels"]:
        ordered = jnp.sort(row)
        end = jnp.searchsorted(ordered, row, side="right", method="sort")
        return end - jnp.searchsorted(ordered, row, method="sort")

    counts = jax.vmap(count)(rows) if moved.size else moved
    return jnp.moveaxis(counts.reshape(moved.shape), last, axes)

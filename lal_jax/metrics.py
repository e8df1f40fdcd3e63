"""Metrics of segmentation, as counts that add up and functions of them.

A metric of a whole split is no mean of those of its images or batches. So what is kept
from step to step is counts: they add up over batches, over devices (`jax.lax.psum`) and
over processes, and give the same figure however the images were divided.

NumPy arrays are counted on the host, in int64, for masks of many sizes; all others in
JAX, in int32, which holds 2³¹ − 1 pixels: add up larger splits on the host, with
`total += np.asarray(counts, np.int64)`.

>>> import jax.numpy as jnp
>>> predictions, labels = jnp.array([[0, 1, 1, 1]]), jnp.array([[0, 1, 0, 255]])
>>> float(mean_iou(confusion_matrix(predictions, labels, num_classes=2)))
0.5
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from jax.typing import ArrayLike

from lal_jax import _checks
from lal_jax.borders import boundary_counts, boundary_iou, near_border
from lal_jax.counting import (
    known_ratio,
    mean_of_known,
    namespace,
    pairs,
    pixels,
    quotient,
)

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int

__all__ = [
    "boundary_counts",
    "boundary_iou",
    "confusion_matrix",
    "dice",
    "dice_by_class",
    "frequency_weighted_iou",
    "iou_by_class",
    "mean_accuracy",
    "mean_iou",
    "near_border",
    "pixel_accuracy",
    "recall_by_class",
]


def confusion_matrix(
    predictions: Int[ArrayLike, "..."],
    labels: Int[ArrayLike, "..."],
    *,
    num_classes: int,
    ignore_label: int | Sequence[int] = 255,
    where: Bool[ArrayLike, "..."] | None = None,
) -> Int[Array, "classes classes"]:
    """Counts the valid pixels by their class and the predicted one.

    Args:
      predictions: class indices, such as `logits.argmax(-1)`, `[...]`, integer.
      labels: class indices of the truth, `[...]`, integer.
      num_classes: the number of classes.
      ignore_label: the label of ignored pixels, or several.
      where: False marks further pixels to ignore, `[...]`, such as `near_border`.

    Returns:
      The number of pixels, `[classes, classes]`, truth by row. int32, or int64 for
      NumPy arrays. A pixel whose label or prediction is no class is not counted.

    Raises:
      ValueError: shapes or dtypes do not fit, or there is no class.

    >>> import numpy as np
    >>> predictions, labels = np.array([0, 1, 1]), np.array([0, 0, 255])
    >>> confusion_matrix(predictions, labels, num_classes=2).tolist()
    [[1, 1], [0, 0]]
    """
    _checks.check_integer("num_classes", num_classes, least=1)
    predictions, labels, valid = pixels(predictions, labels, ignore_label, where)
    return pairs(labels, predictions, valid, num_classes)


def iou_by_class(counts: Int[ArrayLike, "classes classes"]) -> Float[Array, " classes"]:
    """Returns the intersection over union of each class, in [0, 1].

    Args:
      counts: as of `confusion_matrix`.

    Returns:
      `[classes]`; NaN for a class that does not occur in the truth.
    """
    hits, truth, found = _Sums.of(counts)
    return known_ratio(hits, truth + found - hits, truth > 0)


def dice_by_class(
    counts: Int[ArrayLike, "classes classes"],
) -> Float[Array, " classes"]:
    """Returns the Dice coefficient (F1) of each class, in [0, 1].

    Args:
      counts: as of `confusion_matrix`.

    Returns:
      `[classes]`; NaN for a class that does not occur in the truth.
    """
    hits, truth, found = _Sums.of(counts)
    # Twice the hits, or truth and found together, may be more than int32 holds.
    wrong = (truth - hits) + (found - hits)
    return known_ratio(hits, hits.astype(float) + wrong.astype(float) / 2, truth > 0)


def recall_by_class(
    counts: Int[ArrayLike, "classes classes"],
) -> Float[Array, " classes"]:
    """Returns the fraction of each class's pixels that are right, in [0, 1].

    Args:
      counts: as of `confusion_matrix`.

    Returns:
      `[classes]`; NaN for a class that does not occur in the truth.
    """
    hits, truth, _ = _Sums.of(counts)
    return known_ratio(hits, truth, truth > 0)


def mean_iou(counts: Int[ArrayLike, "classes classes"]) -> Float[Array, ""]:
    """Returns the mean of `iou_by_class` over the classes that occur in the truth.

    Args:
      counts: as of `confusion_matrix`.

    Returns:
      A fraction; 0 where no class occurs.
    """
    return mean_of_known(iou_by_class(counts))


def dice(counts: Int[ArrayLike, "classes classes"]) -> Float[Array, ""]:
    """Returns the mean of `dice_by_class` over the classes that occur in the truth.

    Args:
      counts: as of `confusion_matrix`.

    Returns:
      A fraction; 0 where no class occurs.
    """
    return mean_of_known(dice_by_class(counts))


def mean_accuracy(counts: Int[ArrayLike, "classes classes"]) -> Float[Array, ""]:
    """Returns the mean of `recall_by_class` over the classes that occur in the truth.

    Args:
      counts: as of `confusion_matrix`.

    Returns:
      A fraction; 0 where no class occurs.
    """
    return mean_of_known(recall_by_class(counts))


def pixel_accuracy(counts: Int[ArrayLike, "classes classes"]) -> Float[Array, ""]:
    """Returns the fraction of the pixels that are right.

    Args:
      counts: as of `confusion_matrix`.

    Returns:
      A fraction; 0 where there are no pixels.
    """
    hits, truth, _ = _Sums.of(counts)
    return quotient(hits.sum(), truth.sum())


def frequency_weighted_iou(
    counts: Int[ArrayLike, "classes classes"],
) -> Float[Array, ""]:
    """Returns the mean of `iou_by_class` weighted by the classes' numbers of pixels.

    Args:
      counts: as of `confusion_matrix`.

    Returns:
      A fraction; 0 where there are no pixels.
    """
    iou, truth = iou_by_class(counts), _Sums.of(counts).truth
    weighted = namespace(iou).where(truth > 0, truth.astype(float) * iou, 0.0)
    return quotient(weighted.sum(), truth.sum())


class _Sums(NamedTuple):
    """Pixels of each class: those that are right, of the truth, and predicted."""

    hits: Int[Array, " classes"]
    truth: Int[Array, " classes"]
    found: Int[Array, " classes"]

    @classmethod
    def of(cls, counts: ArrayLike) -> _Sums:
        """Returns those of a confusion matrix.

        Raises:
          ValueError: it is none.
        """
        table = namespace(counts).asarray(counts)
        if table.ndim != 2 or table.shape[0] != table.shape[1]:
            raise ValueError(
                "counts must be [classes, classes], as of confusion_matrix: got shape "
                f"{table.shape}"
            )
        truth, found = table.sum(axis=1), table.sum(axis=0)
        return cls(table.diagonal().astype(truth.dtype), truth, found)

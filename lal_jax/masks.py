"""The mask of valid pixels, and a check that their labels are classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import jax
import numpy as np
from jax.typing import ArrayLike

from lal_jax import _checks, _labels

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int

AnyArray = TypeVar("AnyArray", jax.Array, np.ndarray)


def valid_mask(
    labels: Int[Array, "..."],
    *,
    ignore_label: int | Sequence[int] = 255,
    where: Bool[Array, "..."] | None = None,
) -> Bool[Array, "..."]:
    """Returns the mask of valid pixels: False where a pixel is ignored.

    Args:
      labels: class indices of any integer dtype and shape.
      ignore_label: the label of ignored pixels, or several, `(0, 255)`; one that does
        not occur, such as −1, if there are none.
      where: False marks further pixels to ignore; same shape as `labels`.

    Returns:
      A boolean mask of the shape of `labels`.

    Raises:
      ValueError: labels or `ignore_label` are not integers, or `where` is not boolean
        or differs in shape.

    >>> import jax.numpy as jnp
    >>> valid_mask(jnp.array([[0, 255], [3, 1]])).tolist()
    [[True, False], [True, True]]
    """
    return mask_of(_labels.as_indices(labels), ignore_label, where)


def labels_and_mask(
    labels: ArrayLike,
    predictions: Float[Array, "*pixels classes"],
    *,
    ignore_label: int | Sequence[int],
    where: ArrayLike | None,
    name: str = "logits",
) -> tuple[Int[Array, "*pixels"], Bool[Array, "*pixels"]]:
    """Returns labels whose shape fits the predictions of that name, and their mask."""
    labels = _labels.as_labels(labels, predictions, name)
    return labels, mask_of(labels, ignore_label, where)


def mask_of(
    labels: Int[Array, "..."],
    ignore_label: int | Sequence[int],
    where: ArrayLike | None,
) -> Bool[Array, "..."]:
    """Returns `valid_mask` of integer labels."""
    valid = _checks.as_where(where, labels.shape, "labels")
    return without(ignored_labels(ignore_label), labels, valid)


def without(ignored: tuple[int, ...], labels: AnyArray, mask: AnyArray) -> AnyArray:
    """Returns the mask, False as well where a label is ignored; in NumPy or JAX."""
    for label in ignored:
        mask = mask & (labels != label)
    return mask


def ignored_labels(ignore_label: int | Sequence[int]) -> tuple[int, ...]:
    """Returns one or several labels of ignored pixels as a tuple, checked."""
    labels = ignore_label if isinstance(ignore_label, Sequence) else [ignore_label]
    for label in labels:
        _checks.check_ignore_label(label)
    return tuple(labels)


def check_labels(
    labels: ArrayLike,
    *,
    classes: int,
    ignore_label: int | Sequence[int] = 255,
    name: str = "labels",
) -> None:
    """Raises for labels neither a class nor ignored, naming the first and its place.

    Under jit an out-of-range label cannot raise: it adds zero loss and has no gradient
    but still counts in the mean, which it lowers. So check labels where they are read,
    outside jit, in NumPy. Masks of 0 and 255 pass, as all that is white is ignored:
    `mask > 0` makes them labels.

    Args:
      labels: class indices of any integer dtype and shape.
      classes: the number of classes; labels are 0 to `classes` − 1.
      ignore_label: the label of ignored pixels, or several.
      name: the name of the labels in the message, such as their file.

    Raises:
      ValueError: a label is out of range, or labels are not integers, or they are
        traced, as inside jit.

    >>> import numpy as np
    >>> check_labels(np.array([[0, 255], [2, 7]]), classes=3)
    Traceback (most recent call last):
    ValueError: labels must lie in 0…2 or be 255 (void), got 7 at (1, 1), 1 of 4 pixels
    """
    if isinstance(labels, jax.core.Tracer):
        raise ValueError(
            f"{name} have no values inside jit; check_labels looks at them where the "
            "data is read"
        )
    _checks.check_integer("classes", classes, least=1)
    values = np.asarray(labels)
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(
            f"{name} must be integer class indices, got {values.dtype}; convert them "
            "with labels.astype(np.int32)"
        )
    ignored = ignored_labels(ignore_label)
    stray = without(ignored, values, (values < 0) | (values >= classes))
    if stray.any():
        place = tuple(int(index) for index in np.argwhere(stray)[0])
        void = f" or be {', '.join(map(str, ignored))} (void)" if ignored else ""
        raise ValueError(
            f"{name} must lie in 0…{classes - 1}{void}, got "
            f"{values[place]} at {place}, {stray.sum()} of {values.size} pixels"
        )

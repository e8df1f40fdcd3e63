"""Borders between classes: the pixels near them, and metrics of those."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from jax.typing import ArrayLike

from lal_jax import _checks
from lal_jax.counting import (
    as_integers,
    known_ratio,
    mean_of_known,
    namespace,
    pairs,
    pixels,
)

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int


def near_border(
    labels: Int[ArrayLike, "*batch height width"], *, distance: int
) -> Bool[Array, "*batch height width"]:
    """Returns where a pixel of another label is near: the trimap, for `where=`.

    The label of ignored pixels is one like others, as the objects of Pascal VOC are
    lined with it.

    Args:
      labels: class indices or others, `[..., height, width]`, integer.
      distance: in pixels by the larger of rows and columns, 1 or more.

    Returns:
      A mask, `[..., height, width]`.

    Raises:
      ValueError: labels are not integers or no images, or `distance` is below 1.

    Source: the bands around borders of Kohli et al. 2009
    (doi:10.1007/s11263-008-0202-0).
    """
    return _near_another(as_integers(labels, "labels"), distance, edge=None)


def boundary_counts(
    predictions: Int[ArrayLike, "*batch height width"],
    labels: Int[ArrayLike, "*batch height width"],
    *,
    num_classes: int,
    distance: int,
    ignore_label: int | Sequence[int] = 255,
    where: Bool[ArrayLike, "*batch height width"] | None = None,
) -> Int[Array, "classes 3"]:
    """Counts the pixels in the bands inside the borders of each class.

    The band of a class is its pixels within a distance of a pixel of another class, or
    of the image's edge. Ignored pixels are of no class, in the truth as in the
    prediction, whose bands so go along them alike.

    Args:
      predictions: class indices, `[..., height, width]`, integer.
      labels: class indices of the truth, `[..., height, width]`, integer.
      num_classes: the number of classes.
      distance: the bands' width in pixels by the larger of rows and columns, 1 or
        more; the paper takes 2 % of the image's diagonal.
      ignore_label: the label of ignored pixels, or several.
      where: False marks further pixels to ignore, `[..., height, width]`.

    Returns:
      The pixels of each class in both bands, in that of the truth and in that of the
      prediction, `[classes, 3]`, for `boundary_iou`. int32, or int64 for NumPy arrays.

    Raises:
      ValueError: shapes or dtypes do not fit, there is no class, or `distance` is below
        1.

    Source: section 4 of Cheng et al. 2021 (arXiv:2103.16562).
    """
    _checks.check_integer("num_classes", num_classes, least=1)
    predictions, labels, valid = pixels(predictions, labels, ignore_label, where)
    xp = namespace(labels)

    def band(indices: Int[Array, "..."]) -> Int[Array, "..."]:
        """Returns the class where a pixel is in its band, −1 elsewhere."""
        classes = xp.where(valid, indices.astype(int), -1)
        return xp.where(_near_another(classes, distance, edge=-2), classes, -1)

    truth, found = band(labels), band(predictions)
    both = xp.where(truth == found, truth, -1)
    counted = [pairs(each, each, valid, num_classes) for each in (both, truth, found)]
    return xp.stack([xp.diagonal(table) for table in counted], axis=-1)


def boundary_iou(counts: Int[ArrayLike, "classes 3"]) -> Float[Array, ""]:
    """Returns the mean boundary IoU over the classes that occur in the truth.

    Args:
      counts: as of `boundary_counts`.

    Returns:
      A fraction; 0 where no class occurs.

    Source: Eq. 1 of Cheng et al. 2021 (arXiv:2103.16562).
    """
    table = namespace(counts).asarray(counts)
    if table.ndim != 2 or table.shape[-1] != 3:
        raise ValueError(
            "counts must be [classes, 3], as of boundary_counts: got shape "
            f"{table.shape}"
        )
    both, truth, found = table.T
    return mean_of_known(known_ratio(both, truth + found - both, truth > 0))


def _near_another(
    indices: Int[Array, "*batch height width"], distance: int, *, edge: int | None
) -> Bool[Array, "*batch height width"]:
    """Returns where the indices within a distance, by rows and columns, differ.

    Args:
      indices: of the pixels.
      distance: in pixels.
      edge: what lies beyond the image; None for the nearest pixel's.
    """
    _checks.check_integer("distance", distance, least=1)
    if indices.ndim < 2:
        raise ValueError(
            "labels must be images, [..., height, width], to have borders: got shape "
            f"{indices.shape}"
        )
    xp = namespace(indices)
    if indices.size == 0:
        return xp.zeros(indices.shape, bool)
    around = [(0, 0)] * (indices.ndim - 2) + [(distance, distance)] * 2
    if edge is None:
        padded = xp.pad(indices, around, mode="edge")
    else:
        padded = xp.pad(indices, around, constant_values=edge)
    size = 2 * distance + 1
    return _extreme(xp.minimum, padded, size) != _extreme(xp.maximum, padded, size)


def _extreme(
    choose: Callable[[Array, Array], Array],
    array: Int[Array, "*batch height width"],
    size: int,
) -> Int[Array, "*batch rows columns"]:
    """Returns the least or largest of each whole window of size × size pixels.

    In steps that double the window.
    """
    for axis in (-2, -1):
        array, done = array.swapaxes(axis, -1), 1
        while done < size:
            step = min(done, size - done)
            array = choose(array[..., :-step], array[..., step:])
            done += step
        array = array.swapaxes(axis, -1)
    return array

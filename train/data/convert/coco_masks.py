"""Masks of class indices from COCO's annotations of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from train.common.errors import UserError
from train.data.convert.run_lengths import Stretches, decode_runs, union
from train.data.images import IGNORED, Size

# Larger ones could be chosen to have one hash, and take hours to tell apart.
Number = Annotated[int, msgspec.Meta(ge=-(2**62), lt=2**62)]
Id = Number | str
_LONGEST = 500_000  # pixels of edges in any image; each takes fifty bytes


class Runs(msgspec.Struct):
    """A segmentation as run lengths, plain or compressed."""

    size: tuple[int, int]
    counts: list[int] | str


class Annotation(msgspec.Struct):
    """An object, or a crowd of them."""

    image_id: Id
    category_id: Number
    segmentation: list[list[float]] | Runs | None = None
    iscrowd: int | bool = 0
    id: Id | None = None


def class_mask(
    annotations: Sequence[Annotation],
    size: Size,
    classes: Mapping[int, int],
    place: Path,
) -> np.ndarray:
    """Returns the class of each pixel, uint8 `[height, width]`; 0 where nothing is.

    Crowds are ignored, objects lie on them, and smaller objects on larger ones.

    Args:
      annotations: of one image.
      size: its height and width.
      classes: of the categories, by their ids.
      place: the file they are from, for messages.

    Raises:
      UserError: a segmentation is missing, or cannot be right.
    """
    height, width = size
    columns = np.zeros(height * width, np.uint8)
    order = sorted(
        (not annotation.iscrowd, -_pixels(annotation, size, place).area(), index)
        for index, annotation in enumerate(annotations)
    )
    # Drawn anew one by one: all together would take as much memory as the file says.
    for *_, index in order:
        annotation = annotations[index]
        label = IGNORED if annotation.iscrowd else classes[annotation.category_id]
        _pixels(annotation, size, place).paint(columns, label)
    return np.ascontiguousarray(columns.reshape(width, height).T)


def _pixels(annotation: Annotation, size: Size, place: Path) -> Stretches:
    """Returns the pixels of an annotation.

    Raises:
      UserError: its segmentation is missing, or cannot be right.
    """
    try:
        return _segmented(annotation.segmentation, size)
    except ValueError as error:
        raise UserError(
            f"{place}: annotation {annotation.id} of image {annotation.image_id} "
            f"cannot be drawn: {error}. Mend or remove it, or export it once more."
        ) from error


def _segmented(segmentation: list[list[float]] | Runs | None, size: Size) -> Stretches:
    """Returns the pixels of a segmentation.

    Raises:
      ValueError: it says what is wrong with it.
    """
    if not segmentation:
        raise ValueError("it has no segmentation, a box at most")
    if isinstance(segmentation, list):
        return _in_polygons(segmentation, size)
    if segmentation.size != size:
        raise ValueError(f"its run lengths are of size {segmentation.size}, not {size}")
    return decode_runs(segmentation.counts, *size)


def _in_polygons(polygons: list[list[float]], size: Size) -> Stretches:
    """Returns which pixels are in any of several polygons, each x, y, x, y, …."""
    height, width = size
    _check_polygons(polygons, size)
    drawn = _mask_tools().frPyObjects(polygons, height, width)
    parts = [decode_runs(part["counts"].decode(), height, width) for part in drawn]
    return union(parts)


def _check_polygons(polygons: list[list[float]], size: Size) -> None:
    """Refuses polygons that are none, or that pycocotools could not draw.

    It goes along the edges in steps of a fifth of a pixel, keeps them all in memory,
    and does not notice when that does not suffice.
    """
    height, width = size
    length = 0.0
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise ValueError(
                f"a polygon has {len(polygon)} numbers, not x, y of corners"
            )
        corners = np.array(polygon).reshape(-1, 2)
        low, high = -np.array([width, height]), 2 * np.array([width, height])
        if not ((corners >= low) & (corners <= high)).all():
            raise ValueError(f"a polygon is far outside of {width}×{height} pixels")
        length += np.abs(corners - np.roll(corners, 1, axis=0)).max(axis=1).sum()
    if length > (most := _LONGEST + height * width // 16):
        raise ValueError(
            f"its polygons have edges of {length:.0f} pixels together, more than the "
            f"{most} that an outline in {width}×{height} pixels could need"
        )


def _mask_tools() -> Any:
    """Returns COCO's own code for masks, so that pixels are as others draw them.

    Raises:
      UserError: it is not installed.
    """
    try:
        from pycocotools import mask
    except ImportError as error:
        raise UserError(
            f"polygons of COCO need pycocotools ({error}): pip install pycocotools"
        ) from error
    return mask

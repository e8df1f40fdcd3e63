"""Masks of class indices from COCO's annotations of an image."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from train.common.errors import UserError
from train.data.convert.conversion import Number, key_of
from train.data.convert.run_lengths import Stretches, decode_runs, union
from train.data.images import IGNORED, Size

Id = Number | Annotated[str, msgspec.Meta(max_length=1000)]  # messages have it
_LONGEST = 500_000  # pixels of edges in any image; each takes fifty bytes
_POLYGON = 100  # pixels of edges that take no longer than any polygon
# Pixels that all annotations of an image cover, and times all of it. In COCO's busiest
# images they are covered a few times.
_MOST_PAINTED, _MOST_TIMES = 10_000_000, 100


class Runs(msgspec.Struct):
    """A segmentation as run lengths, plain or compressed."""

    size: tuple[Number, Number]
    counts: list[Number] | str


class Annotation(msgspec.Struct):
    """An object, or a crowd of them."""

    image_id: Id
    category_id: Number
    segmentation: list[list[float]] | Runs | None = None
    iscrowd: Number | bool = 0
    id: Id | None = None


def edges_of(annotations: Sequence[Annotation], size: Size, place: Path) -> float:
    """Returns the length of the edges of an image's polygons, which takes the time.

    Args:
      annotations: of one image.
      size: its height and width.
      place: the file they are from, for messages.

    Raises:
      UserError: a polygon cannot be right.
    """
    length = 0.0
    for annotation in annotations:
        if isinstance(polygons := annotation.segmentation, list):
            with _named(annotation, place):
                length += _checked_edges(polygons, size)
    return length


def class_mask(
    annotations: Sequence[Annotation],
    size: Size,
    classes: Mapping[str, int],
    place: Path,
    unseen: list[str] | None = None,
) -> np.ndarray:
    """Returns the class of each pixel, uint8 `[height, width]`; 0 where nothing is.

    Crowds are ignored, objects lie on them, and smaller objects on larger ones.

    Args:
      annotations: of one image.
      size: its height and width.
      classes: of the categories, by `key_of` their ids.
      place: the file they are from, for messages.
      unseen: the ids of those that cover no pixel are added to it.

    Raises:
      UserError: a segmentation is missing, or cannot be right, or all of them together
        cover more than those of any image could.
    """
    height, width = size
    columns = np.zeros(height * width, np.uint8)
    order, painted = [], 0
    for index, annotation in enumerate(annotations):
        area = _drawn(annotation, size, place).area()
        order.append((not annotation.iscrowd, -area, index))
        if not area and unseen is not None:
            unseen.append(str(annotation.id))
        painted += area
        _check_painted(annotation, size, place, painted)
    order.sort()
    # Drawn anew one by one: all together would take as much memory as the file says.
    for *_, index in order:
        annotation = annotations[index]
        key = key_of(annotation.category_id)
        label = IGNORED if annotation.iscrowd else classes[key]
        _drawn(annotation, size, place).paint(columns, label)
    return np.ascontiguousarray(columns.reshape(width, height).T)


def _check_painted(
    annotation: Annotation, size: Size, place: Path, painted: int
) -> None:
    """Refuses annotations of an image that together go over it again and again.

    Args:
      annotation: the last of them.
      size: height and width of the image.
      place: the file they are from.
      painted: pixels of all so far, each as often as it is in one.
    """
    if painted > (most := _MOST_PAINTED + _MOST_TIMES * size[0] * size[1]):
        raise UserError(
            f"{place}: the annotations of image {annotation.image_id} cover {painted} "
            f"pixels together, and at most {most} are drawn in {size[1]}×{size[0]} "
            "pixels. Remove what goes over them again and again, or export it once "
            "more."
        )


def _drawn(annotation: Annotation, size: Size, place: Path) -> Stretches:
    """Returns the pixels of an annotation.

    Raises:
      UserError: its segmentation is missing, or cannot be right.
    """
    with _named(annotation, place):
        return _segmented(annotation.segmentation, size)


@contextlib.contextmanager
def _named(annotation: Annotation, place: Path) -> Iterator[None]:
    """Says of which annotation a ValueError in the block is."""
    try:
        yield
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
    _checked_edges(polygons, size)
    draw = _mask_tools().frPyObjects
    parts = [
        decode_runs(draw([polygon], height, width)[0]["counts"].decode(), height, width)
        for polygon in polygons
    ]
    return union(parts)


def _checked_edges(polygons: list[list[float]], size: Size) -> float:
    """Returns the length of the edges of polygons that pycocotools can draw, pixels.

    It goes along the edges in steps of a fifth of a pixel, keeps them all in memory,
    and does not notice when that does not suffice. However short, an edge counts as a
    pixel, and a polygon as `_POLYGON` more.

    Raises:
      ValueError: they are none, far outside, or have edges that no outline could.
    """
    height, width = size
    length, most = 0.0, _LONGEST + height * width // 16
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise ValueError(
                f"a polygon has {len(polygon)} numbers, not x, y of corners"
            )
        corners = np.array(polygon).reshape(-1, 2)
        low, high = -np.array([width, height]), 2 * np.array([width, height])
        if not ((corners >= low) & (corners <= high)).all():
            raise ValueError(f"a polygon is far outside of {width}×{height} pixels")
        edges = np.abs(corners - np.roll(corners, 1, axis=0)).max(axis=1)
        length += _POLYGON + np.maximum(edges, 1).sum()
        if length > most:
            raise ValueError(
                f"its {len(polygons)} polygons have edges of more than {most} pixels "
                "together (an edge counts as one at least, a polygon as "
                f"{_POLYGON} more), which no outline in {width}×{height} pixels needs"
            )
    return length


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

"""Masks of class indices from COCO's annotations of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from train.common.errors import UserError
from train.data.convert.run_lengths import decode_runs
from train.data.images import IGNORED, Size


class Runs(msgspec.Struct):
    """A segmentation as run lengths, plain or compressed."""

    size: tuple[int, int]
    counts: list[int] | str


class Annotation(msgspec.Struct):
    """An object, or a crowd of them."""

    image_id: int | str
    category_id: int
    segmentation: list[list[float]] | Runs | None = None
    iscrowd: int | bool = 0
    id: int | str | None = None


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
    mask = np.zeros(size, np.uint8)
    shapes = []
    for annotation in annotations:
        label = IGNORED if annotation.iscrowd else classes[annotation.category_id]
        try:
            pixels = _pixels(annotation.segmentation, size)
        except ValueError as error:
            raise UserError(
                f"{place}: annotation {annotation.id} of image {annotation.image_id} "
                f"cannot be drawn: {error}. Mend or remove it, or export it once more."
            ) from error
        shapes.append((not annotation.iscrowd, -int(pixels.sum()), label, pixels))
    for _, _, label, pixels in sorted(shapes, key=lambda shape: shape[:2]):
        mask[pixels] = label
    return mask


def _pixels(segmentation: list[list[float]] | Runs | None, size: Size) -> np.ndarray:
    """Returns which pixels a segmentation has, bool `[height, width]`.

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


def _in_polygons(polygons: list[list[float]], size: Size) -> np.ndarray:
    """Returns which pixels are in any of several polygons, each x, y, x, y, …."""
    height, width = size
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise ValueError(
                f"a polygon has {len(polygon)} numbers, not x, y of corners"
            )
        corners = np.array(polygon).reshape(-1, 2)
        low, high = -np.array([width, height]), 2 * np.array([width, height])
        if not ((corners >= low) & (corners <= high)).all():
            raise ValueError(f"a polygon is far outside of {width}×{height} pixels")
    tools = _mask_tools()
    merged = tools.merge(tools.frPyObjects(polygons, height, width))
    return decode_runs(merged["counts"].decode(), height, width)


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

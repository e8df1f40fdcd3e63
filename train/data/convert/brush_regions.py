"""Regions of an annotation of Label Studio: each has a mask, or is refused.

A project may have other tools than the brush. What they drew is in the table alone, and
would be background. What is chosen, written or rated is no region, nor is it one again
where that is said of a region.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from models.text import shortened
from train.common.errors import UserError
from train.data.convert.conversion import Number, key_of

Masks = Mapping[tuple[str, str, str], Path]  # by task, annotation, tag-CLASS-NUMBER

_BRUSH = ("brush", "brushlabels")
_ATTRIBUTES = frozenset(
    ("choices", "textarea", "rating", "number", "taxonomy", "datetime", "pairwise")
)


class _Value(msgspec.Struct, frozen=True):
    brushlabels: list[str] | None = None
    labels: list[str] | None = None
    rle: msgspec.Raw = msgspec.Raw()  # whose pixels the PNG has
    # Places of what other tools draw: rectangles, ellipses and points; polygons and
    # lines; vectors; pictures.
    x: msgspec.Raw = msgspec.Raw()
    points: msgspec.Raw = msgspec.Raw()
    vertices: msgspec.Raw = msgspec.Raw()
    bitmap: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="imageDataURL")


class BrushResult(msgspec.Struct, gc=False):
    """A region of an image, or what is said of it or of a region."""

    value: _Value = _Value()  # one for all: a result may be of two characters
    from_name: str = ""
    type: str | None = None
    id: Number | str | None = None
    original_width: msgspec.Raw = msgspec.Raw()


class BrushRegion(NamedTuple):
    """A region of an image, and the file of its pixels."""

    label: str
    mask: Path


def in_file_names(name: str) -> str:
    """Returns the name of a region as Label Studio has it in those of files."""
    return re.sub(r"[/\\]", "-", name)


def brush_regions(
    results: Sequence[BrushResult], ids: tuple[int, int], masks: Masks, table: Path
) -> list[BrushRegion]:
    """Returns the regions of an annotation in the order in which they were drawn.

    Args:
      results: of the annotation.
      ids: of the task and of the annotation.
      masks: of all annotations.
      table: where they are from, for messages.

    Raises:
      UserError: one has several labels or no mask, or is not drawn with the brush.
    """
    regions, numbers = list[BrushRegion](), Counter[tuple[str, str]]()
    task, annotation = ids
    place = f"{table}: annotation {annotation} of task {task}"
    labeled = {_pixels(result) for result in results if _labels(result)}
    for result in results:
        labels = _labels(result)
        if not _given(result.value.rle):
            _check_no_region(result, place)
            continue
        if not labels and _pixels(result) in labeled:
            continue  # its tool, or what is said of it
        if not labels or len(labels) != 1:
            raise UserError(
                f"{place} has a region with {len(labels or ())} labels. Give it one."
            )
        tag = result.from_name, labels[0]
        name = f"{in_file_names('-'.join(tag))}-{numbers[tag]}"
        numbers[tag] += 1
        mask = masks.get((key_of(task), key_of(annotation), name))
        if mask is None:
            raise UserError(
                f"{place} has a region of {shortened(labels[0])!r} whose mask is "
                f"missing, …-{shortened(name, 300)}.png. Export both JSON and masks "
                "anew, at one time."
            )
        regions.append(BrushRegion(labels[0], mask))
    _check_own(regions, place)
    return regions


def _check_own(regions: Sequence[BrushRegion], place: str) -> None:
    """Refuses regions of which one's mask was written over the other's.

    Raises:
      UserError: it names the mask and both labels.
    """
    for mask, count in Counter(region.mask for region in regions).items():
        if count > 1:
            first, other, *_ = (label for label, its in regions if its == mask)
            raise UserError(
                f"{place} has regions of {first!r} and of {other!r} with one mask, "
                f"{mask}: Label Studio writes - for / in its name, and one over the "
                "other. Rename a label there, and export JSON and masks anew."
            )


def _labels(result: BrushResult) -> list[str] | None:
    return result.value.brushlabels or result.value.labels


def _pixels(result: BrushResult) -> tuple[str, bytes]:
    """Returns what results of one region have in common."""
    return repr(result.id), bytes(result.value.rle)


def _given(content: msgspec.Raw) -> bool:
    return bytes(content) not in (b"", b"null")


def _check_no_region(result: BrushResult, place: str) -> None:
    """Refuses a result without a mask that has a place in the image.

    Raises:
      UserError: it names the tool that drew it.
    """
    value = result.value
    drawn = any(map(_given, (value.x, value.points, value.vertices, value.bitmap)))
    sized = _given(result.original_width) and result.type not in _ATTRIBUTES
    brush = result.type in _BRUSH or bool(value.brushlabels)
    if drawn or sized or brush:
        tool, name = result.type or "another tool", result.from_name
        tool, name = shortened(tool, 100), shortened(name, 300)
        raise UserError(
            f"{place} has a region by {tool!r} of {name!r}, which is no "
            "brush mask: it would be background. Draw it with the brush, or delete it, "
            "and export JSON and masks anew; or export a project of polygons as COCO."
        )

"""Label Studio's brush masks as a folder in VOC layout.

NAME.json                                               export "JSON"
task-1-annotation-2-by-3-tag-CLASS-0.png                export "Brush labels to PNG",
                                                        here or in a folder below
images/NAME.jpg                                         what was annotated

Each PNG is one region; the JSON ties it to its image and says in which order regions
were drawn. Where regions overlap, the later is on top. Classes are `background`, unless
there is a label of that name, and the labels in alphabetical order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from train.common.errors import UserError
from train.common.notes import note
from train.common.text import first_few
from train.data.convert.brush_regions import (
    BrushRegion,
    BrushResult,
    Masks,
    brush_regions,
    in_file_names,
)
from train.data.convert.conversion import (
    Conversion,
    Number,
    VocWriter,
    digests_of,
    key_of,
    read_json,
)
from train.data.convert.drawn_pixels import DrawnPixels
from train.data.convert.links import image_places
from train.data.convert.task_images import TaskImages
from train.data.images import Size, read_mask, upright_size
from train.data.layouts import brush_masks
from train.data.plain_pairs import IMAGE_FOLDERS
from train.data.voc_classes import BACKGROUND, is_background

_MASK = re.compile(r"task-([0-9]+)-annotation-([0-9]+)-by-[^-]*-(.*-[0-9]+)", re.DOTALL)


class _Annotation(msgspec.Struct):
    id: Number
    result: list[BrushResult]
    was_cancelled: bool = False
    ground_truth: bool = False


class _Task(msgspec.Struct):
    id: Number
    data: dict[str, Any]
    annotations: list[_Annotation]


def find_label_studio(root: Path, prepared: Path) -> Conversion | None:
    """Returns how an export is converted, None of any other folder.

    Raises:
      UserError: there is not one JSON file beside the masks, or two are of one region.
    """
    masks = _masks(root)
    if not masks:
        return None
    tables = sorted(root.glob("[!.]*.json"))
    if len(tables) != 1:
        raise UserError(
            f"{root} has {len(masks)} brush masks of Label Studio and {len(tables)} "
            ".json files. Put its export JSON of the same project there, which says "
            "which image each mask is of."
        )

    def write(writer: VocWriter) -> None:
        _write(writer, root, tables[0], masks)

    read = [tables[0], *sorted(masks.values())]
    of_images = [root / name for name in IMAGE_FOLDERS]

    def key() -> tuple[str, ...]:
        images = image_places(root, of_images, prepared)
        return (*digests_of(root, read, prepared), *images)

    folders = [*of_images, *{path.parent for path in masks.values()}]
    return Conversion("Label Studio's brush masks", key, write, folders, read)


def _masks(root: Path) -> Masks:
    """Returns the masks of an export.

    Raises:
      UserError: two are of one region, as where two exports lie side by side.
    """
    masks: dict[tuple[str, str, str], Path] = {}
    for path in brush_masks(root):
        if not (found := _MASK.fullmatch(path.stem)):
            continue
        region = key_of(int(found[1])), key_of(int(found[2])), in_file_names(found[3])
        if (first := masks.setdefault(region, path)) != path:
            raise UserError(
                f"{first} and {path} are both masks of one region: which of them is "
                "meant is not said. Move one export elsewhere."
            )
    return masks


def _write(writer: VocWriter, root: Path, table: Path, masks: Masks) -> None:
    """Writes the classes, and the images that have annotations."""
    drawn, pixels = _regions(root, table, masks), DrawnPixels()
    labels = {region.label for regions in drawn.values() for region in regions}
    zero = sorted(label for label in labels if is_background(label))
    names = [*(zero or [BACKGROUND]), *sorted(labels - set(zero))]
    writer.name_classes(names)
    for image, regions in drawn.items():
        name = image.relative_to(root).with_suffix("").as_posix()
        for path in (image, *(region.mask for region in regions)):
            writer.inside.checked(path)
        pixels.add(image, size := upright_size(image))
        writer.add("", name, image, _mask(image, size, regions, names))


def _regions(root: Path, table: Path, masks: Masks) -> dict[Path, list[BrushRegion]]:
    """Returns what was drawn on each image, in its order.

    Raises:
      UserError: two tasks are of one image, an image is missing, or table and masks
        are not of one export.
    """
    tasks = _read(table)
    if len({key_of(task.id) for task in tasks}) < len(tasks):
        raise UserError(f"{table} gives two tasks one id. Export it once more.")
    images = TaskImages(root, [task.data for task in tasks])
    drawn: dict[Path, list[BrushRegion]] = {}
    passed = set[tuple[str, str]]()  # annotations of which others go before, or none
    for task in tasks:
        annotation = _annotation(task, table)
        others = [it for it in task.annotations if it is not annotation]
        passed |= {(key_of(task.id), key_of(it.id)) for it in others}
        if annotation is None:
            continue
        image = images.file(task.data, f"{table}: task {task.id}")
        if image in drawn:
            raise UserError(
                f"{table}: task {task.id} is of {image}, and so is another task. "
                "Delete one of them in Label Studio."
            )
        ids = task.id, annotation.id
        drawn[image] = brush_regions(annotation.result, ids, masks, table)
    if said := images.said():
        note(f"{table}: {said}")
    if left := len(tasks) - len(drawn):
        note(f"{table}: {left} tasks without annotation left out.")
    used = {region.mask for regions in drawn.values() for region in regions}
    meant = {path for of, path in masks.items() if of[:2] not in passed}
    if spare := sorted(path.name for path in meant - used):
        raise UserError(
            f"{table} knows nothing of {len(spare)} masks: {first_few(spare)}. Export "
            "both JSON and masks anew, at one time."
        )
    return drawn


def _read(table: Path) -> list[_Task]:
    way_out = "Export it once more, as JSON, not as JSON-MIN."
    return read_json(table, list[_Task], "Label Studio's export JSON", way_out)


def _annotation(task: _Task, table: Path) -> _Annotation | None:
    """Returns what counts of a task's annotations, None if it has none.

    Raises:
      UserError: there are several, and not one that is marked as ground truth.
    """
    found = [it for it in task.annotations if not it.was_cancelled]
    true = [it for it in found if it.ground_truth]
    if len(found) > 1 and len(true) != 1:
        raise UserError(
            f"{table}: task {task.id} has {len(found)} annotations. Mark one as ground "
            "truth in Label Studio, or delete the others."
        )
    return next(iter(true or found), None)


def _mask(
    image: Path, size: Size, regions: Sequence[BrushRegion], names: Sequence[str]
) -> np.ndarray:
    """Returns the class of each pixel of an image of that height and width.

    Raises:
      UserError: a region is of another size.
    """
    mask = np.zeros(size, np.uint8)
    for label, path in regions:
        pixels = read_mask(path) > 0
        if pixels.shape != mask.shape:
            raise UserError(
                f"{path} is {pixels.shape[1]}×{pixels.shape[0]}, but its image {image} "
                f"is {mask.shape[1]}×{mask.shape[0]}. Put the images there that were "
                "annotated."
            )
        mask[pixels] = names.index(label)
    return mask

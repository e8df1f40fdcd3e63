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
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
import numpy as np

from train.common.errors import UserError
from train.common.notes import note
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
from train.data.convert.links import image_places
from train.data.images import read_mask, upright_size
from train.data.layouts import brush_masks
from train.data.plain_pairs import IMAGE_FOLDERS
from train.data.voc_files import READ_SUFFIXES, files_below, first_few

_MASK = re.compile(r"task-([0-9]+)-annotation-([0-9]+)-by-[^-]*-(.*-[0-9]+)", re.DOTALL)
_UPLOAD = re.compile(r"^[0-9a-f]{8}-")  # Label Studio's, before names of uploaded files
_FIELDS = 100  # of an address
_BACKGROUND = "background"


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
    tables = sorted(root.glob("*.json"))
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
    files = _images(root)
    drawn: dict[Path, list[BrushRegion]] = {}
    tasks = _read(table)
    named = _addresses(tasks, files)
    if len({key_of(task.id) for task in tasks}) < len(tasks):
        raise UserError(f"{table} gives two tasks one id. Export it once more.")
    for task in tasks:
        if annotation := _annotation(task, table):
            image = _file(task, files, table)
            if image in drawn:
                raise UserError(
                    f"{table}: task {task.id} is of {image}, and so is another task. "
                    "Delete one of them in Label Studio."
                )
            if len(addresses := named[image]) > 1:
                raise UserError(
                    f"{table}: {image} may be the image of {len(addresses)} tasks, "
                    f"{first_few(sorted(addresses), 2)}, since images are found by the "
                    "names of their files. Rename that of one, there and in its task."
                )
            ids = task.id, annotation.id
            drawn[image] = brush_regions(annotation.result, ids, masks, table)
    if left := len(tasks) - len(drawn):
        note(f"{table}: {left} tasks without annotation left out.")
    used = {region.mask for regions in drawn.values() for region in regions}
    if spare := sorted(path.name for path in set(masks.values()) - used):
        raise UserError(
            f"{table} knows nothing of {len(spare)} masks: {first_few(spare)}. Export "
            "both JSON and masks anew, at one time."
        )
    labels = {region.label for regions in drawn.values() for region in regions}
    zero = sorted(label for label in labels if label.lower() == _BACKGROUND)
    names = [*(zero or [_BACKGROUND]), *sorted(labels - set(zero))]
    writer.name_classes(names)
    for image, regions in drawn.items():
        name = image.relative_to(root).with_suffix("").as_posix()
        for path in (image, *(region.mask for region in regions)):
            writer.inside.checked(path)
        writer.add("", name, image, _mask(image, regions, names))


def _read(table: Path) -> list[_Task]:
    way_out = "Export it once more, as JSON, not as JSON-MIN."
    return read_json(table, list[_Task], "Label Studio's export JSON", way_out)


class _Images(NamedTuple):
    """Images by their files' names, without folders, and by those of their uploads."""

    own: dict[str, list[Path]]
    uploads: dict[str, list[Path]]


def _images(root: Path) -> _Images:
    paths = [
        path
        for folder in IMAGE_FOLDERS
        for path in files_below(root / folder, READ_SUFFIXES)
    ]
    found = _Images({}, {})
    for path in paths:
        found.own.setdefault(path.name, []).append(path)
        found.uploads.setdefault(_uploaded(path.name), []).append(path)
    return found


def _uploaded(name: str) -> str:
    """Returns what Label Studio calls an upload, after the eight digits."""
    return re.sub(r"[^-\w.]", "", name.replace(" ", "_"))


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


def _file(task: _Task, files: _Images, table: Path) -> Path:
    """Returns the file of a task's image.

    Raises:
      UserError: the task names none, or it is not there, or is there twice.
    """
    names = [*_named(task).values()]
    if len(names) != 1:
        raise UserError(
            f"{table}: task {task.id} names {len(names)} images in its data, not one."
        )
    found = _called(names[0], files)
    if len(found) != 1:
        these = f" ({first_few([*map(str, found)])})" if found else ""
        raise UserError(
            f"{table}: task {task.id} is of the image {names[0]!r}, and images/ has "
            f"{len(found)} of that name{these}. Put it there, once, as it was "
            "annotated."
        )
    return found[0]


def _called(name: str, files: _Images) -> list[Path]:
    """Returns the files that may be the image of a name."""
    short = _UPLOAD.sub("", name)
    found = files.own.get(name, [])
    if not found and short != name:  # of an upload, which there may be several of
        found = files.uploads.get(short) or files.own.get(short, [])
    return found


def _addresses(tasks: Sequence[_Task], files: _Images) -> dict[Path, set[str]]:
    """Returns what tasks call each image, those without annotation too."""
    found: dict[Path, set[str]] = {}
    for task in tasks:
        for address, name in _named(task).items():
            for path in _called(name, files):
                found.setdefault(path, set()).add(address)
    return found


def _named(task: _Task) -> dict[str, str]:
    """Returns the names of the images that a task may be of, by their addresses."""
    texts = [text for text in task.data.values() if isinstance(text, str)]
    return {text: name for text in texts if (name := _name(text))}


def _name(text: str) -> str:
    """Returns the name of an image's file in a path or an address, else nothing."""
    try:
        parts = urlsplit(text)
        query = parse_qs(parts.query, max_num_fields=_FIELDS)
    except ValueError:  # no address, but any text
        return ""
    path = query.get("d", [parts.path])[0]
    name = unquote(path).replace("\\", "/").rpartition("/")[2]
    return name if name.lower().endswith(READ_SUFFIXES) else ""


def _mask(
    image: Path, regions: Sequence[BrushRegion], names: Sequence[str]
) -> np.ndarray:
    """Returns the class of each pixel of an image.

    Raises:
      UserError: a region is of another size.
    """
    mask = np.zeros(upright_size(image), np.uint8)
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

"""COCO annotations as a folder in VOC layout.

annotations/instances_SPLIT.json    images in SPLIT/, images/SPLIT/, images/ or beside
SPLIT/_annotations.coco.json        images beside (Roboflow)
NAME.json                           one alone: images in images/ or beside; --split

Classes are `background`, unless there is a category of that name, and the categories in
the order of their ids. Pixels of no object are background, those of a crowd ignored;
where objects overlap, the smaller is on top.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import msgspec

from models.text import shortened
from train.common.errors import UserError
from train.common.files import same_content
from train.common.notes import note
from train.common.regular import open_regular
from train.common.text import shown
from train.data.convert.coco_masks import Annotation, Id, class_mask
from train.data.convert.conversion import (
    Conversion,
    Number,
    VocWriter,
    digests_of,
    key_of,
    read_json,
)
from train.data.convert.links import file_places, images_in, same_named
from train.data.images import upright_size
from train.data.plain_pairs import has_plain_pairs
from train.data.split_lists import two_of_split
from train.data.splits import ALIASES, split_called
from train.data.voc_files import LISTS, MASKS, first_few

_ROBOFLOW = "_annotations.coco.json"
_BACKGROUND = "background"
_MOST_PARTS = 32  # files of annotations; each looks at all images when it is found
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")  # begins a path of Windows


class _Image(msgspec.Struct):
    id: Id
    file_name: str
    height: Number
    width: Number


class _Category(msgspec.Struct):
    id: Number
    name: str


class _Content(msgspec.Struct):
    images: list[_Image]
    annotations: list[Annotation]
    categories: list[_Category]


class _Part(NamedTuple):
    """A file of annotations, and where its images may be."""

    split: str
    path: Path
    folders: tuple[Path, ...]


def find_coco(root: Path, prepared: Path) -> Conversion | None:
    """Returns how COCO annotations are converted, None of any other folder.

    Raises:
      UserError: there are two files of one split.
    """
    parts = _roboflow(root) or _instances(root) or _alone(root)
    if not parts:
        return None
    first: dict[str, Path] = {}
    for part in parts:
        if (earlier := first.setdefault(part.split, part.path)) != part.path:
            raise two_of_split(part.split, earlier, part.path)
    if len(parts) == 1:
        parts = [parts[0]._replace(split="")]

    def write(writer: VocWriter) -> None:
        contents = [_read(part.path) for part in parts]
        classes = _classes(parts, contents)
        names = {key_of(one.id): one.name for one in contents[0].categories}
        background = [] if 0 in classes.values() else [_BACKGROUND]
        writer.name_classes([*background, *(names[key] for key in classes)])
        for part, content in zip(parts, contents, strict=True):
            _write(writer, root, part, content, classes)

    tables = [part.path for part in parts]
    folders = [folder for part in parts for folder in part.folders]

    def key() -> tuple[str, ...]:
        images = images_in({root, *folders}, prepared)
        # Whether two files differ is looked at when they are converted: see `_found`.
        twins = {it for part in parts for it in same_named(part.folders, images)}
        known = digests_of(root, [*tables, *sorted(twins)], prepared)
        return (*known, *(part.split for part in parts), *file_places(root, images))

    return Conversion("COCO annotations", key, write, folders, tables)


def _roboflow(root: Path) -> list[_Part]:
    names = [*(name for of in ALIASES.values() for name in of), "test"]
    folders = [root / name for name in names if (root / name / _ROBOFLOW).is_file()]
    return [_Part(split_called(f.name), f / _ROBOFLOW, (f,)) for f in folders]


def _instances(root: Path) -> list[_Part]:
    parts = []
    files = sorted((root / "annotations").glob("instances_*.json"))
    if len(files) > _MOST_PARTS:
        raise UserError(
            f"{files[0].parent} has {len(files)} files instances_*.json, and at most "
            f"{_MOST_PARTS} splits are read. Move those that you do not need elsewhere."
        )
    for path in files:
        name = path.stem.removeprefix("instances_")
        split = split_called(re.sub("[0-9]+$", "", name))
        folders = (name, split, f"images/{name}", f"images/{split}", "images", ".")
        parts.append(_Part(split, path, tuple(root / folder for folder in folders)))
    unnamed = [part.path for part in parts if not part.split]
    if unnamed and len(parts) > 1:
        raise UserError(
            f"{unnamed[0]} names no split, where others do. Call it "
            "instances_train.json or the like, or move it elsewhere."
        )
    return parts


def _alone(root: Path) -> list[_Part]:
    """Returns the only JSON file of a folder that is of no other kind."""
    beside = root / "annotations"
    files = sorted(root.glob("*.json")) or sorted(beside.glob("*.json"))
    others = any((root / name).is_dir() for name in (LISTS, *MASKS))
    # A folder of annotations that has nothing else has no masks.
    pairs = has_plain_pairs(root) and [*beside.glob("*")] != files
    if len(files) != 1 or others or pairs or not _is_object(files[0]):
        return []
    return [_Part("", files[0], (root / "images", root))]


def _is_object(path: Path) -> bool:
    """Returns whether a file holds an object of JSON, not a list."""
    with open_regular(path) as file:
        return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")


def _read(path: Path) -> _Content:
    """Returns the content of a file."""
    way_out = "Export instances (COCO, with segmentations) once more."
    return read_json(path, _Content, "COCO annotations", way_out)


def _classes(parts: Sequence[_Part], contents: Sequence[_Content]) -> dict[str, int]:
    """Returns the class of each category by `key_of` its id, in the classes' order.

    Raises:
      UserError: files have different categories, or two have one id.
    """
    named = [
        sorted((category.id, category.name) for category in content.categories)
        for content in contents
    ]
    for part, categories in zip(parts, named, strict=True):
        if categories != named[0]:
            raise UserError(
                f"{part.path} and {parts[0].path} have different categories. Export "
                "both from one project."
            )
        if len({key_of(id) for id, _ in categories}) < len(categories):
            raise UserError(f"{part.path} gives two categories one id. Renumber them.")
    keys = [(key_of(id), name.lower() == _BACKGROUND) for id, name in named[0]]
    zero = [key for key, is_background in keys if is_background]
    rest = [key for key, is_background in keys if not is_background]
    return {key: index for index, key in enumerate([*zero, *rest], not zero)}


def _write(
    writer: VocWriter,
    root: Path,
    part: _Part,
    content: _Content,
    classes: dict[str, int],
) -> None:
    """Writes the images of a file of annotations."""
    _check_crowds(part, content)
    objects: dict[str, list[Annotation]] = {}
    known = {key_of(image.id) for image in content.images}
    if len(known) < len(content.images):
        raise UserError(f"{part.path} gives two images one id. Renumber them.")
    for annotation in content.annotations:
        image = key_of(annotation.image_id)
        if image not in known or key_of(annotation.category_id) not in classes:
            raise UserError(
                f"{part.path}: annotation {annotation.id} is of image "
                f"{annotation.image_id} and category {annotation.category_id}, and "
                "one of them is not listed. Export it once more."
            )
        objects.setdefault(image, []).append(annotation)
    files, unseen = _found(part, content.images), list[str]()
    for one in content.images:
        path = writer.inside.checked(files[key_of(one.id)])
        size = _checked_size(one, path, part.path)
        of_image = objects.get(key_of(one.id), ())
        mask = class_mask(of_image, size, classes, part.path, unseen)
        name = path.relative_to(root).with_suffix("").as_posix()
        writer.add(part.split, name, path, mask)
    if unseen:
        told = f"{len(unseen)} objects cover no pixel: annotations {first_few(unseen)}"
        note(f"{part.path}: {shown(told)}")


def _check_crowds(part: _Part, content: _Content) -> None:
    """Refuses a file of crowds alone: nothing that counts would be left."""
    objects = content.annotations
    if objects and all(annotation.iscrowd for annotation in objects):
        raise UserError(
            f"{part.path}: all {len(objects)} objects are crowds (iscrowd: 1), which "
            "are ignored, so nothing but background would be left. If each is one "
            "object, write 0 for their iscrowd, or export them as polygons."
        )


def _found(part: _Part, images: Sequence[_Image]) -> dict[str, Path]:
    """Returns the file of each image by `key_of` its id.

    Raises:
      UserError: a name leads out of the folder, files are missing, or two that differ
        have a name.
    """
    found, missing, compared = {}, [], set[Path]()
    for image in images:
        inner = PurePosixPath(image.file_name.replace("\\", "/"))
        if inner.is_absolute() or ".." in inner.parts or _DRIVE.match(image.file_name):
            raise UserError(
                f"{part.path}: the image {image.id} has the file_name "
                f"{image.file_name!r}, which is outside of its folder. Name images by "
                f"their place within it, such as {inner.name!r}."
            )
        places = [folder / inner for folder in part.folders]
        if there := list(filter(os.path.isfile, places)):
            found[key_of(image.id)] = there[0]
            for other in set(there[1:]) - compared:
                _check_same(there[0], other, part.path)
                compared.add(other)
        else:
            missing.append(shortened(image.file_name, 300))
    if missing:
        folders = dict.fromkeys(str(folder) for folder in part.folders)
        raise UserError(
            f"{part.path} has {len(images)} images, {len(missing)} of which are "
            f"missing: {first_few(missing)}. Put them in {' or '.join(folders)}."
        )
    return found


def _check_same(first: Path, other: Path, place: Path) -> None:
    """Refuses two files that an image may be, unless they are the same."""
    if same_content(first, other):
        return
    raise UserError(
        f"{first} and {other} may both be an image of {place}, and differ. Move one "
        "elsewhere."
    )


def _checked_size(image: _Image, path: Path, place: Path) -> tuple[int, int]:
    """Returns height and width of an image.

    Raises:
      UserError: they are not those of its file.
    """
    size = upright_size(path)
    if size != (image.height, image.width):
        raise UserError(
            f"{path} is {size[1]}×{size[0]} (as it is seen), but {place} has it as "
            f"{image.width}×{image.height}. Annotations are of another size or turned: "
            "put the images there that were annotated."
        )
    return size

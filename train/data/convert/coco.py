"""COCO annotations as a folder in VOC layout.

Classes are `background`, unless there is a category of that name, and the categories in
the order of their ids. Pixels of no object are background, those of a crowd ignored;
where objects overlap, the smaller is on top.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from train.common.errors import UserError
from train.common.notes import note
from train.common.text import first_few, shown
from train.data.convert.coco_masks import Annotation, Id, class_mask, edges_of
from train.data.convert.coco_places import CocoFile, coco_files, image_files
from train.data.convert.conversion import (
    Conversion,
    Number,
    VocWriter,
    digests_of,
    key_of,
    read_json,
)
from train.data.convert.drawn_pixels import DrawnPixels
from train.data.convert.links import file_places, images_in, same_named
from train.data.images import Size, upright_size
from train.data.voc_classes import BACKGROUND, is_background


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


def find_coco(root: Path, prepared: Path) -> Conversion | None:
    """Returns how COCO annotations are converted, None of any other folder.

    Raises:
      UserError: files of annotations have no splits, or two have the same.
    """
    parts = coco_files(root)
    if not parts:
        return None

    def write(writer: VocWriter) -> None:
        _write(writer, root, parts)

    tables = [part.path for part in parts]
    folders = [folder for part in parts for folder in part.folders]

    def key() -> tuple[str, ...]:
        images = images_in(set(folders), prepared)
        # Whether two files differ is looked at on converting them: see `image_files`.
        twins = {it for part in parts for it in same_named(part.folders, images)}
        # Other links are known by where they lead to: that is out of the data.
        own = sorted(path for path in twins if _is_below(path, root))
        known = digests_of(root, [*tables, *own], prepared)
        return (*known, *(part.split for part in parts), *file_places(root, images))

    return Conversion("COCO annotations", key, write, folders, tables)


def _is_below(path: Path, root: Path) -> bool:
    return not path.is_symlink() or path.resolve().is_relative_to(root.resolve())


def _read(path: Path) -> _Content:
    """Returns the content of a file."""
    way_out = "Export instances (COCO, with segmentations) once more."
    return read_json(path, _Content, "COCO annotations", way_out)


def _classes(parts: Sequence[CocoFile], contents: Sequence[_Content]) -> dict[str, int]:
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
    keys = [(key_of(id), is_background(name)) for id, name in named[0]]
    zero = [key for key, is_background in keys if is_background]
    rest = [key for key, is_background in keys if not is_background]
    return {key: index for index, key in enumerate([*zero, *rest], not zero)}


def _write(writer: VocWriter, root: Path, parts: Sequence[CocoFile]) -> None:
    """Writes the classes and the images of all files of annotations."""
    contents = [_read(part.path) for part in parts]
    classes = _classes(parts, contents)
    _check_objects(parts, contents)
    names = {key_of(one.id): one.name for one in contents[0].categories}
    background = [] if 0 in classes.values() else [BACKGROUND]
    writer.name_classes([*background, *(names[key] for key in classes)])
    _note_crowds(parts, contents, names)
    seen, drawn = 0, DrawnPixels([part.path for part in parts])
    for part, content in zip(parts, contents, strict=True):
        seen += _write_images(writer, root, part, content, classes, drawn)
    if not seen:
        raise _background_alone(parts)


def _write_images(
    writer: VocWriter,
    root: Path,
    part: CocoFile,
    content: _Content,
    classes: Mapping[str, int],
    drawn: DrawnPixels,
) -> int:
    """Writes the images of a file; returns how many objects cover some pixel."""
    objects = _by_image(part, content, classes)
    names = [(one.id, one.file_name) for one in content.images]
    files = image_files(part, names, writer.inside)
    unseen = list[str]()
    for one, path in zip(content.images, files, strict=True):
        size = _checked_size(one, path, part.path)
        drawn.add(path, size)
        of_image = objects.get(key_of(one.id), ())
        drawn.add_edges(path, edges_of(of_image, size, part.path))
        mask = class_mask(of_image, size, classes, part.path, unseen)
        name = path.relative_to(root).with_suffix("").as_posix()
        writer.add(part.split, name, path, mask)
    if unseen:
        told = f"{len(unseen)} objects cover no pixel: annotations {first_few(unseen)}"
        note(f"{part.path}: {shown(told)}")
    return len(content.annotations) - len(unseen)


def _check_objects(parts: Sequence[CocoFile], contents: Sequence[_Content]) -> None:
    """Refuses files without objects, and one of crowds alone: nothing there counts."""
    for part, content in zip(parts, contents, strict=True):
        objects = content.annotations
        if objects and all(annotation.iscrowd for annotation in objects):
            raise UserError(
                f"{part.path}: all {len(objects)} objects are crowds (iscrowd: 1), "
                "which are ignored, so nothing but background would be left. If each "
                "is one object, write 0 for their iscrowd, or export them as polygons."
            )
    if not any(content.annotations for content in contents):
        raise _background_alone(parts)


def _note_crowds(
    parts: Sequence[CocoFile], contents: Sequence[_Content], names: Mapping[str, str]
) -> None:
    """Says which classes have crowds alone, so that they have no pixel."""
    having = {False: set[str](), True: set[str]()}
    for content in contents:
        for annotation in content.annotations:
            having[bool(annotation.iscrowd)].add(key_of(annotation.category_id))
    crowds = having[True] - having[False]
    if alone := [name for key, name in names.items() if key in crowds]:
        note(
            f"{first_few([str(part.path) for part in parts])}: all objects of "
            f"{first_few(alone)} are crowds (iscrowd: 1), which are ignored. If each "
            "is one object, write 0 for their iscrowd, or export them as polygons."
        )


def _background_alone(parts: Sequence[CocoFile]) -> UserError:
    return UserError(
        f"{first_few([str(part.path) for part in parts])}: no object covers a pixel, "
        "so nothing but background would be left. Export instances (COCO, with "
        "segmentations) once they are drawn; a list of images without objects, as of a "
        "test, is read beside files that have some."
    )


def _by_image(
    part: CocoFile, content: _Content, classes: Mapping[str, int]
) -> dict[str, list[Annotation]]:
    """Returns the objects of each image that has some, by `key_of` its id.

    Raises:
      UserError: two images have one id, or an object is of none, or of no category.
    """
    known = {key_of(image.id) for image in content.images}
    if len(known) < len(content.images):
        raise UserError(f"{part.path} gives two images one id. Renumber them.")
    objects: dict[str, list[Annotation]] = {}
    for annotation in content.annotations:
        image = key_of(annotation.image_id)
        if image not in known or key_of(annotation.category_id) not in classes:
            raise UserError(
                f"{part.path}: annotation {annotation.id} is of image "
                f"{annotation.image_id} and category {annotation.category_id}, and "
                "one of them is not listed. Export it once more."
            )
        objects.setdefault(image, []).append(annotation)
    return objects


def _checked_size(image: _Image, path: Path, place: Path) -> Size:
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

"""Lists of a folder in VOC layout: the image and the mask that each line names.

A line is a name, whole, if there is such an image; a name and VOC's column of 1, 0 or
−1 where every line of the list has that; or the paths of an image and its mask.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from train.common.errors import UserError

IMAGES = "JPEGImages"
MASKS = ("SegmentationClassAug", "SegmentationClassPNG", "SegmentationClass")
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
LISTS = Path("ImageSets", "Segmentation")
_CVAT_LIST = "default"
_COLUMN = re.compile(r"\s+-?[01]$")


class Pair(NamedTuple):
    """An image of a list, and its mask."""

    name: str
    image: Path
    mask: Path


class _Line(NamedTuple):
    """A line of a list that is not empty."""

    text: str
    place: str  # for messages


class Files:
    """The files of a folder by name; each folder within is listed once."""

    def __init__(self, root: Path):
        self.root = root
        self._listed: dict[Path, dict[str, Path]] = {}

    def find(self, folder: str, name: str, suffixes: Sequence[str]) -> Path | None:
        """Returns `folder/name` with the first suffix there is, in any case."""
        place = self.root / folder / name
        if place.parent not in self._listed:
            self._listed[place.parent] = dict(_files_of(place.parent))
        listed = self._listed[place.parent]
        found = (listed.get(place.name + suffix) for suffix in suffixes)
        return next((path for path in found if path), None)


def _files_of(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yields each file by its name with a lower-case suffix, as written goes last."""
    files = [path for path in folder.iterdir()] if folder.is_dir() else []
    for path in sorted(files, key=lambda path: (path.suffix.islower(), path.name)):
        if path.is_file():
            yield path.stem + path.suffix.lower(), path


def read_list(root: Path, split: str, files: Files) -> list[Pair]:
    """Returns the images and masks of a split, in the order of its list.

    Where the folder has no list but CVAT's `default.txt`, that one is read, and said.

    Raises:
      UserError: the list, an image or a mask is missing.
    """
    path = _list_path(root, split)
    lines = [
        _Line(text, f"{path}, line {number}")
        for number, text in enumerate(read_lines(path), start=1)
        if text
    ]
    if not lines:
        raise UserError(f"{path} is empty. Write one image name a line.")
    column = all(_COLUMN.search(line.text) for line in lines)
    return [_pair(files, line, column=column) for line in lines]


def _list_path(root: Path, split: str) -> Path:
    path = root / LISTS / f"{split}.txt"
    if path.is_file():
        return path
    there = sorted(file.stem for file in path.parent.glob("*.txt"))
    if there == [_CVAT_LIST]:
        instead = path.with_stem(_CVAT_LIST)
        print(
            f"{path} is missing: {split} is {instead}, the only list.", file=sys.stderr
        )
        return instead
    found = f"It has: {', '.join(there)}." if there else "It has no lists."
    raise UserError(
        f"{path} is missing. Write one image name a line, without its ending, or "
        f"choose a list with --train-split and --val-split. {found}"
    )


def read_lines(path: Path) -> list[str]:
    """Returns the stripped lines, blank ones too, so that line numbers are right."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # Windows may begin with a mark
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text ({error}). Save it as that."
        ) from error
    return [line.strip() for line in text.splitlines()]


def _pair(files: Files, line: _Line, *, column: bool) -> Pair:
    """Returns the files of a line.

    Args:
      files: of the folder.
      line: of the list.
      column: whether the list has a column after the names.
    """
    names = [line.text, *([_COLUMN.sub("", line.text)] if column else [])]
    for name in names:
        if image := files.find(IMAGES, name, _IMAGE_SUFFIXES):
            return Pair(name, image, _mask(files, name, line))
    if two := _two_paths(files.root, line):
        return two
    raise _missing_image(files, names, line)


def _mask(files: Files, name: str, line: _Line) -> Path:
    """Returns the mask of an image from the first folder that has one."""
    for folder in MASKS:
        if path := files.find(folder, name, (".png",)):
            return path
    others = (".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".npy", ".mat")
    for folder in MASKS:
        if other := files.find(folder, name, others):
            raise UserError(
                f"{other} is the mask of image {name!r} ({line.place}), but masks are "
                "read as .png. Export it as a grayscale or palette PNG from the "
                "program that drew it."
            )
    there = [folder for folder in MASKS if (files.root / folder).is_dir()]
    raise UserError(
        f"{files.root / (there or MASKS)[-1] / name}.png is missing: image {name!r} "
        f"has no mask{' in ' + ', '.join(there) if len(there) > 1 else ''}. Add the "
        f"mask or remove the name from its split ({line.place})."
    )


def _two_paths(root: Path, line: _Line) -> Pair | None:
    """Returns the files of a line `/JPEGImages/a.jpg /SegmentationClassAug/a.png`.

    Raises:
      UserError: the image is there and the mask is not.
    """
    for gap in re.finditer(r"\s+", line.text):
        first, second = line.text[: gap.start()], line.text[gap.end() :]
        image, mask = (root / path.lstrip("/") for path in (first, second))
        if "/" in first and "/" in second and image.is_file():
            if not mask.is_file():
                raise UserError(
                    f"{mask} is missing, the mask of {image} ({line.place}). Add it or "
                    "remove the line."
                )
            inner = image.relative_to(root).with_suffix("")
            name = inner.relative_to(IMAGES) if inner.parts[0] == IMAGES else inner
            return Pair(name.as_posix(), image, mask)
    return None


def _missing_image(files: Files, names: Sequence[str], line: _Line) -> UserError:
    """Returns the refusal of a line that names no image."""
    folder, text = files.root / IMAGES, line.text
    if re.search(r"/.*\s+.*/", text):
        first = text.split()[0].lstrip("/")
        return UserError(
            f"{files.root / first} is missing ({line.place}: {text!r}). Add the image "
            "or remove the line."
        )
    remedy = "Add the image (.jpg, .jpeg or .png) or remove the line."
    if text.lower().endswith(_IMAGE_SUFFIXES):
        remedy = "Write the names in the list without their ending."
    elif len(names) == 1 and _COLUMN.search(text):
        remedy += " A last column of 1, 0 or −1 is read where every line has it."
    missing = " and ".join(f"{folder / name}.jpg" for name in names)
    are = "is" if len(names) == 1 else "are"
    return UserError(
        f"{missing} {are} missing, but a split lists {text!r} ({line.place}). {remedy}"
    )


def shared_names(splits: Mapping[str, Sequence[Pair]]) -> tuple[str, ...]:
    """Returns the names of images that are in every one of several splits."""
    first, *others = splits.values()
    images = [{pair.image for pair in other} for other in others]
    return tuple(
        dict.fromkeys(
            pair.name for pair in first if all(pair.image in seen for seen in images)
        )
    )

"""Files of COCO annotations in a folder, and the files of the images that they name.

annotations/instances_SPLIT.json    images in SPLIT/, images/SPLIT/, images/ or beside
SPLIT/_annotations.coco.json        images beside (Roboflow)
NAME.json                           one alone: images in images/ or beside; --split
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from models.text import shortened
from train.common.errors import UserError
from train.common.files import identity, same_content
from train.common.regular import open_regular
from train.common.text import first_few
from train.data.convert.coco_masks import Id
from train.data.inside import Inside, check_links, check_spelling
from train.data.layouts import ROBOFLOW_COCO, ROBOFLOW_TABLE, SPLIT_FOLDERS
from train.data.plain_pairs import has_plain_pairs
from train.data.split_lists import two_of_split
from train.data.splits import split_called
from train.data.voc_files import LISTS, MASKS

# Data of these kinds may have any JSON file beside them.
_OF_OTHERS = (
    str(LISTS),
    *MASKS,
    *(f"{part}/{ROBOFLOW_TABLE}" for part in SPLIT_FOLDERS),
)
_LONGEST_NAME = 255  # characters of a file's name
_MOST_PARTS = 32  # files of annotations; each looks at all images when it is found
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")  # begins a path of Windows


class CocoFile(NamedTuple):
    """A file of annotations, and where its images may be."""

    split: str
    path: Path
    folders: tuple[Path, ...]


def coco_files(root: Path) -> list[CocoFile]:
    """Returns the files of annotations, none of any other folder.

    Raises:
      UserError: there are two of one split, or too many, or one names no split.
    """
    parts = _roboflow(root) or _instances(root) or _alone(root)
    first: dict[str, Path] = {}
    for part in parts:
        if (earlier := first.setdefault(part.split, part.path)) != part.path:
            raise two_of_split(part.split, earlier, part.path)
    return [parts[0]._replace(split="")] if len(parts) == 1 else parts


def _roboflow(root: Path) -> list[CocoFile]:
    folders = [root / name for name in SPLIT_FOLDERS]
    check_links(folder / ROBOFLOW_COCO for folder in folders)
    if folders := [it for it in folders if (it / ROBOFLOW_COCO).is_file()]:
        check_spelling(root, SPLIT_FOLDERS)
        for name in SPLIT_FOLDERS:
            check_spelling(root / name, [ROBOFLOW_COCO])
    return [CocoFile(split_called(f.name), f / ROBOFLOW_COCO, (f,)) for f in folders]


def _instances(root: Path) -> list[CocoFile]:
    parts = []
    files = sorted((root / "annotations").glob("instances_*.json"))
    if len(files) > _MOST_PARTS:
        raise UserError(
            f"{files[0].parent} has {len(files)} files instances_*.json, and at most "
            f"{_MOST_PARTS} splits are read. Move those that you do not need elsewhere."
        )
    for path in files:
        name = path.stem.removeprefix("instances_")
        if not name or name.startswith("."):
            raise UserError(
                f"{path} names the split {name!r}, and no folder can be called so. "
                "Call it instances_train.json or the like, or move it elsewhere."
            )
        split = split_called(re.sub("[0-9]+$", "", name))
        folders = (name, split, f"images/{name}", f"images/{split}", "images", ".")
        parts.append(CocoFile(split, path, tuple(root / folder for folder in folders)))
    unnamed = [part.path for part in parts if not part.split]
    if unnamed and len(parts) > 1:
        raise UserError(
            f"{unnamed[0]} names no split, where others do. Call it "
            "instances_train.json or the like, or move it elsewhere."
        )
    return parts


def _alone(root: Path) -> list[CocoFile]:
    """Returns the only JSON file of a folder that is of no other kind."""
    beside = root / "annotations"
    tables = "[!.]*.json"  # macOS leaves hidden ones
    files = sorted(root.glob(tables)) or sorted(beside.glob(tables))
    others = any((root / name).exists() for name in _OF_OTHERS)
    # A folder of annotations that has nothing else has no masks.
    pairs = has_plain_pairs(root) and [*beside.glob("[!.]*")] != files
    if len(files) != 1 or others or pairs or not _is_object(files[0]):
        return []
    return [CocoFile("", files[0], (root / "images", root))]


def _is_object(path: Path) -> bool:
    """Returns whether a file holds an object of JSON, not a list."""
    with open_regular(path) as file:
        return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")


def image_files(
    part: CocoFile, images: Sequence[tuple[Id, str]], inside: Inside
) -> list[Path]:
    """Returns the file of each image, by its id and file_name.

    Raises:
      UserError: a name or a link leads out of the folder, or a link to nothing, a
        folder is there in other letters, files are missing, two that differ have a
        name, or two images are one file.
    """
    check_links(part.folders)
    within = [folder for folder in part.folders if folder != inside.root]
    for place in {folder.parent for folder in within}:
        check_spelling(place, [it.name for it in within if it.parent == place])
    folders = [folder for folder in part.folders if folder.is_dir()]
    found, missing, compared = dict[tuple[int, int], Path](), [], set[Path]()
    other_form = ""
    for id, name in images:
        inner = str(_inner(part, id, name))
        spelled = dict.fromkeys((name if "\\" in name else inner, inner))
        places = (_file_at(folder, it) for folder in folders for it in spelled)
        if not (there := list(filter(None, places))):
            missing.append(shortened(name, 300))
            other_form = other_form or _in_another_form(part, inner)
            continue
        for path in there:
            inside.checked(path)
        if (first := found.setdefault(identity(there[0]), there[0])) is not there[0]:
            raise UserError(
                f"{part.path} has one image twice: {first} and {there[0]} are one "
                "file. Take one of them out, with its objects."
            )
        for other in set(there[1:]) - compared:
            _check_same(there[0], other, part.path)
            compared.add(other)
    if missing:
        named = dict.fromkeys(str(folder) for folder in part.folders)
        raise UserError(
            f"{part.path} has {len(images)} images, {len(missing)} of which are "
            f"missing: {first_few(missing)}. {other_form}Put them in "
            f"{' or '.join(named)}."
        )
    return list(found.values())


def _file_at(folder: Path, inner: str) -> Path | None:
    """Returns the file at a place in a folder, None if there is none.

    Raises:
      UserError: a link on the way, or in its place, leads to nothing.
    """
    if os.path.isfile(path := folder / inner):
        return path
    for part in PurePosixPath(inner).parts:
        folder /= part
        check_links([folder])
        if not os.path.exists(folder):
            break  # names may be of any length
    return None


def _inner(part: CocoFile, id: Id, name: str) -> PurePosixPath:
    """Returns the place of an image in a folder of images.

    Raises:
      UserError: its name leads out of it.
    """
    inner = PurePosixPath(name.replace("\\", "/"))
    if inner.is_absolute() or ".." in inner.parts or _DRIVE.match(name):
        raise UserError(
            f"{part.path}: the image {id} has the file_name {shortened(name, 300)!r}, "
            "which is outside of its folder. Name images by their place within it, "
            f"such as {shortened(inner.name, 300)!r}."
        )
    return inner


def _in_another_form(part: CocoFile, inner: str) -> str:
    """Returns where an image is whose name only looks the same, "" if nowhere."""
    if max(map(len, inner.split("/"))) > _LONGEST_NAME:
        return ""  # accents by the thousand take hours to put in one form
    for folder in part.folders:
        for form in ("NFC", "NFD"):
            place = folder / unicodedata.normalize(form, inner)
            if os.path.isfile(place):
                return (
                    f"{place} looks the same, but has accents in another form of "
                    f"Unicode ({form}, as Macs and others write them apart). Rename it "
                    "as the annotations have it. "
                )
    return ""


def _check_same(first: Path, other: Path, place: Path) -> None:
    """Refuses two files that an image may be, unless they are the same."""
    if same_content(first, other):
        return
    raise UserError(
        f"{first} and {other} may both be an image of {place}, and differ. Move one "
        "elsewhere."
    )

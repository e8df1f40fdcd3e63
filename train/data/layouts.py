"""Layouts: what a folder holds of each kind of data, and what to do where it is none.

A folder may hold several, of which the finders of `kinds.py` choose one.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from train.common.errors import UserError
from train.common.text import first_few
from train.data.inside import below, folders_once
from train.data.plain_pairs import (
    ENDS,
    IMAGE_FOLDERS,
    MASK_FOLDERS,
    all_folders_in,
    folders_in,
)
from train.data.split_lists import all_list_paths
from train.data.splits import ALIASES
from train.data.voc_files import (
    IMAGES,
    LISTS,
    MASKS,
    READ_SUFFIXES,
    WITH_TIFF,
)

SPLIT_FOLDERS = (*(name for names in ALIASES.values() for name in names), "test")
_ENDS = tuple(f"{end}.png" for end in ENDS if end)
_COCO = re.compile(rb'"(images|annotations|categories|licenses)"\s*:')
_HEAD = 4096  # bytes of a file of COCO annotations, which has one of these words
ROBOFLOW_TABLE, ROBOFLOW_COCO = "_classes.csv", "_annotations.coco.json"  # of Roboflow
_TARS = (".tar.gz", ".tgz", ".tar")
_UNPACKED = "SegmentationClassAug"  # a folder of masks in VOC layout as well
# Pascal VOC 2012 and further masks for it, that first which is read.
VOC_ARCHIVE = "VOCtrainval_11-May-2012.tar"
SBD_ARCHIVES = (*(f"benchmark{end}" for end in _TARS), "benchmark_RELEASE")
MASK_ARCHIVES = tuple(f"{_UNPACKED}{end}" for end in (".zip", *_TARS, ""))
_BRUSH = "task-"  # begins the names of Label Studio's masks


def what_is_left(root: Path, kind: str, splits: Sequence[str] = ()) -> str:
    """Returns what of a folder is read and what is left, "" if nothing is left.

    Args:
      root: the folder.
      kind: of the data that it was found to be.
      splits: those that are asked for, whose folders are read.
    """
    layouts = _layouts(root)
    read, *others = layouts.pop(kind, [""])
    parts = {*SPLIT_FOLDERS, *(split.lower() for split in splits)}
    if kind == "plain pairs":
        others += _beside(root)
        others += _beside_splits_within(root, parts)
    others += _of_no_split(root, parts)
    by_lists = kind == "VOC layout" or (kind == "plain pairs" and _pairs(root))
    if not by_lists:  # its splits are folders, or named by its own tables
        others += filter(None, [_names(root, all_list_paths(root, parts).values())])
    left = [*others, *(what for of in layouts.values() for what in of)]
    if not read or not left:
        return ""
    return (
        f"{root}: {read} ({kind}) will be read; left aside: {'; '.join(left)}. If it "
        "is the other way round, move elsewhere what is not to be read."
    )


def way_out(root: Path) -> str:
    """Returns what may be done with a folder of no kind, "" if nothing is known."""
    above = root.absolute().parent
    if any(re.search(rf"\b{re.escape(root.name)}/", it) for it in _texts(above)):
        return f" It is a part of {above}: give --data {above}."
    for path in sorted(root.iterdir()):
        if path.is_dir() and any(_texts(path)):
            return f" There are data in {path}: give --data {path}."
    names = sorted(path.name for path in root.iterdir() if path.is_file())
    pictures = [
        name
        for name in names
        if name.lower().endswith(READ_SUFFIXES) and not name.startswith(".")
    ]
    if not pictures:
        return ""
    masks = [name for name in pictures if name.endswith(_ENDS)]
    such = f", such as {masks[0]}" if masks else ", PNGs named as their images"
    return (
        f" It has {len(pictures)} pictures itself: move images into {root / 'images'}, "
        f"and masks{such}, into {root / 'masks'}."
    )


def _texts(root: Path) -> Iterable[str]:
    try:
        return [what for of in _layouts(root).values() for what in of]
    except (OSError, UserError):  # of another user, or too deep
        return ()


def _layouts(root: Path) -> dict[str, list[str]]:
    """Returns what a folder has of each kind of data, that first which is read."""
    parts = [root / name for name in SPLIT_FOLDERS]
    tables = [part / ROBOFLOW_TABLE for part in parts]
    found = {
        "VOC layout": [_together(root, [IMAGES], MASKS)],
        "plain pairs": [_pairs(root), ", ".join(filter(None, _pairs_of_splits(root)))],
        "Roboflow semantic masks": [_names(root, filter(Path.is_file, tables))],
        "COCO": [_names(root, files) for files in _annotations(root, parts)],
        "Label Studio brush masks": [_names(root, brush_masks(root))],
        "archives of Pascal VOC 2012": [_names(root, of) for of in _archives(root)],
    }
    there = {kind: list(filter(None, of)) for kind, of in found.items()}
    return {kind: of for kind, of in there.items() if of}


def brush_masks(root: Path) -> list[Path]:
    """Returns the files that could be masks of Label Studio, in their order."""
    folders = (root, *folders_once(root))
    return sorted(it for folder in folders for it in folder.glob(f"{_BRUSH}*.png"))


def _annotations(root: Path, parts: Iterable[Path]) -> Iterator[list[Path]]:
    """Yields the files of each layout of COCO annotations, that first which is read."""
    files = (part / ROBOFLOW_COCO for part in parts)
    yield [path for path in files if path.is_file()]
    beside = sorted(root.glob("annotations/[!.]*.json"))
    named = [path for path in beside if path.name.startswith("instances_")]
    yield [path for path in named if path.is_file()]
    yield list(filter(_is_coco, sorted(root.glob("[!.]*.json"))))
    yield [path for path in beside if path not in named and _is_coco(path)]


def _archives(root: Path) -> Iterator[list[Path]]:
    """Yields the archives that are read together, and those that are not."""
    further = [root / name for name in (*SBD_ARCHIVES, *MASK_ARCHIVES)]
    if (root / IMAGES).exists():
        further.remove(root / _UNPACKED)
    first, *others = [path for path in further if path.exists()] or [root / "none"]
    yield [path for path in (root / VOC_ARCHIVE, first) if path.exists()]
    yield others


def _is_coco(path: Path) -> bool:
    """Returns whether a file begins as COCO annotations do."""
    if not path.is_file():  # a pipe, which would be waited for
        return False
    with path.open("rb") as file:
        head = file.read(_HEAD).removeprefix(b"\xef\xbb\xbf").lstrip()
    return head.startswith(b"{") and bool(_COCO.search(head))


def _pairs_of_splits(root: Path) -> Iterator[str]:
    """Yields the folders of images and of masks within those of splits."""
    there = folders_in(root)
    for folder in (there[name] for name in SPLIT_FOLDERS if name in there):
        if found := _pairs(folder):
            images, _, masks = found.partition(" and ")
            yield f"{folder.name}/{images} and {folder.name}/{masks}"


def _pairs(folder: Path) -> str:
    there = folders_in(folder)
    images = [there[name].name for name in IMAGE_FOLDERS if name in there]
    masks = [there[name].name for name in MASK_FOLDERS if name in there]
    return _together(folder, images, masks)


def _together(folder: Path, images: Iterable[str], masks: Iterable[str]) -> str:
    """Returns the first of each that is there, "" if one is without pictures."""
    first = next((it for it in images if _has(folder / it, WITH_TIFF)), "")
    second = next((it for it in masks if _has(folder / it, (".png",))), "")
    return f"{first}/ and {second}/" if first and second else ""


def _beside(root: Path) -> Iterable[str]:
    """Yields the folders of pictures that plain pairs are not read from."""
    if _pairs(root):
        folders = [root]
    else:
        there = folders_in(root)
        folders = [there[name] for name in SPLIT_FOLDERS if name in there]
    for folder in folders:
        every = all_folders_in(folder)
        for names, read in ((IMAGE_FOLDERS, WITH_TIFF), (MASK_FOLDERS, (".png",))):
            alike = [path for name in names for path in every.get(name, ())]
            first, *others = alike or [folder]
            for path in others:
                if _has(path, read) and not path.samefile(first):
                    yield f"{path.relative_to(root)}/"


def _beside_splits_within(root: Path, parts: set[str]) -> Iterator[str]:
    """Yields folders in images/ and masks/ beside those of splits, where these are."""
    there = folders_in(root)
    images, masks = (
        next((folders_in(there[name]) for name in names if name in there), {})
        for names in (IMAGE_FOLDERS, MASK_FOLDERS)
    )
    lists = all_list_paths(root, parts) or any((root / LISTS).glob("[!.]*.txt"))
    if lists or not images.keys() & masks.keys() & parts:
        return
    for name in sorted((images.keys() | masks.keys()) - parts):
        found = [
            f"{of[name].relative_to(root)}/"
            for of, read in ((images, WITH_TIFF), (masks, (".png",)))
            if name in of and not name.startswith(".") and _has(of[name], read)
        ]
        if found:
            yield " and ".join(found)


def _of_no_split(root: Path, parts: set[str]) -> Iterator[str]:
    """Yields what could be data in folders beside those of splits, and within those."""
    there = folders_in(root)
    own = {it.resolve() for it in (root, *(there[name] for name in parts & {*there}))}
    for name, folder in sorted(there.items()):
        places = folders_in(folder) if name in parts else {name: folder}
        for inner, place in sorted(places.items()):
            usual = inner in IMAGE_FOLDERS or inner in MASK_FOLDERS
            if usual or inner.startswith(".") or (real := place.resolve()) in own:
                continue  # the latter by a link
            own.add(real)
            with contextlib.suppress(OSError, UserError):  # as in _texts
                yield from _data_in(place, str(place.relative_to(root)))


def _data_in(folder: Path, name: str) -> list[str]:
    """Returns pairs and tables that would be read in the folder of a split."""
    images, _, masks = _pairs(folder).partition(" and ")
    pairs = [f"{name}/{images} and {name}/{masks}"] if masks else []
    tables = [it for it in (ROBOFLOW_TABLE, ROBOFLOW_COCO) if (folder / it).is_file()]
    return [*pairs, *(f"{name}/{table}" for table in tables)]


def _has(folder: Path, read: Iterable[str]) -> bool:
    """Returns whether a folder has pictures that are not Label Studio's."""
    return any(
        path.suffix.lower() in read and not path.name.startswith((".", _BRUSH))
        for path in below(folder)
    )


def _names(root: Path, paths: Iterable[Path]) -> str:
    return first_few([path.relative_to(root).as_posix() for path in paths])

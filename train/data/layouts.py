"""Layouts: what a folder holds of each kind of data, and what to do where it is none.

A folder may hold several, of which the finders of `kinds.py` choose one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from train.common.errors import UserError
from train.data.inside import below
from train.data.plain_pairs import ENDS, IMAGE_FOLDERS, MASK_FOLDERS, folders_in
from train.data.splits import ALIASES
from train.data.voc_files import IMAGES, MASKS, READ_SUFFIXES, first_few

_PARTS = (*(name for names in ALIASES.values() for name in names), "test")
_ENDS = tuple(f"{end}.png" for end in ENDS if end)
_COCO = re.compile(rb'"(images|annotations|categories|licenses)"\s*:')
_HEAD = 4096  # bytes of a file of COCO annotations, which has one of these words
_BRUSH = "task-"  # begins the names of Label Studio's masks


def what_is_left(root: Path, kind: str) -> str:
    """Returns what of a folder is read and what is left, "" if nothing is left.

    Args:
      root: the folder.
      kind: of the data that it was found to be.
    """
    found = _layouts(root)
    read = found.pop(kind, "")
    left = [*found.values(), *(_beside(root) if kind == "plain pairs" else ())]
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
    pictures = [name for name in names if name.lower().endswith(READ_SUFFIXES)]
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
        return _layouts(root).values()
    except (OSError, UserError):  # of another user, or too deep
        return ()


def _layouts(root: Path) -> dict[str, str]:
    """Returns what a folder has of each kind of data, by the kind."""
    parts = [root / name for name in _PARTS]
    tables = [part / "_classes.csv" for part in parts]
    found = {
        "VOC layout": _together(root, [IMAGES], MASKS),
        "plain pairs": next(filter(None, map(_pairs, (root, *parts))), ""),
        "Roboflow semantic masks": _names(root, filter(Path.is_file, tables)),
        "COCO": _names(root, _annotations(root, parts)),
        "Label Studio brush masks": _names(
            root, (*root.glob(f"{_BRUSH}*.png"), *root.glob(f"*/{_BRUSH}*.png"))
        ),
    }
    return {kind: what for kind, what in found.items() if what}


def _annotations(root: Path, parts: Iterable[Path]) -> Iterable[Path]:
    """Yields the files of COCO annotations."""
    yield from filter(Path.is_file, (it / "_annotations.coco.json" for it in parts))
    tables = (*sorted(root.glob("*.json")), *sorted(root.glob("annotations/*.json")))
    for path in filter(Path.is_file, tables):  # no pipe, which would be waited for
        with path.open("rb") as file:
            head = file.read(_HEAD).removeprefix(b"\xef\xbb\xbf").lstrip()
        if head.startswith(b"{") and _COCO.search(head):
            yield path


def _pairs(folder: Path) -> str:
    there = folders_in(folder)
    images = [there[name].name for name in IMAGE_FOLDERS if name in there]
    masks = [there[name].name for name in MASK_FOLDERS if name in there]
    return _together(folder, images, masks)


def _together(folder: Path, images: Iterable[str], masks: Iterable[str]) -> str:
    """Returns the first of each that is there, "" if one is without pictures."""
    first = next((it for it in images if _has(folder / it, READ_SUFFIXES)), "")
    second = next((it for it in masks if _has(folder / it, (".png",))), "")
    return f"{first}/ and {second}/" if first and second else ""


def _beside(root: Path) -> Iterable[str]:
    """Yields the folders of pictures that plain pairs are not read from."""
    there = folders_in(root)
    for names, read in ((IMAGE_FOLDERS, READ_SUFFIXES), (MASK_FOLDERS, (".png",))):
        first, *others = [there[name] for name in names if name in there] or [root]
        yield from (f"{path.name}/" for path in others if _has(path, read))


def _has(folder: Path, read: Iterable[str]) -> bool:
    """Returns whether a folder has pictures that are not Label Studio's."""
    return any(
        path.suffix.lower() in read and not path.name.startswith((".", _BRUSH))
        for path in below(folder)
    )


def _names(root: Path, paths: Iterable[Path]) -> str:
    return first_few([path.relative_to(root).as_posix() for path in paths])

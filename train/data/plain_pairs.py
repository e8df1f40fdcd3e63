"""Folders of images beside folders of masks, matched by name and read in place.

images/NAME.jpg, masks/NAME.png             with lists (split_lists.py), else --split
images/SPLIT/NAME.jpg, masks/SPLIT/NAME.png
SPLIT/images/NAME.jpg, SPLIT/masks/NAME.png
labelmap.txt or class_names.txt             optional, as in VOC layout

`imgs` stands for images, `labels` and `annotations` for masks; `training` for train,
`valid` and `validation` for val; all in any case. A mask may be NAME_mask.png and the
like.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from train.common.errors import UserError
from train.common.notes import note
from train.common.text import first_few, shown
from train.data.inside import check_links_in, files_below
from train.data.split_lists import listing_by_lists, of_splits
from train.data.splits import ALIASES, Listing
from train.data.voc_files import (
    IMAGES,
    READ_SUFFIXES,
    Files,
)

IMAGE_FOLDERS = ("images", "imgs")
MASK_FOLDERS = ("masks", "labels", "annotations")
ENDS = ("", "_mask", "_gt", "_label", "_seg", "_segmentation", "_L")


def has_plain_pairs(root: Path) -> bool:
    """Returns whether a folder is of this kind."""
    if (root / IMAGES).is_dir():
        return False
    there = folders_in(root)
    within = (there.get(name) for names in ALIASES.values() for name in names)
    return any(_files(folder) for folder in (root, *within) if folder)


def plain_files(
    root: Path, *, links: bool = False, read: Sequence[str] = READ_SUFFIXES
) -> Files | None:
    """Returns the images and masks of a folder of this kind, None of one divided."""
    return _files(root, links, read) if has_plain_pairs(root) else None


def plain_listing(
    root: Path,
    splits: Sequence[str],
    *,
    links: bool = False,
    read: Sequence[str] = READ_SUFFIXES,
) -> Listing:
    """Returns the images of a folder of plain pairs.

    Raises:
      UserError: a list, an image or a mask is missing, or outside of the folder, or
        there are two of a kind.
    """
    _check_alone(root, read)
    files = _files(root, links, read)
    if files is None:
        there = folders_in(root)

        def within(name: str) -> Files | None:
            folder = there.get(name.lower())
            if folder:
                _check_alone(folder, read)
                _check_case(folder, lambda other: _files(other) is not None)
            return _files(folder, links, read) if folder else None

        parts = of_splits(root, splits, "/", within)
        return Listing({split: part.pairs() for split, part in parts.items()}, [])
    if listing := listing_by_lists(files, splits):
        return listing
    images, masks = root / files.images, root / files.masks[0]
    of_images, of_masks = folders_in(images), folders_in(masks)

    def beside(name: str) -> Files | None:
        pair = of_images.get(name.lower()), of_masks.get(name.lower())
        for folder in filter(None, pair):
            _check_case(folder, lambda other: any(files_below(other, read)))
        return _of_folders(root, *pair, links, read)

    parts = of_splits(images, splits, "/", beside)
    if parts:
        aside = [
            path.name
            for path in sorted(images.iterdir())
            if path.suffix.lower() in read
            and not path.name.startswith(".")
            and path.is_file()
        ]
        if aside:
            note(
                f"{images} has {len(aside)} images beside the folders of its splits, "
                f"which are left out: {shown(first_few(aside))}."
            )
        return Listing({split: part.pairs() for split, part in parts.items()}, [])
    return Listing({}, files.pairs())


def _check_alone(root: Path, read: Sequence[str]) -> None:
    """Refuses two folders of images, or of masks, that have the same names."""
    there = all_folders_in(root)
    for what, names, endings in (
        ("images", IMAGE_FOLDERS, read),
        ("masks", MASK_FOLDERS, (".png",)),
    ):
        folders = [path for name in names for path in there.get(name, ())]
        for other in folders[1:]:
            same = _stems(folders[0], endings) & _stems(other, endings)
            if same and not other.samefile(folders[0]):
                raise UserError(
                    f"{folders[0]} and {other} both have {what} for {len(same)} names, "
                    f"such as {min(same)!r}: which of them are meant is not said. Move "
                    f"one of the folders out of {root}, or rename it."
                )


def _check_case(folder: Path, is_one: Callable[[Path], bool]) -> None:
    """Refuses a folder of a split where another has its name but for the case.

    Args:
      folder: that is read.
      is_one: returns whether the other could be read in its place.
    """
    for other in all_folders_in(folder.parent)[folder.name.lower()]:
        if other != folder and is_one(other) and not other.samefile(folder):
            raise UserError(
                f"{folder} and {other} are both of one split: which of them is meant "
                "is not said. Move one of them elsewhere, or rename it."
            )


def _stems(folder: Path, read: Sequence[str]) -> set[str]:
    """Returns the names of pictures, and those of the images that they may be of."""
    paths = files_below(folder, read)
    names = {path.relative_to(folder).with_suffix("").as_posix() for path in paths}
    return {name.removesuffix(end) for name in names for end in ENDS}


def _files(
    root: Path, links: bool = False, read: Sequence[str] = READ_SUFFIXES
) -> Files | None:
    """Returns the files of a folder that has one of images and one of masks."""
    there = folders_in(root)
    images = (there[name] for name in IMAGE_FOLDERS if name in there)
    masks = (there[name] for name in MASK_FOLDERS if name in there)
    folders = next(images, None), next(masks, None)
    return _of_folders(root, *folders, links, read)


def _of_folders(
    root: Path,
    images: Path | None,
    masks: Path | None,
    links: bool,
    read: Sequence[str],
) -> Files | None:
    if images is None or masks is None:
        return None
    names = (str(folder.relative_to(root)) for folder in (images, masks))
    return Files(root, next(names), tuple(names), ENDS, links=links, read=read)


def folders_in(root: Path) -> dict[str, Path]:
    """Returns the folders in a folder by their names in lower case.

    Of names that differ in case alone, the one in lower case goes first.
    """
    return {name: paths[0] for name, paths in all_folders_in(root).items()}


def all_folders_in(root: Path) -> dict[str, list[Path]]:
    """Returns the folders in a folder by their names, that in lower case first.

    Raises:
      UserError: a link there leads to nothing, in whose place another might be read.
    """
    if not root.is_dir():
        return {}
    check_links_in(root)
    with os.scandir(root) as entries:
        names = [entry.name for entry in entries if entry.is_dir()]
    found: dict[str, list[Path]] = {}
    for name in sorted(names, reverse=True):
        found.setdefault(name.lower(), []).append(root / name)
    return found

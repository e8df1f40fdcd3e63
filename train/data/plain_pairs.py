"""Folders of images beside folders of masks, matched by name and read in place.

images/NAME.jpg, masks/NAME.png             with train.txt and val.txt, else --split
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
from typing import TypeVar

from train.common.errors import UserError
from train.data.splits import ALIASES, Listing, aliases
from train.data.voc_files import IMAGES, Files
from train.data.voc_lists import read_list

IMAGE_FOLDERS = ("images", "imgs")
MASK_FOLDERS = ("masks", "labels", "annotations")
ENDS = ("", "_mask", "_gt", "_label", "_seg", "_segmentation", "_L")

_T = TypeVar("_T")


def has_plain_pairs(root: Path) -> bool:
    """Returns whether a folder is of this kind."""
    if (root / IMAGES).is_dir():
        return False
    there = _folders(root)
    within = (there.get(name) for names in ALIASES.values() for name in names)
    return any(_files(folder) for folder in (root, *within) if folder)


def plain_listing(root: Path, splits: Sequence[str], *, links: bool = False) -> Listing:
    """Returns the images of a folder of plain pairs.

    Raises:
      UserError: a list, an image or a mask is missing, or outside of the folder.
    """
    files = _files(root, links)
    if files is None:
        there = _folders(root)

        def within(name: str) -> Files | None:
            folder = there.get(name.lower())
            return _files(folder, links) if folder else None

        parts = _of_splits(root, splits, "/", within)
        return Listing({split: part.pairs() for split, part in parts.items()}, [])
    lists = _of_splits(root, splits, ".txt", lambda name: _file(root / f"{name}.txt"))
    if lists:
        return Listing({k: read_list(path, files) for k, path in lists.items()}, [])
    images, masks = root / files.images, root / files.masks[0]
    of_images, of_masks = _folders(images), _folders(masks)

    def beside(name: str) -> Files | None:
        pair = of_images.get(name.lower()), of_masks.get(name.lower())
        return _of_folders(root, *pair, links)

    parts = _of_splits(images, splits, "/", beside)
    if parts:
        return Listing({split: part.pairs() for split, part in parts.items()}, [])
    return Listing({}, files.pairs())


def _of_splits(
    root: Path, splits: Sequence[str], end: str, find: Callable[[str], _T | None]
) -> dict[str, _T]:
    """Returns what there is of each split, under any of its names.

    Raises:
      UserError: one of the splits has nothing, though it or train or val has.
    """
    names = {split: aliases(split) for split in (*splits, *ALIASES)}
    every = {split: [find(name) for name in of] for split, of in names.items()}
    found = {
        split: next((it for it in of if it is not None), None)
        for split, of in every.items()
    }
    there = {split: it for split, it in found.items() if it is not None}
    for split in splits if there else ():
        if split not in there:
            missing = " or ".join(f"{name}{end}" for name in names[split])
            raise UserError(
                f"{root} has no {missing}, and of other splits it has "
                f"{', '.join(there)}. Add it, choose another with --train-split and "
                "--val-split, or evaluate on a part of what is trained on with "
                "--val-split train --holdout 0.2."
            )
    return {split: there[split] for split in splits if there}


def _files(root: Path, links: bool = False) -> Files | None:
    """Returns the files of a folder that has one of images and one of masks."""
    there = _folders(root)
    images = (there[name] for name in IMAGE_FOLDERS if name in there)
    masks = (there[name] for name in MASK_FOLDERS if name in there)
    return _of_folders(root, next(images, None), next(masks, None), links)


def _of_folders(
    root: Path, images: Path | None, masks: Path | None, links: bool
) -> Files | None:
    if images is None or masks is None:
        return None
    names = (str(folder.relative_to(root)) for folder in (images, masks))
    return Files(root, next(names), tuple(names), ENDS, links=links)


def _folders(root: Path) -> dict[str, Path]:
    """Returns the folders in a folder by their names in lower case.

    Of names that differ in case alone, the one in lower case goes first.
    """
    if not root.is_dir():
        return {}
    with os.scandir(root) as entries:
        names = [entry.name for entry in entries if entry.is_dir()]
    return {name.lower(): root / name for name in sorted(names)}


def _file(path: Path) -> Path | None:
    return path if path.is_file() else None

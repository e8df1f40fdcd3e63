"""Folders of images beside folders of masks, matched by name and read in place.

images/NAME.jpg, masks/NAME.png             with train.txt and val.txt, else --split
images/SPLIT/NAME.jpg, masks/SPLIT/NAME.png
SPLIT/images/NAME.jpg, SPLIT/masks/NAME.png
labelmap.txt or class_names.txt             optional, as in VOC layout

`imgs` stands for images, `labels` and `annotations` for masks; `training` for train,
`valid` and `validation` for val. A mask may be NAME_mask.png and the like.
"""

from __future__ import annotations

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
    folders = [root, *(root / name for names in ALIASES.values() for name in names)]
    return any(_files(folder) for folder in folders)


def plain_listing(root: Path, splits: Sequence[str]) -> Listing:
    """Returns the images of a folder of plain pairs.

    Raises:
      UserError: a list, an image or a mask is missing.
    """
    files = _files(root)
    if files is None:
        parts = _of_splits(root, splits, "/", lambda name: _files(root / name))
        return Listing({split: part.pairs() for split, part in parts.items()}, [])
    lists = _of_splits(root, splits, ".txt", lambda name: _file(root / f"{name}.txt"))
    if lists:
        return Listing({k: read_list(path, files) for k, path in lists.items()}, [])
    images, masks = files.images, files.masks[0]
    parts = _of_splits(
        root / images,
        splits,
        "/",
        lambda name: _of_folders(root, f"{images}/{name}", f"{masks}/{name}"),
    )
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


def _files(root: Path) -> Files | None:
    """Returns the files of a folder that has one of images and one of masks."""
    images = [name for name in IMAGE_FOLDERS if (root / name).is_dir()]
    masks = [name for name in MASK_FOLDERS if (root / name).is_dir()]
    return _of_folders(root, images[0], masks[0]) if images and masks else None


def _of_folders(root: Path, images: str, masks: str) -> Files | None:
    there = (root / images).is_dir() and (root / masks).is_dir()
    return Files(root, images, (masks,), ENDS) if there else None


def _file(path: Path) -> Path | None:
    return path if path.is_file() else None

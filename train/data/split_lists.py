"""Lists of a folder: where they are, and which is of which split.

SPLIT.txt                           in the folder itself, or
ImageSets/Segmentation/SPLIT.txt    under any of the split's names

What a line of one says is in `voc_lists.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from train.common.errors import UserError
from train.data.inside import check_links
from train.data.splits import ALIASES, Listing, aliases
from train.data.voc_files import LISTS, Files
from train.data.voc_lists import list_text, read_list

_CVAT_LIST = "default"

_T = TypeVar("_T")


def listing_by_lists(files: Files, splits: Sequence[str]) -> Listing | None:
    """Returns the images that a folder's lists name, None where it has no lists.

    Raises:
      UserError: a list is missing, lists in two places differ, or a line names what is
        not there.
    """
    root = files.root
    _check_one_place(files, (*splits, *ALIASES))
    _check_one_name(files, splits)
    within = sorted((root / LISTS).glob("[!.]*.txt"))  # macOS leaves hidden ones
    if not within:
        beside = of_splits(root, splits, ".txt", lambda name: _file(root, name))
        lists = {split: read_list(path, files) for split, path in beside.items()}
        return Listing(lists, []) if lists else None
    paths = list_paths(root / LISTS, splits)
    missing = [split for split in splits if split not in paths]
    if missing and [path.stem for path in within] == [_CVAT_LIST]:
        return Listing({}, read_list(within[0], files), within[0])
    if missing:
        raise UserError(
            f"{root / LISTS / missing[0]}.txt is missing. Write one image name a line, "
            "without its ending, or choose a list with --train-split and --val-split. "
            f"It has: {', '.join(path.stem for path in within)}."
        )
    return Listing({split: read_list(paths[split], files) for split in splits}, [])


def list_paths(folder: Path, splits: Iterable[str]) -> dict[str, Path]:
    """Returns the lists in a folder by their splits, as far as there are any."""
    found = {
        split: [path for name in aliases(split) if (path := _file(folder, name))]
        for split in splits
    }
    return {split: paths[0] for split, paths in found.items() if paths}


def all_list_paths(root: Path, splits: Iterable[str]) -> dict[str, Path]:
    """Returns the lists of a folder of data, whichever place they are in."""
    splits = tuple(splits)
    return list_paths(root, splits) | list_paths(root / LISTS, splits)


def _check_one_place(files: Files, splits: Sequence[str]) -> None:
    """Refuses lists of one split in both places, unless they are the same."""
    places = files.root, files.root / LISTS
    beside, within = (list_paths(place, splits) for place in places)
    for split in beside.keys() & within.keys():
        if list_text(beside[split], files) != list_text(within[split], files):
            raise UserError(
                f"{beside[split]} and {within[split]} are both lists of {split}, and "
                "differ: which of them counts is not said. Delete one, or move it "
                "elsewhere."
            )


def _check_one_name(files: Files, splits: Sequence[str]) -> None:
    """Refuses lists of one split under two of its names, unless they are the same."""
    for place in (files.root, files.root / LISTS):
        for split in splits:
            first, *others = [_file(place, name) for name in aliases(split)]
            for other in filter(None, others):
                if first and list_text(first, files) != list_text(other, files):
                    raise two_of_split(split, str(first), str(other))
                first = first or other


def two_of_split(split: str, first: object, other: object) -> UserError:
    """Returns the refusal of two files or folders of one split."""
    return UserError(
        f"{first} and {other} are both of {split}: which of them counts is not said. "
        "Move one of them elsewhere, or rename it."
    )


def of_splits(
    root: Path, splits: Sequence[str], end: str, find: Callable[[str], _T | None]
) -> dict[str, _T]:
    """Returns what there is of each split, under any of its names.

    Args:
      root: where that is, for messages.
      splits: their names.
      end: of the names of what is found, for messages.
      find: returns what has a name, None where nothing has.

    Raises:
      UserError: one of the splits has nothing, though it or train or val has, or it
        has folders under two of its names.
    """
    names = {split: aliases(split) for split in (*splits, *ALIASES)}
    every = {
        split: {name: it for name in of if (it := find(name)) is not None}
        for split, of in names.items()
    }
    for split in splits:
        if end == "/" and len(every[split]) > 1:  # lists may be the same
            first, other, *_ = (f"{root / name}{end}" for name in every[split])
            raise two_of_split(split, first, other)
    there = {split: next(iter(of.values())) for split, of in every.items() if of}
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


def _file(folder: Path, name: str) -> Path | None:
    path = folder / f"{name}.txt"
    check_links([path])
    return path if path.is_file() else None

"""Which images are trained on and which validate, by lists or by --split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from train.common.errors import UserError
from train.common.notes import note
from train.common.text import first_few
from train.data.voc_files import Pair

# What others call the splits; a split of any other name has no other.
ALIASES = {"train": ("train", "training"), "val": ("val", "valid", "validation")}

# Returns the names of the images to validate on, none where lists say it, from the
# digest of each image by its name.
Divide = Callable[[Mapping[str, str]], Sequence[str]]


class Listing(NamedTuple):
    """The images of a folder and their masks, as far as it says which are for what.

    Args:
      lists: images by the name of their split.
      whole: all images, where the folder does not say.
      only_list: CVAT's list of all images, which is any split if nothing divides it.
    """

    lists: Mapping[str, list[Pair]]
    whole: list[Pair]
    only_list: Path | None = None

    def files(self) -> list[Path]:
        """Returns all images and masks."""
        pairs = [*self.whole, *(pair for of in self.lists.values() for pair in of)]
        return [path for pair in pairs for path in (pair.image, pair.mask)]


class Splits(NamedTuple):
    """The images of each split asked for, and where --split made them, val's names."""

    pairs: dict[str, list[Pair]]
    val_names: tuple[str, ...] = ()


def aliases(split: str) -> tuple[str, ...]:
    """Returns the names that a split may have, its own first."""
    return tuple(dict.fromkeys((split, *ALIASES.get(split, ()))))


def split_called(name: str) -> str:
    """Returns what a split is called here, given any of its names."""
    return next((split for split, names in ALIASES.items() if name in names), name)


def division(images: Mapping[str, str], fraction: float) -> tuple[str, ...]:
    """Returns the names of the images to validate on, always the same.

    Images that are equal byte by byte stay on one side.

    Args:
      images: the digest of each by its name.
      fraction: of the images, about; 0 gives none.

    Raises:
      UserError: one side would be empty.
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(images):
        groups.setdefault(images[name], []).append(name)
    equal = list(groups.values())
    taken: list[str] = []
    for index in np.random.default_rng(0).permutation(len(equal)):
        if len(taken) >= round(fraction * len(images)):
            break
        taken += equal[index]
    if fraction and len(taken) in (0, len(images)):
        raise UserError(
            f"--split {fraction:g} leaves one side without any of the {len(images)} "
            f"images ({len(equal)} different ones). Choose another fraction, or add "
            "images."
        )
    return tuple(sorted(taken))


def divided(
    listing: Listing,
    splits: Sequence[str],
    divide: Divide,
    digests: Mapping[Path, str],
    root: Path,
) -> Splits:
    """Returns the images of each split, by lists, else divided.

    Raises:
      UserError: there are no lists and no --split, or a split that it does not make.
    """
    if listing.lists:
        return Splits(dict(listing.lists))
    val = divide({pair.name: digests[pair.image] for pair in listing.whole})
    if not val and listing.only_list:
        for split in dict.fromkeys(splits):
            missing = listing.only_list.with_stem(split)
            note(
                f"{missing} is missing: {split} is {listing.only_list}, the only list."
            )
        return Splits(dict.fromkeys(splits, listing.whole))
    if not val:
        raise UserError(
            f"{root} has {len(listing.whole)} images and no lists of those to train on "
            "and to validate on: add --split 0.2 to a training, which validates on a "
            "fifth of them, or write lists (docs/data.md)."
        )
    sides = _sides(listing.whole, val, root)
    if absent := [split for split in splits if split not in sides]:
        raise UserError(
            f"{root} has no lists, and --split makes train and val, not "
            f"{absent[0]!r}: add --train-split train --val-split val to a training, "
            "--split val to evaluate.py."
        )
    return Splits({split: sides[split] for split in splits}, tuple(val))


def _sides(
    pairs: Sequence[Pair], val: Sequence[str], root: Path
) -> dict[str, list[Pair]]:
    """Returns the images to train on and those to validate on.

    Raises:
      UserError: one to validate on is missing.
    """
    names = {pair.name for pair in pairs}
    if missing := [name for name in val if name not in names]:
        raise UserError(
            f"the run validates on {len(val)} images by its --split, and {root} has "
            f"not {first_few(missing)} ({len(missing)} missing). Put them back; to "
            "evaluate on others, write a list of them."
        )
    held = set(val)
    return {
        "train": [pair for pair in pairs if pair.name not in held],
        "val": [pair for pair in pairs if pair.name in held],
    }


def shared_names(
    splits: Mapping[str, Sequence[Pair]], digests: Mapping[Path, str]
) -> tuple[str, ...]:
    """Returns the names in the last split of images that the others have as well.

    Args:
      splits: images and masks.
      digests: of each file: an image is the same under any name.
    """
    *others, last = splits.values()
    known = [{digests[pair.image] for pair in other} for other in others]
    return tuple(
        pair.name for pair in last if all(digests[pair.image] in of for of in known)
    )

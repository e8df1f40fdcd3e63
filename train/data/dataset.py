"""Data sets: which data to read, how they are found, and how they are prepared.

Finding reads lists and classes and writes nothing, so that whatever cannot work is
refused first; preparing writes every record once (`records.py`).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from train.common.errors import UserError, memory_for
from train.common.notes import note
from train.common.options import (
    BELOW_ONE,
    POSITIVE,
    Group,
    Limit,
    Rule,
    option,
)
from train.data.forms import BITS, CHANNELS, Form
from train.data.image_files import PIXEL_LIMIT, limit_pixels
from train.data.images import Source
from train.data.inside import check_links_in
from train.data.kinds import DATA_KINDS, Found
from train.data.layouts import what_is_left
from train.data.mask_colors import ShownColor
from train.data.parts import hold_out
from train.data.places import check_prepared
from train.data.splits import division
from train.data.voc_files import LISTS, READ_SUFFIXES, WITH_TIFF
from train.data.void import VOID


class Dataset(NamedTuple):
    """A data set that is ready to read."""

    name: str
    class_names: tuple[str, ...]
    colors: np.ndarray  # uint8 [classes, 3]
    fingerprint: str
    train: Source
    val: Source
    splits: Mapping[str, str] = {}
    earlier: str = ""
    val_names: tuple[str, ...] = ()
    void: tuple[int, ...] = ()  # values that do not count, beside 255
    shown: tuple[ShownColor, ...] = ()  # as far as masks have palettes
    by_color: bool = False  # whether labelmap.txt says what they are


_LONGEST_SPLIT = 200  # bytes: prepared records are called after it, and more
_SPLIT = Limit(
    lambda name: (
        re.fullmatch(r"\w*[^\W_]\w*", name) is not None
        and len(name.encode()) <= _LONGEST_SPLIT
        and name != "all"
    ),
    "must be letters, digits and underscores, not of underscores alone, of at most "
    f"{_LONGEST_SPLIT} bytes, and other than all (rename the list)",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataOptions(Group):
    """The data to train and evaluate on."""

    folder: str = option(
        "",
        lambda: (
            f"Folder of the data. Kinds: {DATA_KINDS.help()}. A run is resumed by any "
            "path of the same data."
        ),
        name="data",
        path=True,
    )
    train_split: str = option(
        "train", "Trains on ImageSets/Segmentation/NAME.txt.", _SPLIT
    )
    val_split: str = option(
        "val", "Evaluates on ImageSets/Segmentation/NAME.txt.", _SPLIT
    )
    split: float = option(
        0.0,
        "Fraction of the images to validate on where the folder has no lists, always "
        "the same ones; 0 needs lists; in [0, 1).",
        BELOW_ONE,
    )
    classes: tuple[str, ...] = option(
        (),
        "Class names in the order of the mask values, where the folder has no list; "
        "one that names others is an error.",
    )
    void: tuple[str, ...] = option(
        (),
        "Values of the masks that do not count, as 255 does not, or names of their "
        "classes; the others keep their values.",
        VOID,
    )
    holdout: float = option(
        0.0,
        "Fraction of the training split held out for model selection and evaluated in "
        "place of the validation split: the list is cut into ten stretches, and the "
        "end of each is held out; in [0, 1).",
        BELOW_ONE,
    )
    image_height: int = option(
        0,
        "Height to which images and masks are resized when they are prepared, pixels, "
        "aspect ratio kept; 0 leaves them as they are.",
        Limit(lambda height: 0 <= height <= 2**14, "must lie in [0, 16384]"),
    )
    channels: int = option(
        3,
        "Channels of the images. 3 of 8 bits takes any picture of 8 bits, as RGB; "
        "others take images that have them alone, with --preprocessing split.",
        CHANNELS,
    )
    bit_depth: int = option(8, "Bits of each channel of the images, 8 or 16.", BITS)
    pixel_limit: int = option(
        PIXEL_LIMIT,
        "Images and masks of more pixels are refused, in training and in prediction: a "
        "small file may claim any size.",
        POSITIVE,
        free=True,
    )
    links: bool = option(
        False,
        "Images, masks and lists may be links to files outside of the folder of the "
        "data.",
        free=True,
    )
    shared_images: bool = option(
        False,
        "Trains although images are in the lists of both splits, so that metrics are "
        "not those of new images.",
        free=True,
    )
    prepared: str = option(
        "data",
        "Folder for the prepared records; may be shared by all runs.",
        free=True,
    )

    rules = (
        Rule(
            "image_height",
            lambda options: options.image_height == 0 or options.folder != "",
            "needs --data; the built-in scenes have one size",
        ),
        Rule(
            "split",
            lambda options: options.split == 0 or options.folder != "",
            "needs --data; the built-in scenes have a validation split",
        ),
        Rule(
            "void",
            lambda options: options.void == () or options.folder != "",
            "needs --data; all of the built-in scenes counts",
        ),
        Rule(
            "channels",
            lambda options: options.form.is_rgb or options.folder != "",
            "and --bit-depth need --data; the built-in scenes are RGB of 8 bits",
        ),
    )

    @property
    def form(self) -> Form:
        """Of the images."""
        return Form(self.channels, self.bit_depth)

    @property
    def endings(self) -> tuple[str, ...]:
        """Of the names of images."""
        return READ_SUFFIXES if self.form.is_rgb else WITH_TIFF

    def divide(self, images: Mapping[str, str]) -> tuple[str, ...]:
        """Returns the names of the images to validate on, and says how many.

        Args:
          images: the digest of each by its name.
        """
        return _told(images, division(images, self.split), f"--split {self.split:g}")


def _told(images: Mapping[str, str], val: tuple[str, ...], by: str) -> tuple[str, ...]:
    """Returns the names to validate on, once it is said how many they are."""
    held = sum(name in images for name in val)
    if held:
        note(
            f"{len(images)} images without lists: {len(images) - held} to train, "
            f"{held} to val, by {by}"
        )
    return val


@dataclasses.dataclass(frozen=True, kw_only=True)
class DividedData(DataOptions):
    """The data of a run that has recorded what its --split validates on."""

    val_names: tuple[str, ...] = option((), "Names of those images.")

    def divide(self, images: Mapping[str, str]) -> tuple[str, ...]:
        """Returns the names that are recorded, and says how many there are."""
        return _told(images, self.val_names, "the names of the run's --split")

    @classmethod
    def of(cls, options: DataOptions, val_names: Sequence[str]) -> DividedData:
        """Returns options whose --split is the recorded one."""
        fields = dataclasses.fields(DataOptions)
        values = {field.name: getattr(options, field.name) for field in fields}
        return cls(**{**values, "split": 0.0}, val_names=tuple(val_names))


def _check_links(folder: Path) -> None:
    """Refuses links to nothing in the folder of the data, and beside its lists.

    Whatever they are called, something else might be read in their place.
    """
    for place in (folder, folder / LISTS.parts[0]):
        check_links_in(place)


def find_dataset(options: DataOptions) -> Found:
    """Returns the data set that the options name; nothing is written.

    The kinds registered last are asked first: VOC layout takes any folder for its own.

    Raises:
      UserError: a list, an image, a mask or a name of a class is missing, or a link
        is where prepared data are written.
    """
    limit_pixels(options.pixel_limit)
    check_prepared(Path(options.prepared))
    if options.folder:
        _check_links(Path(options.folder))
    for kind, find in reversed(tuple(DATA_KINDS.items())):
        if found := find(options):
            named = options.train_split, options.val_split
            if found.folder and (
                said := what_is_left(Path(options.folder), kind, named)
            ):
                note(said)
            return found
    raise UserError(f"--data {options.folder} is none of: {DATA_KINDS.help()}.")


def prepare_dataset(found: Found, options: DataOptions) -> Dataset:
    """Returns the data set ready to read, preparing it at first use.

    Raises:
      UserError: an image or a mask is not sound, or the holdout leaves a side empty.
    """
    named, folder = (options.train_split, options.val_split), found.folder
    way_out = "Prepare it smaller, by --image-height, or leave it out."
    with memory_for(f"an image of {found.name}", way_out):
        sources = found.prepare(named)
    train, val = sources[options.train_split], sources[options.val_split]
    if options.holdout:
        train, val = hold_out(train, options.holdout, options.train_split)
    return Dataset(
        found.name,
        found.class_names,
        found.colors,
        found.fingerprint,
        train,
        val,
        found.splits,
        found.earlier,
        found.val_names,
        folder.void if folder else (),
        found.shown(named),
        folder is not None and folder.by_color,
    )


def load_dataset(options: DataOptions) -> Dataset:
    """Finds and prepares a data set; see `find_dataset` and `prepare_dataset`."""
    return prepare_dataset(find_dataset(options), options)

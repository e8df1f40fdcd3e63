"""Folders in VOC layout: found whole, then checked image by image while prepared.

JPEGImages/NAME.jpg                     (or .jpeg, .png)
SegmentationClass/NAME.png              (or SegmentationClassAug/, …PNG/, file by file)
ImageSets/Segmentation/SPLIT.txt        one NAME a line (split_lists.py); or --split
labelmap.txt or class_names.txt         optional (voc_classes.py)

Whoever finds images and masks elsewhere (plain_pairs.py) is read in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import lal_jax
from train.common.errors import UserError
from train.data.fingerprint import (
    Digests,
    data_fingerprint,
    earlier_fingerprint,
    split_fingerprint,
)
from train.data.forms import RGB, Form
from train.data.image_files import check_file
from train.data.images import (
    IGNORED,
    Example,
    orientation,
    read_image,
    read_mask,
)
from train.data.inside import check_spelling
from train.data.layouts import way_out
from train.data.split_lists import listing_by_lists
from train.data.splits import Divide, Listing, aliases, divided
from train.data.voc_classes import CLASS_LISTS, read_classes
from train.data.voc_files import IMAGES, LISTS, MASKS, READ_SUFFIXES, Files, Pair
from train.data.void import void_values, without_void


class VocFolder(NamedTuple):
    """The files and classes of a folder in VOC layout."""

    root: Path
    class_names: tuple[str, ...]
    colors: np.ndarray  # uint8 [classes, 3]
    splits: dict[str, list[Pair]]
    digests: Mapping[Path, str]  # of images and masks
    fingerprints: Mapping[str, str]  # of splits
    fingerprint: str
    earlier: str  # fingerprint that runs begun before have
    by_color: bool = False  # whether masks may have the classes' colors
    val_names: tuple[str, ...] = ()  # of the images to validate on, by --split
    converted: bool = False  # whether it is made from the user's folder
    void: tuple[int, ...] = ()  # values that do not count, beside 255

    @property
    def made(self) -> Path | None:
        """The folder that a conversion wrote, None where it is the user's own."""
        return self.root if self.converted else None


def voc_listing(
    root: Path,
    splits: Sequence[str],
    *,
    links: bool = False,
    read: Sequence[str] = READ_SUFFIXES,
) -> Listing:
    """Returns the images of a folder in VOC layout.

    Raises:
      UserError: a list, an image or a mask is missing, or outside of the folder.
    """
    files = Files(root, links=links, read=read)
    if listing := listing_by_lists(files, splits):
        return listing
    if not (root / IMAGES).is_dir():
        raise UserError(
            f"--data {root} has no {IMAGES}/ and no {LISTS}/, as VOC layout has, and "
            "is of no other kind either; docs/data.md shows what each looks like."
            f"{way_out(root)}"
        )
    return Listing({}, files.pairs())


def _check_spelling(root: Path, splits: Sequence[str]) -> None:
    """Refuses lists, classes and folders that their letters would have passed over.

    Where lists are in a folder of their own, one that is missing is told.
    """
    lists = [f"{name}.txt" for split in splits for name in aliases(split)]
    check_spelling(root, (*CLASS_LISTS, IMAGES, *MASKS, LISTS.parts[0], *lists))
    check_spelling(root / LISTS.parts[0], LISTS.parts[1:])


def read_voc_folder(
    root: Path,
    splits: Sequence[str],
    class_names: Sequence[str] = (),
    digests: Digests | None = None,
    divide: Divide = lambda images: (),
    listing: Callable[..., Listing] = voc_listing,
    *,
    converted: bool = False,
    links: bool = False,
    void: Sequence[str] = (),
) -> VocFolder:
    """Finds the files of the named splits and the classes.

    Args:
      root: the folder.
      splits: names of lists in ImageSets/Segmentation.
      class_names: used where the folder has no list, whose names they must be.
      digests: what is known of its files already.
      divide: says what validates where the folder has no lists.
      listing: finds the images and masks, in VOC layout or another.
      converted: whether it is made from the user's folder, for messages.
      links: whether files elsewhere may be linked to.
      void: values that do not count, or names of their classes.

    Raises:
      UserError: something is missing; the message says what and how to mend it.
    """
    if not root.is_dir():
        problem = "not a folder" if root.exists() else "no such folder"
        raise UserError(
            f"--data {root}: {problem}. Name one that an annotation tool exported, or "
            "one with images/ and masks/; docs/data.md shows all that are read."
        )
    _check_spelling(root, splits)
    found = listing(root, splits, links=links)
    for path in found.files():
        check_file(path)
    known = (digests or Digests()).of(found.files())
    pairs, val_names = divided(found, splits, divide, known, root)
    masks = [pair.mask for split in pairs.values() for pair in split]
    how: Any = {"converted": converted, "links": links, "void": void}
    classes = read_classes(root, masks, class_names, **how)
    values = void_values(void, classes.names)
    how = {"by_color": classes.by_color, "void": values}
    fingerprints = {
        split: split_fingerprint(of, classes.names, classes.colors, known, **how)
        for split, of in pairs.items()
    }
    return VocFolder(
        root,
        classes.names,
        classes.colors,
        pairs,
        known,
        fingerprints,
        data_fingerprint(fingerprints),
        "" if values else earlier_fingerprint(pairs, classes.names, known),
        classes.by_color,
        val_names,
        converted,
        values,
    )


def read_pair(
    image: Path,
    mask: Path,
    classes: int,
    colors: np.ndarray | None = None,
    void: Collection[int] = (),
    form: Form = RGB,
) -> Example:
    """Reads an image and its mask, and checks that they belong together.

    The mask is as it is written: what is void is not yet ignored.

    Args:
      image: path of the image.
      mask: path of the mask.
      classes: the mask may hold 0 … classes − 1 and 255.
      colors: of the classes, where the mask may have them.
      void: further values that it may hold.
      form: of the image.

    Raises:
      UserError: sizes differ, a value is no class, or a file is broken.
    """
    example = Example(read_image(image, form), read_mask(mask, colors))
    if example.image.shape[:2] != example.label.shape:
        raise UserError(_other_size(image, mask, example))
    try:
        lal_jax.check_labels(
            without_void(example.label, void),
            classes=classes,
            ignore_label=IGNORED,
            name=str(mask),
        )
    except ValueError as error:
        raise UserError(
            f"{error}. Fix the mask, or name all classes in labelmap.txt, "
            "class_names.txt or --classes; --void names values that do not count."
        ) from error
    return example


def _other_size(image: Path, mask: Path, example: Example) -> str:
    """Returns the refusal of a mask whose size is not the image's."""
    height, width = example.image.shape[:2]
    mask_height, mask_width = example.label.shape
    sizes = (
        f"{image} is {width}×{height} but its mask {mask} is "
        f"{mask_width}×{mask_height}."
    )
    turned = [
        f"{file} by {flag}" for file in (image, mask) if (flag := _turned_by(file)) > 1
    ]
    if not turned:
        return f"{sizes} Save the mask at the size of the image."
    return (
        f"{sizes} Files are turned as their EXIF orientation says: "
        f"{' and '.join(turned)}. Save the mask as the image is seen, turned, without "
        "that flag."
    )


def _turned_by(path: Path) -> int:
    try:
        return orientation(path)
    except UserError:  # a TIFF of other channels
        return 1

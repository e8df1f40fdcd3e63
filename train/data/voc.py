"""Folders in VOC layout: their lists, files and classes, validated.

JPEGImages/NAME.jpg                     (or .jpeg, .png)
SegmentationClass/NAME.png              (or SegmentationClassAug/, …PNG/)
ImageSets/Segmentation/SPLIT.txt        one NAME a line
labelmap.txt or class_names.txt         optional
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import lal_jax
from train.common.errors import UserError
from train.data.fingerprint import (
    Digests,
    data_fingerprint,
    earlier_fingerprint,
    split_fingerprint,
)
from train.data.images import (
    IGNORED,
    Example,
    read_image,
    read_mask,
)
from train.data.palette import voc_colormap

_MASK_FOLDERS = ("SegmentationClassAug", "SegmentationClassPNG", "SegmentationClass")
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")


class VocFolder(NamedTuple):
    """The files and classes of a folder in VOC layout."""

    root: Path
    class_names: tuple[str, ...]
    colors: np.ndarray  # uint8 [classes, 3]
    splits: dict[str, list[tuple[str, Path, Path]]]  # name, image, mask
    digests: Mapping[Path, str]  # of images and masks
    fingerprints: Mapping[str, str]  # of splits
    fingerprint: str
    earlier: str  # fingerprint that runs begun before have


def read_voc_folder(
    root: Path,
    splits: Sequence[str],
    class_names: Sequence[str] = (),
    digests: Digests | None = None,
) -> VocFolder:
    """Finds the files of the named splits and the classes.

    Args:
      root: the folder.
      splits: names of lists in ImageSets/Segmentation.
      class_names: used where the folder has no list of its own.
      digests: what is known of its files already.

    Raises:
      UserError: something is missing; the message says what and how to mend it.
    """
    if not root.is_dir():
        problem = "not a folder" if root.exists() else "no such folder"
        raise UserError(
            f"--data {root}: {problem}. Name a folder in VOC layout, with "
            "JPEGImages/, SegmentationClass/ and ImageSets/Segmentation/."
        )
    names = {split: _read_split(root, split) for split in splits}
    masks = _mask_folder(root, next(iter(names.values()))[0])
    files = {
        split: [(name, _image_path(root, name), _mask_path(masks, name)) for name in v]
        for split, v in names.items()
    }
    class_names, colors = _read_classes(root, files, class_names)
    paths = [path for v in files.values() for _, *pair in v for path in pair]
    known = (digests or Digests()).of(paths)
    fingerprints = {
        split: split_fingerprint(entries, class_names, colors, known)
        for split, entries in files.items()
    }
    return VocFolder(
        root,
        class_names,
        colors,
        files,
        known,
        fingerprints,
        data_fingerprint(fingerprints),
        earlier_fingerprint(files, class_names, known),
    )


def _read_split(root: Path, split: str) -> list[str]:
    path = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    if not path.is_file():
        there = sorted(file.stem for file in path.parent.glob("*.txt"))
        found = f"It has: {', '.join(there)}." if there else "It has no lists."
        raise UserError(
            f"{path} is missing. Write one image name a line, without its ending, or "
            f"choose a list with --train-split and --val-split. {found}"
        )
    # VOC's own lists of one class add a column: 1, 0 or -1.
    names = [re.sub(r"\s+-?[01]$", "", line) for line in _read_lines(path) if line]
    if not names:
        raise UserError(f"{path} is empty. Write one image name a line.")
    return names


def _read_lines(path: Path) -> list[str]:
    """Returns the stripped lines, blank ones too, so that line numbers are right."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # Windows may begin with a mark
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text ({error}). Save it as that."
        ) from error
    return [line.strip() for line in text.splitlines()]


def _mask_folder(root: Path, name: str) -> Path:
    """Returns the folder that has a mask for the first image."""
    for folder in _MASK_FOLDERS:
        if (root / folder / f"{name}.png").is_file():
            return root / folder
    return root / "SegmentationClass"


def _image_path(root: Path, name: str) -> Path:
    for suffix in _IMAGE_SUFFIXES:
        path = root / "JPEGImages" / (name + suffix)
        if path.is_file():
            return path
    remedy = "Add the image (.jpg, .jpeg or .png) or remove the line."
    if name.endswith(_IMAGE_SUFFIXES):
        remedy = "Write the names in the list without their ending."
    raise UserError(
        f"{root / 'JPEGImages' / (name + '.jpg')} is missing, but a split lists "
        f"{name!r}. {remedy}"
    )


def _mask_path(folder: Path, name: str) -> Path:
    path = folder / f"{name}.png"
    if not path.is_file():
        raise UserError(
            f"{path} is missing: image {name!r} has no mask. Add the mask or remove "
            "the name from its split."
        )
    return path


def _read_classes(
    root: Path,
    files: dict[str, list[tuple[str, Path, Path]]],
    class_names: Sequence[str],
) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns names and colors from the folder, the option, or the masks."""
    labelmap, listed = root / "labelmap.txt", root / "class_names.txt"
    if labelmap.is_file():
        return _read_labelmap(labelmap)
    if listed.is_file():
        class_names = [line for line in _read_lines(listed) if line]
    if not class_names:
        masks = [mask for split in files.values() for _, _, mask in split]
        class_names = [str(index) for index in range(_count_classes(masks))]
    _check_names(class_names, listed if listed.is_file() else "--classes")
    return tuple(class_names), voc_colormap()[: len(class_names)]


def _read_labelmap(path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """Reads CVAT's `name:r,g,b:parts:actions` lines."""
    names, colors = [], []
    for number, line in enumerate(_read_lines(path), start=1):
        if not line or line.startswith("#"):
            continue
        try:
            name, color = line.split(":")[:2]
            red, green, blue = (int(part) for part in color.split(","))
            colors.append(np.array([red, green, blue], np.uint8))
        except (ValueError, OverflowError) as error:
            raise UserError(
                f"{path}, line {number}: expected name:red,green,blue::, got {line!r}"
            ) from error
        names.append(name)
    _check_names(names, path)
    return tuple(names), np.stack(colors)


def _check_names(names: Sequence[str], source: object) -> None:
    if not 2 <= len(names) <= IGNORED:
        raise UserError(
            f"{source} must name 2 to {IGNORED} classes, it has {len(names)}."
        )
    repeated = sorted({name for name in names if list(names).count(name) > 1})
    if repeated:
        raise UserError(
            f"{source} must name each class once; repeated: {', '.join(repeated)}."
        )


def _count_classes(masks: Sequence[Path]) -> int:
    """Returns one more than the largest value; every value up to it must occur."""
    first_with: dict[int, Path] = {}
    for path in masks:
        for value in np.unique(read_mask(path)).tolist():
            first_with.setdefault(value, path)
    first_with.pop(IGNORED, None)
    count = 1 + max(first_with, default=0)
    remedy = (
        "Name the classes in class_names.txt (one a line) or with --classes, or mend "
        "the masks."
    )
    if count < 2:
        raise UserError(f"the masks in {masks[0].parent} hold no class but 0. {remedy}")
    absent = sorted(set(range(count)) - set(first_with))
    if absent:
        shown = ", ".join(map(str, absent[:5])) + (", …" if len(absent) > 5 else "")
        raise UserError(
            f"{first_with[count - 1]} has the value {count - 1}, but no mask has "
            f"{shown}: without a list of class names every value up to the largest "
            f"must occur. {remedy}"
        )
    return count


def read_pair(image: Path, mask: Path, classes: int) -> Example:
    """Reads an image and its mask, and checks that they belong together.

    Args:
      image: path of the image.
      mask: path of the mask.
      classes: the mask may hold 0 … classes − 1 and 255.

    Raises:
      UserError: sizes differ, a value is no class, or a file is broken.
    """
    example = Example(read_image(image), read_mask(mask))
    if example.image.shape[:2] != example.label.shape:
        height, width = example.image.shape[:2]
        mask_height, mask_width = example.label.shape
        raise UserError(
            f"{image} is {width}×{height} but its mask {mask} is "
            f"{mask_width}×{mask_height}. Save the mask at the size of the image."
        )
    try:
        lal_jax.check_labels(
            example.label, classes=classes, ignore_label=IGNORED, name=str(mask)
        )
    except ValueError as error:
        raise UserError(
            f"{error}. Fix the mask, or name all classes in labelmap.txt, "
            "class_names.txt or --classes."
        ) from error
    return example

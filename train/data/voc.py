"""Folders in VOC layout: found whole, then checked image by image while prepared.

JPEGImages/NAME.jpg                     (or .jpeg, .png)
SegmentationClass/NAME.png              (or SegmentationClassAug/, …PNG/, file by file)
ImageSets/Segmentation/SPLIT.txt        one NAME a line (voc_lists.py)
labelmap.txt or class_names.txt         optional (voc_classes.py)
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

import lal_jax
from train.common.errors import UserError
from train.data.images import (
    IGNORED,
    Example,
    encode,
    orientation,
    read_image,
    read_mask,
    rescale,
)
from train.data.mask_checks import MaskChecks
from train.data.records import SegmentationBuilder, make_record, progress
from train.data.voc_classes import Classes, read_classes
from train.data.voc_lists import Files, Pair, read_list


class VocFolder(NamedTuple):
    """The files and classes of a folder in VOC layout."""

    root: Path
    class_names: tuple[str, ...]
    colors: np.ndarray  # uint8 [classes, 3]
    splits: dict[str, list[Pair]]
    fingerprint: str
    by_color: bool = False  # whether masks may have the classes' colors


def read_voc_folder(
    root: Path, splits: Sequence[str], class_names: Sequence[str] = ()
) -> VocFolder:
    """Finds the files of the named splits and the classes.

    Args:
      root: the folder.
      splits: names of lists in ImageSets/Segmentation.
      class_names: used where the folder has no list, whose names they must be.

    Raises:
      UserError: something is missing; the message says what and how to mend it.
    """
    if not root.is_dir():
        problem = "not a folder" if root.exists() else "no such folder"
        raise UserError(
            f"--data {root}: {problem}. Name a folder in VOC layout, with "
            "JPEGImages/, SegmentationClass/ and ImageSets/Segmentation/."
        )
    files = Files(root)
    pairs = {split: read_list(root, split, files) for split in splits}
    masks = [pair.mask for split in pairs.values() for pair in split]
    classes = read_classes(root, masks, class_names)
    fingerprint = _fingerprint(pairs, classes)
    return VocFolder(
        root, classes.names, classes.colors, pairs, fingerprint, classes.by_color
    )


def _fingerprint(files: dict[str, list[Pair]], classes: Classes) -> str:
    """Returns a hash of the lists, the masks, the images' file sizes and the classes.

    A copy of the folder has the same: times and paths do not enter.
    """
    digest = hashlib.sha256(repr(classes.names).encode())
    if classes.by_color:
        digest.update(classes.colors.tobytes())
    for split, entries in files.items():
        for name, image, mask in entries:
            labels = hashlib.sha256(mask.read_bytes()).hexdigest()
            digest.update(repr((split, name, image.stat().st_size, labels)).encode())
    return digest.hexdigest()[:12]


def read_pair(
    image: Path, mask: Path, classes: int, colors: np.ndarray | None = None
) -> Example:
    """Reads an image and its mask, and checks that they belong together.

    Args:
      image: path of the image.
      mask: path of the mask.
      classes: the mask may hold 0 … classes − 1 and 255.
      colors: of the classes, where the mask may have them.

    Raises:
      UserError: sizes differ, a value is no class, or a file is broken.
    """
    example = Example(read_image(image), read_mask(mask, colors))
    if example.image.shape[:2] != example.label.shape:
        raise UserError(_other_size(image, mask, example))
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


def _other_size(image: Path, mask: Path, example: Example) -> str:
    """Returns the refusal of a mask whose size is not the image's."""
    height, width = example.image.shape[:2]
    mask_height, mask_width = example.label.shape
    sizes = (
        f"{image} is {width}×{height} but its mask {mask} is "
        f"{mask_width}×{mask_height}."
    )
    turned = [
        f"{file} by {flag}" for file in (image, mask) if (flag := orientation(file)) > 1
    ]
    if not turned:
        return f"{sizes} Save the mask at the size of the image."
    return (
        f"{sizes} Files are turned as their EXIF orientation says: "
        f"{' and '.join(turned)}. Save the mask as the image is seen, turned, without "
        "that flag."
    )


class VocLayout(SegmentationBuilder):
    """A folder in VOC layout. Every image and mask is checked while it is written."""

    VERSION = tfds.core.Version("1.1.0")  # raise it where a mask is read as another

    def __init__(self, *, folder: VocFolder, height: int, data_dir: str):
        self._folder, self._height = folder, height
        self._checks = MaskChecks()
        slug = re.sub(r"[^a-zA-Z0-9]+", "_", folder.root.resolve().name)[:80]
        name = f"{slug}_{folder.fingerprint}" + (f"_{height}" if height else "")
        config = tfds.core.BuilderConfig(name=name)
        super().__init__(data_dir=data_dir, config=config)

    def __reduce__(self) -> tuple[Any, ...]:
        return _make_voc_layout, (self._folder, self._height, self._data_dir_root)

    def _split_generators(self, dl_manager: object) -> dict[str, Iterator[Any]]:
        return {split: self._generate_examples(split) for split in self._folder.splits}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        folder = self._folder
        classes, files = len(folder.class_names), folder.splits[split]
        colors = folder.colors if folder.by_color else None
        for index, (name, image, mask) in enumerate(progress(files, split)):
            example = read_pair(image, mask, classes, colors)
            if colors is None:
                self._checks.add(mask, example.label)
            if self._height:
                example = rescale(example, self._height / len(example.label))
                encoded = encode(example.image, "PNG")
            else:
                encoded = image.read_bytes()
            yield index, make_record(encoded, example.label, name)
        if split == list(folder.splits)[-1]:
            self._checks.finish(files[0].mask.parent)


def _make_voc_layout(folder: VocFolder, height: int, data_dir: str) -> VocLayout:
    """Recreates the builder in a data-loading process."""
    return VocLayout(folder=folder, height=height, data_dir=data_dir)

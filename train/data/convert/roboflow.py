"""Roboflow's export "Semantic Segmentation Masks", as a folder in VOC layout.

train|val|valid|test/NAME.jpg, NAME_mask.png, _classes.csv

The table has lines VALUE, CLASS. Values from 0 on are class indices, and masks are
linked to; any others are written anew as indices in the same order. A table without a
line for 0 gets a class `background`.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from train.common.errors import UserError
from train.common.notes import note
from train.common.text import whole_number
from train.data.convert.conversion import Conversion, VocWriter, digests_of
from train.data.convert.links import file_places
from train.data.images import IGNORED, read_mask
from train.data.inside import check_spelling, files_below
from train.data.layouts import ROBOFLOW_TABLE, SPLIT_FOLDERS
from train.data.mask_checks import named_white, white_beside_classes
from train.data.mask_colors import ShownColors, shown_by
from train.data.split_lists import two_of_split
from train.data.splits import aliases, split_called
from train.data.voc_classes import BACKGROUND, LABELME_IGNORED
from train.data.voc_files import READ_SUFFIXES, unmatched
from train.data.voc_lists import read_lines

_END = "_mask"

_Images = list[tuple[str, Path, Path]]  # names, images, masks


def find_roboflow(root: Path, prepared: Path) -> Conversion | None:
    """Returns how an export is converted, None of any other folder.

    Raises:
      UserError: a table cannot be read, they differ, files do not match, a split is
        there under two of its names, or in other letters.
    """
    tables = [root / part / ROBOFLOW_TABLE for part in SPLIT_FOLDERS]
    tables = [table for table in tables if table.is_file() and _is_of_masks(table)]
    if not tables:
        return None
    check_spelling(root, SPLIT_FOLDERS)
    for part in (root / name for name in SPLIT_FOLDERS):
        if part / ROBOFLOW_TABLE not in tables and any(part.glob(f"[!.]*{_END}.png")):
            raise UserError(
                f"{part} has masks, and {ROBOFLOW_TABLE} is missing there or of "
                "another export. Export it anew from Roboflow."
            )
    for table in tables:
        split = split_called(table.parent.name)
        for other in (root / name / ROBOFLOW_TABLE for name in aliases(split)):
            if other != table and other.is_file():
                raise two_of_split(split, table.parent, other.parent)
    parts = {split_called(table.parent.name): table.parent for table in tables}
    images = {split: _images(root, part) for split, part in parts.items()}
    if len(images) == 1:
        images = {"": next(iter(images.values()))}  # for --split
    files = [path for of in images.values() for _, *both in of for path in both]
    masks = [mask for of in images.values() for *_, mask in of]

    def write(writer: VocWriter) -> None:
        _write(writer, _read_classes(tables), images)

    read, folders = [*tables, *masks], list(parts.values())

    def key() -> tuple[str, ...]:
        return (*digests_of(root, read, prepared), *file_places(root, files))

    return Conversion("Roboflow's semantic masks", key, write, folders, read)


def _is_of_masks(table: Path) -> bool:
    """Returns whether a table is of this export; that of whole images has others."""
    first = next((line for line in read_lines(table) if line), "")
    return first.lower().replace(" ", "").startswith("pixelvalue,")


def _read_classes(tables: Sequence[Path]) -> dict[int, str]:
    """Returns the class of each value, by value.

    Raises:
      UserError: a line is not `VALUE, CLASS`, or tables differ.
    """
    read = [_read_table(table) for table in tables]
    for table, classes in zip(tables, read, strict=True):
        if classes != read[0]:
            raise UserError(
                f"{table} and {tables[0]} have different classes. Export both anew, in "
                "one version of the data."
            )
    if read[0].get(0) == LABELME_IGNORED:
        raise UserError(
            f"{tables[0]}: {LABELME_IGNORED!r} is labelme's name for no class, and "
            "passed over. Call it otherwise, and leave its pixels out by --void 0."
        )
    if 0 in read[0]:
        return read[0]
    for value, name in read[0].items():
        if name == BACKGROUND:
            raise UserError(
                f"{tables[0]} calls the value {value} {name!r}, and gives 0 no name. "
                f"Add the line `0, NAME` to every {ROBOFLOW_TABLE} of the export."
            )
    return {0: BACKGROUND} | read[0]


def _read_table(table: Path) -> dict[int, str]:
    classes: dict[int, str] = {}
    lines = [it for it in enumerate(read_lines(table), start=1) if it[1]]
    for number, line in lines[1:]:
        row: list[str] = []
        try:
            (row,) = csv.reader([line], skipinitialspace=True)
            first, name = row  # a comma would cut a name
            value, name = whole_number(first), name.strip()
            if value >= IGNORED or value in classes or not name:
                raise ValueError
        except (ValueError, IndexError, csv.Error) as error:
            raise UserError(
                f"{table}, line {number}: expected VALUE, CLASS with another value of "
                f"0 to 254 in each line, got {line[:80]!r}"
            ) from error
        classes[value] = name
    return dict(sorted(classes.items()))


def _images(root: Path, part: Path) -> _Images:
    """Returns the images and masks of a part.

    Raises:
      UserError: an image has no mask, or a mask no image.
    """
    files = files_below(part, READ_SUFFIXES)
    masks = {path for path in files if path.name.lower().endswith(f"{_END}.png")}
    images = [path for path in files if path not in masks]
    of = {path: path.with_name(f"{path.stem}{_END}.png") for path in images}
    alone = [image.name for image, mask in of.items() if mask not in masks]
    spare = sorted(mask.name for mask in masks - set(of.values()))
    if alone or spare:
        raise UserError(
            f"{part} is not whole: {unmatched(len(images), alone, spare)}. Export it "
            "anew from Roboflow."
        )
    return [
        (image.relative_to(root).with_suffix("").as_posix(), image, mask)
        for image, mask in of.items()
    ]


def _write(
    writer: VocWriter, classes: Mapping[int, str], images: Mapping[str, _Images]
) -> None:
    writer.name_classes(list(classes.values()))
    as_they_are = list(classes) == list(range(len(classes)))
    # Of links both are asked when they are prepared.
    shown, used = ShownColors(), dict[Path, set[int]]()
    for split, of in images.items():
        for name, image, mask in of:
            writer.inside.checked(mask)
            values = read_mask(mask)
            indices = _indices(mask, values, classes)
            if not as_they_are:
                shown.add(shown_by(mask, set(np.unique(values).tolist())))
                used[mask] = set(np.unique(indices).tolist())
            writer.add(split, name, image, mask if as_they_are else indices)
    if white := white_beside_classes([*used.values()]):
        note(f"warning: {named_white(white, [*used])}")


def _indices(mask: Path, values: np.ndarray, classes: Mapping[int, str]) -> np.ndarray:
    """Returns class indices in place of a mask's values.

    Raises:
      UserError: a value has no class.
    """
    table = np.full(256, -1, np.int16)
    table[list(classes)] = np.arange(len(classes))
    table[IGNORED] = IGNORED
    indices = table[values]
    if (indices < 0).any():
        value, place = values[indices < 0][0], mask.parent / ROBOFLOW_TABLE
        raise UserError(
            f"{mask} has the value {value}, which {place} gives no class. Add the line "
            f"`{value}, NAME` to every {ROBOFLOW_TABLE} of the export, with the name "
            "of that class, or export it anew from Roboflow."
        )
    return indices.astype(np.uint8)

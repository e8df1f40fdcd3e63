"""The table of areas: each class's fraction of the pixels, one line per image."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from train.common.errors import UserError
from train.common.files import append_text, replace_bytes
from train.common.locks import locked
from train.common.regular import read_regular
from train.common.text import csv_text, plain_cell, shown
from train.data.images import Size
from train.evaluation.bands import row_bands

_OF_FILES = ("image", "width", "height")
_LIKE_THOSE = re.compile(rf"(class )*({'|'.join(_OF_FILES)})")


def begin_areas(
    path: Path, class_names: Sequence[str], images: Collection[Path]
) -> None:
    """Writes the table without the lines of images; makes its folder if need be.

    Lines that are not whole are left out, and of several of an image all but the last.

    Raises:
      UserError: what is there is of other classes, or another's.
    """
    header = [*_OF_FILES, *map(_column, class_names)]
    earlier = [*_OF_FILES, *class_names]  # of tables that have two columns of a name
    again = set(map(shown, images))
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.parent):  # several processes may share it
        found, *lines = _lines(path) or [header]
        if found not in (header, earlier):
            raise UserError(
                f"{path} is of a model with other classes. Choose another --out."
            )
        whole = {line[0]: line for line in lines if _is_whole(line, header)}
        kept = [line for line in whole.values() if line[0] not in again]
        replace_bytes(path, csv_text([header, *kept]).encode(errors="surrogateescape"))


def _column(name: str) -> str:
    """Returns the name of a class's column, which is none of a file's columns."""
    return f"class {name}" if _LIKE_THOSE.fullmatch(name) else name


def add_area(path: Path, image: Path, size: Size, shares: np.ndarray) -> None:
    """Adds the line of an image, of its height and width in pixels."""
    height, width = size
    texts = [f"{share:.6f}" for share in shares]
    with locked(path.parent):
        append_text(path, csv_text([[shown(image), width, height, *texts]]))


def images_of(path: Path) -> set[str]:
    """Returns the images that a table has lines of, whole ones that agree.

    Raises:
      UserError: it is another's.
    """
    header, *lines = _lines(path) or [[]]
    of: dict[str, list[list[str]]] = {}
    for line in lines:
        if line:
            of.setdefault(line[0], []).append(line)
    return {
        image
        for image, (first, *others) in of.items()
        if _is_whole(first, header) and all(other == first for other in others)
    }


def _is_whole(line: Sequence[str], header: Sequence[str]) -> bool:
    """Returns whether a line is as it was written: one that was cut lacks something."""
    try:
        total = sum(map(float, line[3:]))
    except ValueError:
        return False
    rounded = 1e-6 * len(header)
    return len(line) == len(header) and math.isclose(total, 1, abs_tol=rounded)


def _lines(path: Path) -> list[list[str]]:
    if not path.is_file():
        return []
    text = read_regular(path).decode(errors="surrogateescape")
    try:
        lines = csv.reader(io.StringIO(text, newline=""))
        return [list(map(plain_cell, line)) for line in lines]
    except csv.Error as error:
        raise UserError(
            f"{path} is not as a prediction wrote it ({error}). Choose another --out."
        ) from error


def class_shares(mask: np.ndarray, classes: int) -> np.ndarray:
    """Returns the fraction of a mask's pixels in each class, float64 `[classes]`."""
    counts = np.zeros(classes, np.int64)
    for rows in row_bands(len(mask)):
        counts += np.bincount(mask[rows].ravel(), minlength=classes)
    return counts / mask.size


def largest_areas(shares: Sequence[np.ndarray], class_names: Sequence[str]) -> str:
    """Returns the classes of the largest mean areas, at most ten, a line for each."""
    mean = np.mean(shares, axis=0)
    largest = np.argsort(-mean, kind="stable")[:10]
    names = [shown(name) for name in class_names]
    width = max(len("class"), *(len(names[index]) for index in largest))
    lines = [f"{'class':<{width}}  mean area %"]
    lines += [f"{names[at]:<{width}}  {100 * mean[at]:>11.2f}" for at in largest]
    return "\n".join(lines)

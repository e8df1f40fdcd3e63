"""Classes of a folder in VOC layout: their names, and colors where it has some."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from models.text import shortened
from train.common.errors import UserError
from train.common.notes import note
from train.common.text import first_few, is_shown, whole_number
from train.data.images import IGNORED, read_mask
from train.data.inside import Inside
from train.data.mask_checks import black_and_white
from train.data.palette import voc_colormap
from train.data.voc_lists import read_lines
from train.data.void import check_left, values_of

# Presets name them, for Pascal VOC has no list of its own.
VOC_CLASSES = (
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable "
    "dog horse motorbike person pottedplant sheep sofa train tvmonitor"
).split()

CLASS_LISTS = ("labelmap.txt", "class_names.txt")
BACKGROUND = "background"  # of pixels without an object, where no label is called so
LONGEST_NAME = 200  # characters of a class's name
_SURROGATE = re.compile("[\ud800-\udfff]")  # half a character, which no file can have

# Joiners, selectors and fillers, which some scripts need, but which show nothing.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u206f\u2800"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)

# The first line of labelme's labels.txt, pixels of value 255: no class.
LABELME_IGNORED = "__ignore__"


class Classes(NamedTuple):
    """The classes of a folder."""

    names: tuple[str, ...]
    colors: np.ndarray  # uint8 [classes, 3]
    by_color: bool  # whether the colors are the folder's, so that masks may have them


def read_classes(
    root: Path,
    masks: Sequence[Path],
    asked: Sequence[str],
    *,
    converted: bool = False,
    links: bool = False,
    void: Sequence[str] = (),
) -> Classes:
    """Returns the classes of the folder's list, those asked for, or of the masks.

    Args:
      root: the folder.
      masks: all of them, to count the classes where nothing names them.
      asked: names, in the order of the masks' values, where the folder has no list.
      converted: whether the folder is made from the user's, for messages.
      links: whether the lists may be links to files elsewhere.
      void: words of `--void`, of which the values are not counted.

    Raises:
      UserError: a list cannot be read, or names other classes than another one or than
        are asked for.
    """
    labelmap, listed = (root / name for name in CLASS_LISTS)
    inside = Inside(root, links=links)
    for path in (labelmap, listed):
        inside.checked(path)
    in_list = _read_names(listed) if listed.is_file() else ()
    if labelmap.is_file():
        names, colors = _read_labelmap(labelmap)
        _check_both(names, labelmap, in_list, listed)
        _check_asked(asked, names, labelmap)
        return Classes(names, colors, by_color=True)
    if in_list:
        _check_asked(asked, in_list, listed)
    names = in_list or tuple(asked)
    if not names:
        count = _count_classes(root, masks, void, converted=converted)
        names = tuple(map(str, range(count)))
    check_names(names, "--classes")
    return Classes(names, voc_colormap()[: len(names)], by_color=False)


def _read_names(path: Path) -> tuple[str, ...]:
    """Reads class_names.txt, a name in each line."""
    lines = read_lines(path)
    while lines and not lines[-1]:
        lines.pop()
    if "" in lines:
        raise UserError(
            f"{path}, line {1 + lines.index('')} is blank, and names after it would "
            "be those of other values than their places say. Write the name of that "
            "value there, or take the line out."
        )
    names = tuple(lines[lines[:1] == [LABELME_IGNORED] :])
    check_names(names, path)
    return names


def _check_both(
    names: Sequence[str], path: Path, others: Sequence[str], other: Path
) -> None:
    """Refuses two lists of a folder that contradict each other."""
    if others and tuple(names) != tuple(others):
        raise UserError(
            f"{path} names the classes {', '.join(names)}, but {other} "
            f"{', '.join(others)}: which of them the masks' values mean is not said. "
            "Make them the same, in the order of the values, or delete the wrong one."
        )


def _check_asked(asked: Sequence[str], names: Sequence[str], path: Path) -> None:
    """Refuses other names than those of the folder's list."""
    if not asked or tuple(asked) == tuple(names):
        return
    if list(asked) == VOC_CLASSES:
        note(f"{path} names the classes, in place of Pascal VOC's.")
        return
    raise UserError(
        f"{path} names the classes {', '.join(names)}, but --classes (or the trained "
        f"network) has {', '.join(asked)}. Make them the same, in the order of the "
        "masks' values; where --classes was given, it may be left out."
    )


def _read_labelmap(path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """Reads CVAT's `name:r,g,b:parts:actions` lines."""
    names, colors = [], []
    for number, line in enumerate(read_lines(path), start=1):
        if not line or line.startswith("#"):
            continue
        try:
            name, color = line.split(":")[:2]
            red, green, blue = map(whole_number, color.split(","))
            colors.append(np.array([red, green, blue], np.uint8))
        except (ValueError, OverflowError) as error:
            raise UserError(
                f"{path}, line {number}: expected name:red,green,blue::, got "
                f"{shortened(line)!r}"
            ) from error
        names.append(name.strip())
    check_names(names, path)
    return tuple(names), np.stack(colors)


def check_names(names: Sequence[str], source: object) -> None:
    """Refuses names of classes that cannot be told apart in a list.

    Args:
      names: in the order of the masks' values.
      source: where they are from, for messages.

    Raises:
      UserError: as `fault_of_names` says.
    """
    if fault := fault_of_names(names):
        raise UserError(f"{source} {fault}")


def fault_of_names(names: Sequence[str]) -> str:
    """Returns why names are too few or too many, or unfit to be shown; "" for none.

    The text goes on from what has them. They become a line of areas.csv, of a report
    and of a terminal.
    """
    if not 2 <= len(names) <= IGNORED:
        return f"must name 2 to {IGNORED} classes, it has {len(names)}."
    for name in names:
        if len(name) > LONGEST_NAME:
            return (
                f"has a class whose name has {len(name)} characters "
                f"({shortened(name)!r}). Give it one of {LONGEST_NAME} or less."
            )
        if not _seen(name) or not is_shown(name) or _SURROGATE.search(name):
            return (
                f"has a class called {name!r}. Give it a name of one line, without "
                "control characters."
            )
    seen = Counter(map(_seen, names))
    repeated = sorted({name for name in names if seen[_seen(name)] > 1})
    if repeated:
        return f"must name each class once; repeated: {', '.join(repeated)}."
    return ""


def is_background(name: str) -> bool:
    """Returns whether a label is called background, as it is seen."""
    # Accents by the thousand on one letter take hours to put in one form.
    return len(name) <= LONGEST_NAME and _seen(name).lower() == BACKGROUND


def _seen(name: str) -> str:
    """Returns what a name looks like: without what is not seen, and in one form."""
    words = unicodedata.normalize("NFC", _UNSEEN.sub("", name)).split()
    return " ".join(words)  # a page shows spaces of any kind and number alike


def _count_classes(
    root: Path, masks: Sequence[Path], void: Sequence[str], *, converted: bool
) -> int:
    """Returns one more than the largest value that counts; all below must occur."""
    first_with: dict[int, Path] = {}
    for path in masks:
        for value in np.unique(read_mask(path)).tolist():
            first_with.setdefault(value, path)
    values = set(first_with)
    ignored = values_of(void) | {IGNORED}
    for value in ignored:
        first_with.pop(value, None)
    count = 1 + max(first_with, default=0)
    by_list = "" if converted else "in class_names.txt (one a line) or "
    remedy = f"Name the classes {by_list}with --classes, or mend the masks."
    if count < 2:
        if values == {0, IGNORED}:
            raise black_and_white(root, masks[0], converted=converted)
        check_left(tuple(map(str, first_with)), void)
        raise UserError(f"the masks in {masks[0].parent} hold no class but 0. {remedy}")
    absent = sorted(set(range(count)) - set(first_with) - ignored)
    if absent:
        shown = first_few(list(map(str, absent)))
        raise UserError(
            f"{first_with[count - 1]} has the value {count - 1}, but no mask has "
            f"{shown}: without a list of class names every value up to the largest "
            f"must occur. {remedy}"
        )
    return count

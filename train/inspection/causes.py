"""Likely causes: how values that are no class came into masks, and the way out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from train.data.images import IGNORED
from train.data.palette import voc_colormap
from train.inspection.facts import Color

_NEARLY_WHITE = 250  # 255 divided by the number of classes, rounded, times that
_FAR = 99  # values of ignored pixels are far from those of few classes
_SEVERAL = 12  # values that no class has: more than are forgotten in a list
MANY = 40  # colors that no class has: more than anybody names


class Cause(NamedTuple):
    """A guess, and what to do if it is right."""

    what: str
    way_out: str


def cause_of_values(
    values: Collection[int], class_names: Sequence[str], colors: np.ndarray
) -> Cause:
    """Returns the likeliest cause of values that are neither a class nor ignored.

    Args:
      values: all that the masks have, sound ones too.
      class_names: of the classes; none where nothing names them.
      colors: uint8 `[classes, 3]`.
    """
    used = set(values)
    if not class_names:
        return _cause_of_unnamed(used)
    stray = {value for value in used - {IGNORED} if value >= len(class_names)}
    if cause := _white(used, class_names[1]):
        return cause
    for rule in _RULES:
        if cause := rule(used, stray, len(class_names), colors):
            return cause
    return Cause(
        "classes that the list does not name",
        "add their names to the list, in the order of the values, or draw the pixels "
        "as one of its classes",
    )


def _cause_of_unnamed(used: set[int]) -> Cause:
    """Returns the likeliest cause of values that are not 0, 1, 2, … without a gap."""
    first = next(value for value in range(IGNORED + 1) if value not in used)
    stray = {value for value in used - {IGNORED} if value >= first}
    likely = voc_colormap()[: len(used)]
    if cause := _white(used, "class 1") or _from_one(used, stray):
        return cause
    for rule in (_stretched, _expanded_palette, _undeclared_void, _mixed):
        if cause := rule(used, stray, first, likely):
            return cause
    return Cause(
        "classes that no mask has, or values that are none",
        "name all classes in the order of the values, with --classes or in "
        "class_names.txt, or write 0, 1, 2, … for those there are",
    )


def _from_one(used: set[int], stray: set[int]) -> Cause | None:
    if not stray or used - {IGNORED} != set(range(1, len(stray) + 1)):
        return None
    return Cause(
        "indices off by one: classes are counted from 1",
        "subtract 1 from every value but 255, or name class 0 too (such as "
        "background), with --classes or in class_names.txt",
    )


def _white(used: set[int], name: str) -> Cause | None:
    """Tells black and white whose white is not 255: nothing else could be class 1."""
    others = used - {0, IGNORED}
    low = _NEARLY_WHITE if IGNORED in used else _FAR  # else 255 may be the next level
    if len(others) != 1 or min(others) < low:
        return None
    (value,) = others
    return Cause(
        f"black and white masks: {value} is probably {name}", f"write 1 for {value}"
    )


def _stretched(
    used: set[int], stray: set[int], classes: int, colors: np.ndarray
) -> Cause | None:
    """Tells levels that are spread evenly over 0 to 255, as 0, 127 and 255 are."""
    levels = sorted(used | {0})
    gap = levels[-1] / max(1, len(levels) - 1)
    if levels[-1] < _NEARLY_WHITE or len(levels) < 3 or gap < 2:
        return None
    if any(abs(level - gap * i) > 1 for i, level in enumerate(levels)):
        return None
    last = " (the largest, 255, is a class then too)" * (levels[-1] == IGNORED)
    return Cause(
        "indices stretched to 0–255 to be seen",
        f"export the indices themselves, or divide the values by {round(gap)}{last}",
    )


def _expanded_palette(
    used: set[int], stray: set[int], classes: int, colors: np.ndarray
) -> Cause | None:
    """Tells the gray levels of classes' colors, as a conversion to gray gives them."""
    for palette in (colors, voc_colormap()[:classes]):
        grays = {round(gray) for gray in (palette @ (0.299, 0.587, 0.114)).tolist()}
        near = {gray + shift for gray in grays for shift in (-1, 0, 1)}
        if 2 * len(stray) >= len(used) > 1 and used - {IGNORED} <= near:
            return Cause(
                "a palette or RGB mask converted to gray: the values are how bright "
                "the colors of classes are",
                "export it again as palette or RGB; converting this file back is a "
                "guess where two colors are equally bright",
            )
    return None


def _off_by_one(
    used: set[int], stray: set[int], classes: int, colors: np.ndarray
) -> Cause | None:
    if stray != {classes}:
        return None
    if 0 not in used:
        return Cause(
            "indices off by one: classes are counted from 1",
            "subtract 1 from every value but 255, or name class 0 first in the list "
            "(such as background)",
        )
    return Cause(
        "one class more than is named, often a background that is missing from the "
        "list",
        "name it at its place in the list, which is the order of the values",
    )


def _undeclared_void(
    used: set[int], stray: set[int], classes: int, colors: np.ndarray
) -> Cause | None:
    if len(stray) != 1 or min(stray) < max(_FAR, classes + 2):
        return None
    (value,) = stray
    return Cause(
        f"ignored pixels written as {value}",
        f"give --void {value}, or write 255 in place of it: that is ignored",
    )


def _mixed(
    used: set[int], stray: set[int], classes: int, colors: np.ndarray
) -> Cause | None:
    if len(stray) < _SEVERAL:
        return None
    return Cause(
        "values mixed at borders, by smoothing, resizing or a lossy file",
        "export the masks again from the program that drew them, without smoothing, "
        "and resize by nearest neighbor",
    )


_Rule = Callable[[set[int], set[int], int, np.ndarray], Cause | None]
_RULES: tuple[_Rule, ...] = (
    _stretched,
    _expanded_palette,
    _off_by_one,
    _undeclared_void,
    _mixed,
)


def cause_of_colors(colors: Iterable[Color], labelled: bool) -> Cause:
    """Returns the likeliest cause of masks whose colors are no classes.

    Args:
      colors: of the masks.
      labelled: whether labelmap.txt gives classes colors.
    """
    found = set(colors)
    if labelled:
        return Cause(
            "colors that labelmap.txt does not name",
            "add their lines; colors of few pixels come from smoothing or a lossy copy",
        )
    if found <= {(r, g, b) for r, g, b in voc_colormap().tolist()}:
        return Cause(
            "a palette expanded to RGB (the colors are Pascal VOC's)",
            "export as palette PNG, or write the labelmap.txt below",
        )
    if len(found) > MANY:
        return Cause(
            "many colors: smoothing, a lossy file, or photographs in place of masks",
            "export the masks again from the program that drew them, as PNG",
        )
    return Cause(
        "RGB masks without a labelmap.txt", "write the labelmap.txt below, with names"
    )

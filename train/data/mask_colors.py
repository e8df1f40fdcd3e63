"""Colors of masks: which value each has in their palettes, over files, splits and runs.

Values are the classes. Where palettes are in different orders, one color has two
values, and values are no classes; `labelmap.txt` then says which classes colors are.
So it is where a color is of a class here and of ignored pixels there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import numpy as np

from train.common.errors import UserError
from train.common.sealed import read_sealed, write_sealed
from train.data.image_files import opened
from train.data.masks import IGNORED

_LEVEL = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
# Red, green and blue, as labelmap.txt writes them.
MaskColor = Annotated[str, msgspec.Meta(pattern=rf"\A{_LEVEL},{_LEVEL},{_LEVEL}\Z")]
MaskValue = Annotated[int, msgspec.Meta(ge=0, le=IGNORED)]
_Number = Annotated[int, msgspec.Meta(ge=0)]


class ShownColor(NamedTuple):
    """That a color stands for a value in some place, the first of them."""

    color: str
    value: int
    place: Path | str  # a mask, or what masks are called


class ShownColors:
    """The colors of values so far; a color of two values is refused.

    Values that do not count are as good as one, which may have any number of colors.

    Args:
      known: what is taken for granted.
      void: values that do not count, beside 255.
    """

    def __init__(
        self, known: Iterable[ShownColor] = (), void: Collection[int] = ()
    ) -> None:
        self._void = {IGNORED, *void}
        self._by_color = {one.color: one for one in known}
        self._by_value: dict[int, dict[str, Path | str]] = {}
        for one in self._by_color.values():
            self._by_value.setdefault(one.value, {})[one.color] = one.place
        # What is to be said of a value of two colors; None once it was.
        self._renumbered: str | None = ""

    def add(self, shown: Iterable[ShownColor]) -> None:
        """Takes colors into account.

        Raises:
          UserError: one has another value than before.
        """
        for one in shown:
            first = self._by_color.setdefault(one.color, one)
            values = {first.value, one.value}
            if len(values) > 1 and not values <= self._void:
                raise UserError(
                    f"{one.place} shows {one.color} where the value is "
                    f"{_told(one.value)}, but {first.place} where it is "
                    f"{_told(first.value)}: their palettes are in different orders, "
                    "so values are no classes. Write labelmap.txt in the folder of the "
                    "data, a line NAME:red,green,blue:: for each class, and masks are "
                    "read by color; those of an export that is converted, export anew."
                )
            if one.value in self._void:
                continue
            known = self._by_value.setdefault(one.value, {})
            if known and one.color not in known and self._renumbered == "":
                color, place = next(iter(known.items()))
                self._renumbered = (
                    f"{one.place} shows {one.color} where the value is {one.value}, "
                    f"but {place} {color}. Values are the classes. If colors are, as "
                    "where a program numbers each file's anew, write labelmap.txt."
                )
            known.setdefault(one.color, one.place)

    def renumbered(self) -> str:
        """Returns what is to be said of a value of two colors, and was not before."""
        said = self._renumbered
        if said:
            self._renumbered = None
        return said or ""

    def listed(self) -> tuple[ShownColor, ...]:
        """Returns every color with its value and its first place."""
        return tuple(self._by_color.values())


def _told(value: int) -> str:
    return f"{value} (ignored)" if value == IGNORED else str(value)


def shown_by(path: Path, used: Collection[int]) -> list[ShownColor]:
    """Returns the colors that a mask's palette gives to values, each to one alone.

    Args:
      path: the mask.
      used: its values; others may be a palette's filling.
    """
    with opened(path) as image:
        if image.mode != "P":
            return []
        colors = np.array(image.getpalette("RGB")).reshape(-1, 3)
    return [one for one in _alone(colors, path) if one.value in used]


def shown_by_list(path: Path, colors: np.ndarray) -> tuple[ShownColor, ...]:
    """Returns the colors that are those of one class alone.

    Args:
      path: labelmap.txt.
      colors: uint8 `[classes, 3]`, what it says.
    """
    return tuple(_alone(colors, path))


def _alone(colors: np.ndarray, place: Path) -> Iterable[ShownColor]:
    found, first, times = np.unique(
        colors, axis=0, return_index=True, return_counts=True
    )
    for color, value, count in zip(
        found.tolist(), first.tolist(), times.tolist(), strict=True
    ):
        if count == 1:
            yield ShownColor(",".join(map(str, color)), value, place)


class OfMasks(NamedTuple):
    """What the masks of a split show and hold."""

    shown: tuple[ShownColor, ...]
    values: frozenset[int]  # stored in them, none where they are read by color


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    """The content of a file beside prepared records."""

    colors: dict[MaskColor, tuple[MaskValue, _Number]]  # value and first mask
    values: list[MaskValue]


def keep(path: Path, found: OfMasks, masks: Iterable[Path]) -> None:
    """Writes what the masks of a split show, each mask by its number in the split."""
    numbers: dict[Path | str, int] = {}
    for number, mask in enumerate(masks):
        numbers.setdefault(mask, number)
    colors = {one.color: (one.value, numbers[one.place]) for one in found.shown}
    write_sealed(path, {"colors": colors, "values": sorted(found.values)})


def kept(path: Path, masks: Mapping[int, Path]) -> OfMasks:
    """Returns what `keep` wrote.

    Raises:
      ValueError: the file is damaged, or of other masks.
    """
    found = msgspec.convert(read_sealed(path, always=bool), _Kept)
    if strange := [n for _, n in found.colors.values() if n not in masks]:
        raise ValueError(f"{path.name} tells of a mask {strange[0]}")
    shown = (ShownColor(it, value, masks[n]) for it, (value, n) in found.colors.items())
    return OfMasks(tuple(shown), frozenset(found.values))

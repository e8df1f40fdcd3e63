"""What the masks of a folder say together, where each alone is sound."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from train.common.errors import UserError
from train.data.image_files import opened
from train.data.images import IGNORED, read_mask
from train.data.plain_pairs import MASK_FOLDERS
from train.data.voc_files import MASKS, first_few

_FEW = 2  # masks that may be so by chance, less one
_MANY = 0.1  # of the masks that have objects: Pascal VOC has 0.01 with void ones alone


class MaskChecks:
    """Checks over all masks of a folder whose classes have no colors of its own.

    Args:
      converted: whether the folder is made from the user's, for messages.
    """

    def __init__(self, *, converted: bool = False) -> None:
        self._converted = converted
        self._values: set[int] = set()
        self._masks: dict[Path, set[int]] = {}
        self._white = 0  # of those, that it was said of
        self._places: dict[tuple[int, ...], tuple[int, Path]] = {}
        self._colors: dict[int, tuple[tuple[int, ...], Path]] = {}
        # What is to be said of a value of two colors; None once it was.
        self._renumbered: str | None = ""

    def add(self, path: Path, labels: np.ndarray) -> None:
        """Takes a mask's labels into account.

        Raises:
          UserError: a color of its palette has another value in an earlier mask.
        """
        used = set(np.unique(labels).tolist())
        self._values |= used
        self._masks[path] = used
        self._check_palette(path, _palette(path), used)

    def _check_palette(
        self, path: Path, palette: Mapping[tuple[int, ...], int], used: Collection[int]
    ) -> None:
        for color, value in palette.items():
            if value not in used or value == IGNORED:
                continue
            known, place = self._colors.setdefault(value, (color, path))
            if known != color and self._renumbered == "":
                self._renumbered = (
                    f"{path} shows {_text(color)} where the value is {value}, but "
                    f"{place} {_text(known)}. Values are the classes. If colors are, "
                    "as where a program numbers each file's anew, write labelmap.txt."
                )
            first, where = self._places.setdefault(color, (value, path))
            if first != value:
                raise UserError(
                    f"{path} shows {_text(color)} where the value is "
                    f"{value}, but {where} where it is {first}: their palettes are in "
                    "different orders, so values are no classes. Write labelmap.txt "
                    "in the folder of the data, a line NAME:red,green,blue:: for each "
                    "class, and masks are read by color."
                )

    def add_others(self, paths: Sequence[Path]) -> None:
        """Takes the palettes of masks into account whose records are there already.

        Raises:
          UserError: as `add`, or one cannot be read.
        """
        if not paths:  # else there would be a bar of nothing
            return
        for path in tqdm(paths, "palettes", unit="mask", dynamic_ncols=True):
            if palette := _palette(path):
                used = set(np.unique(read_mask(path)).tolist())
                self._check_palette(path, palette, used)

    def finish(self, root: Path, mask: Path) -> None:
        """Refuses masks that have nothing but one class and ignored pixels.

        Args:
          root: the folder of the data.
          mask: one of the masks.

        Raises:
          UserError: the only values are 0 and 255, as programs write black and white.
        """
        if self._values == {0, IGNORED}:
            raise black_and_white(root, mask, converted=self._converted)

    def warning(self) -> str:
        """Returns what is to be said of masks so far, and was not said before."""
        if said := self._renumbered:
            self._renumbered = None
            return said
        white = white_beside_classes(list(self._masks.values()))
        if self._converted or len(white) <= self._white:
            return ""
        self._white = len(white)
        paths = list(map(str, self._masks))
        names = first_few([paths[index] for index in white], 3)
        return f"{of_white(len(white), len(paths))} They are: {names}."


def white_beside_classes(values: Sequence[Collection[int]]) -> list[int]:
    """Returns the masks whose objects are probably written as 255, by their numbers.

    Those hold 0 and 255 alone while others have class 1. A mask may well be so, with an
    object that is ignored as a whole, so there are none unless they are many.

    Args:
      values: of each mask.
    """
    white = [index for index, of in enumerate(values) if set(of) == {0, IGNORED}]
    classed = sum(1 in of for of in values)
    many = max(_FEW, _MANY * (len(white) + classed))
    return white if classed and len(white) >= many else []


def of_white(count: int, total: int) -> str:
    """Returns what is said of such masks, given how many of all there are."""
    return (
        f"{count} of {total} masks hold only 0 and 255, while others have class 1: "
        "their objects are probably written as 255, which is ignored, so nothing is "
        "learned of them. If so, write the index of their class, such as 1."
    )


def black_and_white(root: Path, mask: Path, *, converted: bool = False) -> UserError:
    """Returns the refusal of masks that have the values 0 and 255 alone.

    Args:
      root: the folder of the data.
      mask: one of the masks.
      converted: whether the folder is made from the user's, which is to be mended.
    """
    if converted:
        return UserError(
            "the masks come out with the values 0 and 255 alone, and 255 is ignored: "
            "nothing but class 0 is left. Look whether the data have objects of other "
            "classes, and export them once more."
        )
    copy = Path(f"{root.absolute()}_bits")
    return UserError(
        f"the masks in {mask.parent} have the values 0 and 255 alone, and 255 is "
        "ignored: nothing but class 0 is left. If 255 is a class, copy the data with "
        "masks of 1 bit, which have its index, 1, there:\n"
        f"  {_copying(root.absolute(), copy, mask)}\n"
        f"and train with --data {shlex.quote(str(copy))}"
    )


def _copying(root: Path, copy: Path, mask: Path) -> str:
    """Returns a command that copies data, the masks as black and white of 1 bit."""
    parts = mask.absolute().relative_to(root).parent.parts
    folder = next((part for part in parts if part in (*MASKS, *MASK_FOLDERS)), "*")
    code = (
        "import pathlib, shutil, sys; from PIL import Image; old, new, masks = "
        "sys.argv[1:]; shutil.copytree(old, new); [Image.open(path).convert('1')"
        ".save(path) for path in pathlib.Path(new).rglob(masks + '/**/*.[pP][nN][gG]')]"
    )
    return f'python -c "{code}" {shlex.join((str(root), str(copy), folder))}'


def _text(color: tuple[int, ...]) -> str:
    return ",".join(map(str, color))


def _palette(path: Path) -> dict[tuple[int, ...], int]:
    """Returns the value of each color that a file's palette has once."""
    with opened(path) as image:
        if image.mode != "P":
            return {}
        colors = np.array(image.getpalette("RGB")).reshape(-1, 3)
    found, first, times = np.unique(
        colors, axis=0, return_index=True, return_counts=True
    )
    return {
        tuple(color): value
        for color, value, count in zip(
            found.tolist(), first.tolist(), times.tolist(), strict=True
        )
        if count == 1
    }

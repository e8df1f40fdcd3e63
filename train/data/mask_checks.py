"""What the masks of a folder say together, where each alone is sound."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from train.common.errors import UserError
from train.common.text import first_few
from train.data.images import IGNORED
from train.data.mask_colors import ShownColor, ShownColors, shown_by
from train.data.plain_pairs import MASK_FOLDERS
from train.data.voc_files import MASKS

_FOLDERS = {*map(str.lower, MASKS), *MASK_FOLDERS}
_FEW = 2  # masks that may be so by chance, less one
_MANY = 0.1  # of the masks that have objects: Pascal VOC has 0.01 with void ones alone


class MaskChecks:
    """Checks over all masks of a folder whose classes have no colors of its own.

    Args:
      made: the folder, where a conversion wrote it; what it links to is the user's.
      void: values that do not count, beside 255.
    """

    def __init__(self, *, made: Path | None = None, void: Collection[int] = ()) -> None:
        self._made = made
        self._masks: dict[Path, set[int]] = {}
        self._white = 0  # of those, that it was said of
        self.colors = ShownColors(void=void)

    def add(self, path: Path, labels: np.ndarray) -> list[ShownColor]:
        """Takes a mask's labels into account, and returns what its palette shows.

        Raises:
          UserError: a color of its palette has another value in an earlier mask.
        """
        used = set(np.unique(labels).tolist())
        if not is_made(path, self._made):
            self._masks[path] = used
        shown = self.shown_by(path, used)
        self.colors.add(shown)
        return shown

    def shown_by(self, path: Path, used: Collection[int]) -> list[ShownColor]:
        """Returns what the palette of a mask shows, its values being `used`.

        Nothing, of a mask that a conversion wrote: the colors are not the user's.
        """
        return [] if is_made(path, self._made) else shown_by(path, used)

    def warning(self) -> str:
        """Returns what is to be said of masks so far, and was not said before."""
        if said := self.colors.renumbered():
            return said
        white = white_beside_classes(list(self._masks.values()))
        if len(white) <= self._white:
            return ""
        self._white = len(white)
        return named_white(white, [*self._masks])


def is_made(mask: Path, made: Path | None) -> bool:
    """Returns whether a conversion wrote a mask into the folder that it made."""
    return made is not None and mask.is_relative_to(made)


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
        "learned of them. If so, write the value of their class."
    )


def named_white(white: Sequence[int], masks: Sequence[Path]) -> str:
    """Returns what is said of such masks, and which they are.

    Args:
      white: their numbers, as `white_beside_classes` returns them.
      masks: all of them.
    """
    names = first_few([str(masks[index]) for index in white], 3)
    return f"{of_white(len(white), len(masks))} They are: {names}."


def check_values(
    values: Collection[int], root: Path, mask: Path, *, converted: bool = False
) -> None:
    """Refuses masks that have nothing but one class and ignored pixels.

    Args:
      values: of all masks of a split.
      root: the folder of the data.
      mask: one of the masks.
      converted: as for `black_and_white`.

    Raises:
      UserError: the only values are 0 and 255, as programs write black and white.
    """
    if set(values) == {0, IGNORED}:
        raise black_and_white(root, mask, converted=converted)


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
        "its index, 1, there (from this repository; masks with other values stay):\n"
        f"  {_copying(root.absolute(), copy, mask)}\n"
        f"and train with --data {shlex.quote(str(copy))}"
    )


def _copying(root: Path, copy: Path, mask: Path) -> str:
    """Returns a command that copies data, masks of 0 and 255 alone as of 1 bit.

    Those are in folders called as that of the mask, in the letters that it has: others,
    of images, are PNG as well.
    """
    own = mask.absolute().relative_to(root).parent
    known = [part for part in own.parts if part.lower() in _FOLDERS]
    folder = known[0] if known else str(own)
    code = (
        "import pathlib, shutil, sys; from PIL import Image; from train.data.images "
        "import read_mask; old, new, masks = sys.argv[1:]; shutil.copytree(old, new); "
        "[Image.fromarray(mask == 255).save(path) for path in pathlib.Path(new).rglob("
        "masks + '/**/*.[pP][nN][gG]') for mask in [read_mask(path)] "
        "if not (mask % 255).any()]"
    )
    return f'python -c "{code}" {shlex.join((str(root), str(copy), folder))}'

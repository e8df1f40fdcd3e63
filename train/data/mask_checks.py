"""What the masks of a folder say together, where each alone is sound."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np

from train.common.errors import UserError
from train.data.images import IGNORED, open_image
from train.data.plain_pairs import MASK_FOLDERS
from train.data.voc_files import MASKS


class MaskChecks:
    """Checks over all masks of a folder whose classes have no colors of its own.

    Args:
      converted: whether the folder is made from the user's, for messages.
    """

    def __init__(self, *, converted: bool = False) -> None:
        self._converted = converted
        self._values: set[int] = set()
        self._places: dict[tuple[int, ...], tuple[int, Path]] = {}

    def add(self, path: Path, labels: np.ndarray) -> None:
        """Takes a mask's labels into account.

        Raises:
          UserError: a color of its palette has another value in an earlier mask.
        """
        used = set(np.unique(labels).tolist())
        self._values |= used
        for color, value in _palette(path).items():
            if value not in used or value == IGNORED:
                continue
            first, where = self._places.setdefault(color, (value, path))
            if first != value:
                raise UserError(
                    f"{path} shows {','.join(map(str, color))} where the value is "
                    f"{value}, but {where} where it is {first}: their palettes are in "
                    "different orders, so values are no classes. Write labelmap.txt "
                    "in the folder of the data, a line NAME:red,green,blue:: for each "
                    "class, and masks are read by color."
                )

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


def _palette(path: Path) -> dict[tuple[int, ...], int]:
    """Returns the value of each color that a file's palette has once."""
    with open_image(path) as image:
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

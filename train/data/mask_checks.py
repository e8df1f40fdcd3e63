"""What the masks of a folder say together, where each alone is sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from train.common.errors import UserError
from train.data.images import IGNORED


class MaskChecks:
    """Checks over all masks of a folder whose classes have no colors of its own."""

    def __init__(self) -> None:
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
                    "beside JPEGImages/, a line NAME:red,green,blue:: for each class, "
                    "and masks are read by color."
                )

    def finish(self, folder: Path) -> None:
        """Refuses masks that have nothing but one class and ignored pixels.

        Raises:
          UserError: the only values are 0 and 255, as programs write black and white.
        """
        if self._values == {0, IGNORED}:
            raise UserError(
                f"the masks in {folder} have the values 0 and 255 alone, and 255 is "
                "ignored: nothing but class 0 is left. If 255 is a class, write copies "
                "that have its index, 1, in place of 255."
            )


def _palette(path: Path) -> dict[tuple[int, ...], int]:
    """Returns the value of each color that a file's palette has once."""
    with Image.open(path) as image:
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

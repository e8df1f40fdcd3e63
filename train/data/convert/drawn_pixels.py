"""How many pixels a conversion draws: in proportion to the bytes of the images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from train.common.errors import UserError

# Of masks that are drawn, for each byte of their images, and in any case. A PNG of one
# color has as many, but not all images of a set.
_PIXELS_A_BYTE, _PIXELS_ANYWAY = 1000, 10**8


class DrawnPixels:
    """Counts pixels of masks beside the bytes of their images.

    The size of a mask is that of its image, of which a file of some bytes may say any.

    Args:
      original: path of the data, or their name, for messages.
    """

    def __init__(self, original: str):
        self._original, self._pixels, self._bytes = original, 0, 0

    def add(self, image: Path | bytes, mask: np.ndarray) -> None:
        """Counts a mask.

        Args:
          image: its file, or the content of one.
          mask: `[height, width]`.

        Raises:
          UserError: all together have more pixels than sound images could.
        """
        held = len(image) if isinstance(image, bytes) else image.stat().st_size
        self._pixels, self._bytes = self._pixels + mask.size, self._bytes + held
        if self._pixels > _PIXELS_A_BYTE * self._bytes + _PIXELS_ANYWAY:
            which = "" if isinstance(image, bytes) else f", up to {image},"
            raise UserError(
                f"{self._original}: its images{which} have {self._pixels} pixels by "
                f"the heads of their files, of {self._bytes} bytes together: they are "
                "damaged, or were made to take hours. Put the images there that were "
                "annotated."
            )

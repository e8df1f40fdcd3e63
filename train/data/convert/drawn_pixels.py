"""How many pixels a conversion draws: in proportion to the bytes of the images."""

from __future__ import annotations

from pathlib import Path

from train.common.errors import UserError
from train.data.images import Size

# Of masks that are drawn, for each byte of their images, and in any case. A PNG of one
# color has as many, but not all images of a set.
_PIXELS_A_BYTE, _PIXELS_ANYWAY = 1000, 10**8


class DrawnPixels:
    """Counts pixels of masks beside the bytes of their images.

    The size of a mask is that of its image, of which a file of some bytes may say any.
    """

    def __init__(self) -> None:
        self._pixels = self._bytes = 0

    def add(self, image: Path, size: Size) -> None:
        """Counts a mask that is to be drawn.

        Args:
          image: its file.
          size: height and width, pixels.

        Raises:
          UserError: all together have more pixels than sound images could.
        """
        height, width = size
        self._pixels += height * width
        self._bytes += image.stat().st_size
        if self._pixels > _PIXELS_A_BYTE * self._bytes + _PIXELS_ANYWAY:
            raise UserError(
                f"{image} and the images before it have {self._pixels} pixels by the "
                f"heads of their files, of {self._bytes} bytes together: they are "
                "damaged, or were made to take hours. Put the images there that were "
                "annotated."
            )

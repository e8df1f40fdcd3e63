"""How much a conversion draws: in proportion to the bytes of what it is made from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from train.common.errors import UserError
from train.data.images import Size

# Of masks that are drawn, for each byte of their images, and in any case. A PNG of one
# color has as many, but not all images of a set.
_PIXELS_A_BYTE, _PIXELS_ANYWAY = 1000, 10**8
# Of edges of polygons, for each byte of images and annotations; each pixel takes two
# microseconds. A drawing of 1 bit whose every line is a polygon has twenty.
_EDGES_A_BYTE, _EDGES_ANYWAY = 50, 5 * 10**6


class DrawnPixels:
    """Counts pixels of masks and of edges beside the bytes that they are made from.

    The size of a mask is that of its image, of which a file of some bytes may say any.

    Args:
      tables: files that say what is drawn.
    """

    def __init__(self, tables: Sequence[Path] = ()):
        self._pixels = self._bytes = 0
        self._edges = 0.0
        self._bytes_of_tables = sum(table.stat().st_size for table in tables)

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

    def add_edges(self, image: Path, length: float) -> None:
        """Counts polygons that are to be drawn.

        Args:
          image: which they are of; its mask has been added.
          length: of their edges together, pixels.

        Raises:
          UserError: all together have longer edges than sound annotations could.
        """
        self._edges += length
        count = self._bytes + self._bytes_of_tables
        if self._edges > (most := _EDGES_A_BYTE * count + _EDGES_ANYWAY):
            raise UserError(
                f"the polygons of {image} and of the images before it have edges of "
                f"{self._edges:.0f} pixels together, and at most {most} are drawn for "
                f"{count} bytes of images and annotations. Remove polygons that go "
                "over their image again and again, or put the images there that were "
                "annotated."
            )

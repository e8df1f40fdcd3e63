"""The segments of a JPEG: which make its pixels, its EXIF, and how many are scans."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from train.data.exif import EXIF_HEAD
from train.data.image_work import Pieces, too_much

JPEG_BEGINS = b"\xff\xd8\xff"
_SCAN, _EXIF = 0xDA, 0xE1
# What programs say of a picture, and a comment; JFIF and Adobe say how its colors are
# kept.
_SAID = {*range(0xE0, 0xF0), 0xFE} - {0xE0, 0xEE}
# Marks alone: of others, the two bytes behind them are the segment's length.
_ALONE = {*range(0xC0), 0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)}
_MARK = re.compile(rb"\xff[^\x00\xff]")  # 0 is behind those of pixels, 255 pads
_LEAST, _MOST = 64, 2**16  # bytes in which one is looked for
_SCANS = 100  # ten are usual


class JpegPieces(Pieces):
    """The segments of a JPEG that make its pixels, whose scans are counted.

    Args:
      file: the JPEG.
      name: of it, for messages.
    """

    def __init__(self, file: Any, name: str):
        self._name, self._scans, self._last = name, _SCANS, b""
        self.exif, pieces = b"", [range(2)]
        size = file.seek(0, io.SEEK_END)
        for kind, piece in _segments(file, size):
            if kind == _EXIF and not self.exif:
                file.seek(piece.start + 4)
                content = file.read(len(piece) - 4)
                self.exif = content if content.startswith(EXIF_HEAD) else b""
            if kind not in _SAID:
                pieces.append(piece)
        super().__init__(file, pieces)
        self._counted = self._ends[-1] - len(pieces[-1])  # bytes, up to the first scan

    def read(self, size: int = -1) -> bytes:
        """Reads as files do.

        In pixels the mark of a scan cannot occur; it may lie across two blocks. What is
        read again is not counted again.

        Raises:
          UserError: there are more scans so far than one could need.
        """
        at, content = self._at, super().read(size)
        new = content[max(0, self._counted - at) :]
        self._scans -= (self._last + new).count(b"\xff\xda")
        if new:
            self._last, self._counted = new[-1:], at + len(content)
        if self._scans < 0:
            raise too_much(self._name, f"more than {_SCANS} scans of its pixels")
        return content


def _segments(file: Any, size: int) -> Iterator[tuple[int, range]]:
    """Yields mark and place of each segment, as the last all from the first scan on.

    What stands between segments is passed over, as decoders do.
    """
    place, ahead = 2, _LEAST
    while place < size:
        file.seek(place)
        block = file.read(ahead)
        found = _MARK.search(block)
        if not found:  # its last byte may begin one
            place, ahead = place + max(1, len(block) - 1), min(2 * ahead, _MOST)
            continue
        place, ahead = place + found.start(), _LEAST
        file.seek(place)
        head = file.read(4).ljust(4, b"\0")
        kind, end = head[1], place + 2
        if kind == _SCAN:
            end = size
        elif kind not in _ALONE:
            end = min(end + max(2, int.from_bytes(head[2:])), size)
        yield kind, range(place, end)
        place = end

"""What decoding a file of an image takes beyond its pixels, which a file may inflate.

Time and memory are those of the pixels, which `--pixel-limit` bounds, in files as
cameras and programs write them. Files made to do harm have parts of a few bytes by the
thousand, scans that go over all pixels once more, tiles larger than the image, strips
that share their bytes: these are counted, of TIFFs in `tiff_files.py`. Of metadata,
which could be anything, a decoder is given none: it reads the pieces of a file that
make its pixels.
"""

from __future__ import annotations

import bisect
import io
import itertools
import re
from collections.abc import Sequence
from typing import IO, Any

from train.common.errors import UserError

# Pillow reads a part (a chunk, a segment, a page) in a few calls, and files have many
# parts only where those are large: PNG's chunks of pixels are of some kilobytes, or
# of a row, of which there are some thousand.
_CALLS, _BYTES_A_CALL = 70_000, 32
# Formats that are not read, by how their files begin.
_UNMEASURED = {
    "JPEG 2000": rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",  # in boxes, and alone
    "AVIF, HEIF or a film": rb"(?s:....)ftyp",
    "GIF": rb"GIF8",
    "PPM, or PGM, PBM, PAM or PFM": rb"P[1-7Ff][\s#]",
}


def too_much(name: str, what: str) -> UserError:
    """Returns the refusal of a file that has more of something than one could need."""
    return UserError(
        f"{name} has {what}, which would keep a decoder busy: it is damaged, or was "
        "made to do harm. Save it anew with another program, or leave it out."
    )


def check_measured(file: IO[bytes], name: str) -> None:
    """Refuses formats that cannot be measured before they are decoded.

    The heads of AVIF and HEIF may say any size beside that of the pixels; a JPEG 2000
    of some hundred bytes may take gigabytes, in many ways, or be of parts that are not
    there. Pillow fills a GIF's frame, of any size, as it opens it, and reads a PPM of
    16 bits by a call for each pixel.
    """
    head = file.read(8)
    file.seek(0)
    for kind, begin in _UNMEASURED.items():
        if re.match(begin, head):
            raise UserError(
                f"{name} is {kind}: such files are not read, since only decoding one "
                "tells what it takes. Convert it to PNG first (a mask with the same "
                "values)."
            )


def check_parts(count: int, size: int, name: str) -> None:
    """Refuses a file of more parts than are read at once, or in one call each.

    Args:
      count: of parts.
      size: of the file, bytes.
      name: of it, for messages.
    """
    if count > _CALLS + size // _BYTES_A_CALL:
        raise too_much(name, "parts of a few bytes by the thousand")


class Watched:
    """A file whose reader does a bounded amount of work.

    Args:
      file: that is read.
      name: of it, for messages.
    """

    def __init__(self, file: IO[bytes], name: str):
        self._file, self._name = file, name
        self._calls, self._size = 0, file.seek(0, io.SEEK_END)
        file.seek(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, size: int = -1) -> bytes:
        """Reads as files do.

        Raises:
          UserError: what was read so far is more of something than one could need.
        """
        self._calls += 1
        check_parts(self._calls, self._size, self._name)
        return self._file.read(size)


class Pieces:
    """Pieces of a file, read as if they were all of it.

    Args:
      file: whose bytes they are.
      pieces: the places of its bytes, or bytes that stand for some of them.
    """

    def __init__(self, file: Any, pieces: Sequence[range | bytes]):
        self._file, self._pieces = file, pieces
        self._ends = list(itertools.accumulate(map(len, pieces)))
        self._at = 0

    def tell(self) -> int:
        """Returns where it is read next."""
        return self._at

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        """Goes to a place."""
        self._at = place + (0, self._at, self._ends[-1])[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Reads as files do."""
        missing = self._ends[-1] - self._at
        missing = missing if size < 0 else min(size, missing)
        found = []
        while missing > 0:
            index = bisect.bisect_right(self._ends, self._at)
            end, piece = self._ends[index], self._pieces[index]
            chosen = piece[self._at - end + len(piece) :][:missing]
            if isinstance(chosen, range):
                self._file.seek(chosen.start)
                chosen = self._file.read(len(chosen))
            if not chosen:  # the file was cut since
                break
            found.append(chosen)
            self._at += len(chosen)
            missing -= len(chosen)
        return b"".join(found)

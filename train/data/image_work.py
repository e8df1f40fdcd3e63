"""What decoding a file of an image takes beyond its pixels, which a file may inflate.

Time and memory are those of the pixels, which `--pixel-limit` bounds, in files as
cameras and programs write them. Files made to do harm have parts of a few bytes by the
thousand, scans that go over all pixels once more, tiles larger than the image, strips
that share their bytes: these are counted, of TIFFs in `tiff_entries.py`.
"""

from __future__ import annotations

import re
from typing import IO, Any

from train.common.errors import UserError

# Pillow reads a part (a chunk, a segment, a page) in a few calls, and files have many
# parts only where those are large: PNG's chunks of pixels are of some kilobytes.
_CALLS, _BYTES_A_CALL = 30_000, 32
_EXIF_PARTS = 64  # of a JPEG, of 64 KB each, which are joined one by one
_SCANS = 100  # of a JPEG; ten are usual
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


class Watched:
    """A file whose reader does a bounded amount of work.

    Args:
      file: that is read.
      name: of it, for messages.
    """

    def __init__(self, file: IO[bytes], name: str):
        self._file, self._name = file, name
        self._is_jpeg = file.read(2) == b"\xff\xd8"
        size = file.seek(0, 2)
        file.seek(0)
        self._calls = _CALLS + size // _BYTES_A_CALL
        self._exif, self._scans = _EXIF_PARTS, _SCANS
        self._last = b""  # byte of what was read before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, size: int = -1) -> bytes:
        """Reads as files do.

        Raises:
          UserError: what was read so far is more of something than one could need.
        """
        content = self._file.read(size)
        self._calls -= 1
        if self._calls < 0:
            raise too_much(self._name, "parts of a few bytes by the thousand")
        if self._is_jpeg:
            self._count(content)
        return content

    def _count(self, content: bytes) -> None:
        """Counts parts of a JPEG; in its pixels the mark of a scan cannot occur.

        A mark may lie across two blocks. Single bytes are read before, to open it.
        """
        self._exif -= content.startswith(b"Exif\0\0")
        if len(content) > 1:
            self._scans -= (self._last + content).count(b"\xff\xda")
        self._last = content[-1:]
        if self._exif < 0:
            raise too_much(self._name, f"EXIF in more than {_EXIF_PARTS} parts")
        if self._scans < 0:
            raise too_much(self._name, f"more than {_SCANS} scans of its pixels")

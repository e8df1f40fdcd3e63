"""What decoding a file of an image takes beyond its pixels, which a file may inflate.

Time and memory are those of the pixels, which `--pixel-limit` bounds, in files as
cameras and programs write them. Files made to do harm have parts of a few bytes by the
thousand, scans that go over all pixels once more, tiles larger than the image, strips
that share their bytes, layers without data: these are counted, of TIFFs in
`tiff_entries.py`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import IO, Any

from train.common.errors import UserError

# Pillow reads a part (a chunk, a segment, a page) in a few calls, and files have many
# parts only where those are large: PNG's chunks of pixels are of some kilobytes.
_CALLS, _BYTES_A_CALL = 30_000, 32
_EXIF_PARTS = 64  # of a JPEG, of 64 KB each, which are joined one by one
_SCANS = 100  # of a JPEG; ten are usual
_COMMENTS = 1000  # of a PPM of plain text, cut out one by one
_PLAIN = (b"P1", b"P2", b"P3")
_MEDIA = b"ftyp"  # of AVIF and HEIF, behind four bytes

# Of a JPEG 2000: packets are gone through whether or not they have data, and a precinct
# takes kilobytes. Usual files have some dozens of each in a tile.
_PACKETS = 10_000_000
_PRECINCTS, _PIXELS_A_PRECINCT = 20_000, 16
# A component of a tile takes a kilobyte as soon as the head is read.
_COMPONENTS, _IN_TILES, _PIXELS_EACH = 4, 20_000, 16
_GRID = re.compile(rb"\xff\x4f\xff\x51.{4}(.{32})(..)", re.DOTALL)  # SOC, then SIZ
_CODING = re.compile(rb"\xff[\x52\x53]")  # COD, for all components, and COC, for one


def too_much(name: str, what: str) -> UserError:
    """Returns the refusal of a file that has more of something than one could need."""
    return UserError(
        f"{name} has {what}, which would keep a decoder busy: it is damaged, or was "
        "made to do harm. Save it anew with another program, or leave it out."
    )


def check_measured(file: IO[bytes], name: str) -> None:
    """Refuses AVIF and HEIF, whose heads may say any size beside that of the pixels."""
    head = file.read(8)
    file.seek(0)
    if head[4:] == _MEDIA:
        raise UserError(
            f"{name} is AVIF, HEIF or a film: such files are not read, since only "
            "decoding one tells how large it is. Convert it to PNG or JPEG first."
        )


class Watched:
    """A file whose reader does a bounded amount of work.

    Args:
      file: that is read.
      name: of it, for messages.
    """

    def __init__(self, file: IO[bytes], name: str):
        self._file, self._name = file, name
        head, size = file.read(2), file.seek(0, 2)
        file.seek(0)
        self._is_jpeg, self._is_plain = head == b"\xff\xd8", head in _PLAIN
        self._calls = _CALLS + size // _BYTES_A_CALL
        self._exif, self._scans, self._comments = _EXIF_PARTS, _SCANS, _COMMENTS
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
        if self._is_plain:
            self._comments -= content.count(b"#")
            if self._comments < 0:
                raise too_much(self._name, f"more than {_COMMENTS} comments")
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


def check_jpeg_2000(content: bytes, pixels: int, name: str) -> None:
    """Refuses more layers, tiles, components or precincts than an image could need.

    Whatever looks like a head or a coding style counts, wherever it is, so none can be
    hidden; data look like one by chance in one file of millions.

    Args:
      content: of the file.
      pixels: of the image.
      name: of the file, for messages.

    Raises:
      UserError: decoding would take too long, or too much memory.
    """
    styles = list(_coding_styles(content))
    layers = max((layers for layers, _ in styles), default=1)
    for sizes, components in _GRID.findall(content):
        width, height, _, _, across, down, *_ = struct.unpack(">8I", sizes)
        across, down = min(width, across) or 1, min(height, down) or 1
        tiles = -(-width // across) * -(-height // down)
        if (count := int.from_bytes(components)) > _COMPONENTS:
            raise too_much(name, f"{count} components")
        if (parts := count * tiles) > _IN_TILES + pixels // _PIXELS_EACH:
            raise too_much(name, f"{parts} components of tiles for {pixels} pixels")
        precincts = count * max(
            (_precincts(across, down, exponents) for _, exponents in styles), default=0
        )
        if precincts > _PRECINCTS + pixels // _PIXELS_A_PRECINCT:
            raise too_much(name, f"{precincts} precincts in a tile for {pixels} pixels")
        if (packets := precincts * tiles * layers) > _PACKETS + pixels:
            raise too_much(
                name,
                f"{layers} layers in {tiles} tiles, {packets} packets for {pixels} "
                "pixels",
            )


def component_depths(content: bytes) -> set[int]:
    """Returns the bits of a JPEG 2000's components, 128 more of signed ones."""
    return {
        depth + 1
        for head in _GRID.finditer(content)
        for depth in content[head.end() :: 3][: int.from_bytes(head[2])]
    }


def _coding_styles(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields layers, and the sizes of precincts by resolution, the lowest first."""
    for found in _CODING.finditer(content):
        at, is_default = found.end(), found[0] == b"\xff\x52"
        for levels_at in (7,) if is_default else (4, 5):  # of 257 components, 5
            part = content[at : at + levels_at + 5 + 33]
            if len(part) < levels_at + 5:
                continue
            style = part[2 if is_default else levels_at - 1]
            levels, width, height, _, transform = part[levels_at : levels_at + 5]
            if levels > 32 or max(width, height) > 8 or transform > 1:  # none of these
                continue
            length = levels_at + 5 + (levels + 1) * (style & 1)
            if int.from_bytes(part[:2]) == length <= len(part):
                layers = int.from_bytes(part[4:6]) if is_default else 1
                yield layers, part[levels_at + 5 : length] or b"\xff" * (levels + 1)


def _precincts(width: int, height: int, exponents: bytes) -> int:
    """Returns how many precincts a tile may have, for one component."""
    count = 0
    for level, exponent in enumerate(reversed(exponents)):
        across, down = level + (exponent & 15), level + (exponent >> 4)
        count += ((width >> across) + 2) * ((height >> down) + 2)
    return count

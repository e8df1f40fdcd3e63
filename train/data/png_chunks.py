"""The chunks of a PNG, of which Pillow tells neither depth nor checksums."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

PROFILE = "Raw profile type exif"  # EXIF in a PNG's text, as ImageMagick writes it
SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD, _SIZE_AT, _KIND_AT = b"IHDR", 16, 25
_OF_PALETTE = b"\3"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the color type
# Readers take the first or the last where there are two.
_ONCE = {_HEAD: "size", b"PLTE": "palette", b"tRNS": "transparency", b"eXIf": "EXIF"}
# Texts, and what Pillow keeps under such a keyword, whoever says it.
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_KEPT = (b"transparency", b"exif", b"interlace", b"bbox", b"default_image")
_CRITICAL = (_HEAD, b"PLTE", b"IDAT", b"IEND")  # without which pixels cannot be told
_KEYWORD = 80  # bytes at most, with the 0 behind it
_ANCILLARY = 0x20  # of a chunk's first letter, small where readers may pass it over
_FRAMES = (b"acTL", b"fcTL", b"fdAT")  # of an animation, APNG
_PIECE = 2**20  # bytes that are unpacked at a time
# The first pixel of each pass, and the steps to the next ones.
_INTERLACED = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)


def depth_and_kind(content: bytes) -> tuple[int, int]:
    """Returns bits a channel and the color type of a PNG."""
    return content[24], content[25]


def has_frames(file: BinaryIO) -> bool:
    """Returns whether a PNG is an animation, of one frame or more.

    Pillow decodes the picture of one as its first frame, which may have another size.

    Args:
      file: a PNG; it is left wherever it was read.

    Raises:
      ValueError: it has several heads, palettes or the like, texts of EXIF too, or no
        palette where it needs one, does not begin with a head, has a text that Pillow
        takes for what another chunk says, or a chunk that readers do not know and must.
    """
    file.seek(_KIND_AT)
    needs, kinds = file.read(1) == _OF_PALETTE, set[bytes]()
    for kind, length in _chunks(file):
        if length or kind != b"PLTE":
            kinds.add(kind)
        if kind == b"IDAT" and needs and b"PLTE" not in kinds:
            raise ValueError("its palette is missing, or behind the pixels")
        if not kind[0] & _ANCILLARY and kind not in _CRITICAL:
            raise ValueError(f"its part {kind.decode('latin-1')!r} is unknown")
        if kind in _TEXTS:
            keyword = file.read(min(length, _KEYWORD)).partition(b"\0")[0]
            if keyword in _KEPT:
                raise ValueError(
                    f"a text called {keyword.decode()!r} hides what it says of its "
                    "pixels; save it anew without texts"
                )
            if keyword == PROFILE.encode():
                if keyword in kinds:
                    raise ValueError("a PNG has one text of EXIF, this one several")
                kinds.add(keyword)
    return any(frame in kinds for frame in _FRAMES)


def texts_behind(file: BinaryIO) -> bool:
    """Returns whether a PNG has EXIF or texts behind its pixels.

    Args:
      file: a PNG; it is left where it was.
    """
    place, kinds = file.tell(), [kind for kind, _ in _chunks(file)]
    file.seek(place)
    behind = kinds[kinds.index(b"IDAT") :] if b"IDAT" in kinds else []
    return not {b"eXIf", *_TEXTS}.isdisjoint(behind)


def palette_alpha(content: bytes) -> bytes:
    """Returns the opacity of the first entries of a PNG's palette; others have all."""
    file = io.BytesIO(content)
    found = (file.read(size) for kind, size in _chunks(file) if kind == b"tRNS")
    return next(found, b"")[:256]


class Unpacked:
    """Counts the bytes that a PNG's chunks of pixels unpack to, up to what it needs.

    Pillow takes a stream that ends before for a whole one, whose other pixels are 0.

    Args:
      file: the PNG; it is left wherever it was read.
    """

    def __init__(self, file: BinaryIO):
        file.seek(_SIZE_AT)
        width, height, depth, kind, *_, interlaced = struct.unpack(
            ">IIBBBBB", file.read(13)
        )
        bits = depth * _CHANNELS[kind]
        passes = _INTERLACED if interlaced else [(0, 0, 1, 1)]
        sides = (
            (-(-(width - x) // across), -(-(height - y) // down))
            for x, y, across, down in passes
        )
        self.missing = sum(
            tall * (1 + -(-wide * bits // 8)) for wide, tall in sides if wide > 0
        )
        self._stream = zlib.decompressobj()

    def add(self, chunk: bytes) -> None:
        """Takes the next chunk; zlib would keep, joined, all that follow its end."""
        while chunk and self.missing > 0 and not self._stream.eof:
            self.missing -= len(self._stream.decompress(chunk, _PIECE))
            chunk = self._stream.unconsumed_tail


def pixel_chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yields each chunk of pixels, and the checksum that is written behind it.

    A chunk that is cut short, which Pillow refuses, is the end.

    Args:
      file: a PNG; it is left wherever it was read.

    Raises:
      ValueError: as `has_frames`.
    """
    for kind, length in _chunks(file):
        if kind == b"IDAT":
            content, checksum = file.read(length), file.read(4)
            if len(content) + len(checksum) < length + 4:
                return
            yield content, checksum


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yields kind and length of each chunk, before whose content the file then is."""
    place, seen = len(SIGNATURE), set[bytes]()
    file.seek(place)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if not seen and kind != _HEAD:
            raise ValueError("a PNG begins with its size, this one with something else")
        if kind in seen:
            raise ValueError(f"a PNG has one {_ONCE[kind]}, this one several")
        yield kind, length
        if kind == b"IEND":
            return
        if kind in _ONCE:
            seen.add(kind)
        place += 8 + length + 4
        file.seek(place)

"""The chunks of a PNG: which make its pixels, and what Pillow does not tell of them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from train.data.image_work import Pieces

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD, _SIZE_AT, _KIND_AT = b"IHDR", 16, 25
_OF_PALETTE = b"\3"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the color type
# Readers take the first or the last where there are two.
_ONCE = {_HEAD: "size", b"PLTE": "palette", b"tRNS": "transparency", b"eXIf": "EXIF"}
_OF_PIXELS = (_HEAD, b"PLTE", b"tRNS", b"IDAT", b"IEND")
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_PROFILE = b"Raw profile type exif\0"  # EXIF in a text, as ImageMagick writes it
_ANCILLARY = 0x20  # of a chunk's first letter, small where readers may pass it over
_FRAMES = (b"acTL", b"fcTL", b"fdAT")  # of an animation, APNG
_SLICE, _PIECE = 2**16, 2**20  # bytes that are unpacked at a time, and unpacked to
# The first pixel of each pass, and the steps to the next ones.
_INTERLACED = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)


def depth_and_kind(content: bytes) -> tuple[int, int]:
    """Returns bits a channel and the color type of a PNG."""
    return content[24], content[25]


class PngPieces(Pieces):
    """The chunks of a PNG that make its pixels.

    Args:
      file: the PNG.

    Raises:
      ValueError: it has several heads, palettes or the like, texts of EXIF too, or no
        palette where it needs one, does not begin with a head, has others between its
        pixels, or a chunk that readers do not know and must, or one beside the pixels
        that differs from its checksum.
    """

    def __init__(self, file: Any):
        pieces, said, size = [range(len(SIGNATURE))], _Said(), file.seek(0, io.SEEK_END)
        file.seek(_KIND_AT)
        no_palette, before, seen = file.read(1) == _OF_PALETTE, b"", False
        for kind, length, place in _chunks(file):
            no_palette &= kind != b"PLTE" or not length
            if kind == b"IDAT" and no_palette:
                raise ValueError("its palette is missing, or behind the pixels")
            if kind == b"IDAT" and seen and before != b"IDAT":
                raise ValueError("its pixels are in several places")
            before, seen = kind, seen or kind == b"IDAT"
            if kind not in _OF_PIXELS:
                said.add(kind, length, file)
                continue
            end = min(place + length + 4, size)
            joined = pieces[-1].stop == place - 8
            start = pieces.pop().start if joined else place - 8
            pieces.append(range(start, end))
        super().__init__(file, pieces)
        self.exif, self.has_frames = said.exif, said.frames


class _Said:
    """What a PNG says beside its pixels."""

    def __init__(self) -> None:
        self.frames = False  # Pillow decodes the first, which may have another size
        self._own = b""
        self._text: bytes | None = None

    @property
    def exif(self) -> bytes:
        return self._own or self._text or b""

    def add(self, kind: bytes, length: int, file: Any) -> None:
        """Adds a chunk, of which no more than is needed is kept."""
        name = kind.decode("latin-1")
        if not kind[0] & _ANCILLARY:
            raise ValueError(f"its part {name!r} is unknown")
        content = piece = file.read(min(length, _PIECE))
        checksum, length = zlib.crc32(kind), length - len(piece)
        while piece:
            checksum = zlib.crc32(piece, checksum)
            piece = file.read(min(length, _PIECE))
            length -= len(piece)
        if checksum != int.from_bytes(file.read(4)):
            raise ValueError(f"its part {name!r} differs from its checksum")
        self.frames |= kind in _FRAMES
        if kind == b"eXIf":
            self._own = content
        elif kind in _TEXTS and content.startswith(_PROFILE):
            if self._text is not None:
                raise ValueError("a PNG has one text of EXIF, this one several")
            self._text = _unpacked(kind, content.removeprefix(_PROFILE))


def _unpacked(kind: bytes, text: bytes) -> bytes:
    """Returns the EXIF of a text, which is behind its keyword; none if it is damaged.

    Three lines are before its digits.
    """
    try:
        packed = kind == b"zTXt" or (kind == b"iTXt" and text[0] == 1)
        if kind != b"tEXt":
            text = text[1:] if kind == b"zTXt" else text[2:].split(b"\0", 2)[2]
        if packed:
            text = zlib.decompressobj().decompress(text, _PIECE)
        return bytes.fromhex(text.split(b"\n", 3)[3].decode())
    except (ValueError, IndexError, zlib.error):
        return b""


def plain_text(content: BinaryIO, keyword: str) -> str | None:
    """Returns the text that a PNG has under a keyword before its pixels, if any.

    Args:
      content: any file; it is left wherever it was read.
      keyword: of a text that is neither packed nor of other alphabets.
    """
    begin = keyword.encode() + b"\0"
    if content.read(len(SIGNATURE)) != SIGNATURE:
        return None
    for kind, length, _ in _chunks(content):
        if kind == b"IDAT":
            break
        if kind == b"tEXt" and (text := content.read(length)).startswith(begin):
            return text.removeprefix(begin).decode("latin-1")
    return None


def palette_alpha(content: bytes) -> bytes:
    """Returns the opacity of the first entries of a PNG's palette; others have all."""
    file = io.BytesIO(content)
    found = (file.read(size) for kind, size, _ in _chunks(file) if kind == b"tRNS")
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
        """Takes the next chunk; zlib would keep, joined, all that follow its end.

        In slices, for what is left of one is copied after each piece.
        """
        for at in range(0, len(chunk), _SLICE):
            left = chunk[at : at + _SLICE]
            while left and self.missing > 0 and not self._stream.eof:
                self.missing -= len(self._stream.decompress(left, _PIECE))
                left = self._stream.unconsumed_tail


def pixel_chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yields each chunk of pixels, and the checksum that is written behind it.

    A chunk that is cut short, which Pillow refuses, is the end.

    Args:
      file: a PNG; it is left wherever it was read.

    Raises:
      ValueError: as `PngPieces`.
    """
    for kind, length, _ in _chunks(file):
        if kind == b"IDAT":
            content, checksum = file.read(length), file.read(4)
            if len(content) + len(checksum) < length + 4:
                return
            yield content, checksum


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yields kind, length and place of each chunk's content, where the file then is."""
    place, seen = len(SIGNATURE), set[bytes]()
    file.seek(place)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if not seen and kind != _HEAD:
            raise ValueError("a PNG begins with its size, this one with something else")
        if kind in seen:
            raise ValueError(f"a PNG has one {_ONCE[kind]}, this one several")
        yield kind, length, place + 8
        if kind == b"IEND":
            return
        if kind in _ONCE:
            seen.add(kind)
        place += 8 + length + 4
        file.seek(place)

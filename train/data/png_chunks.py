"""The chunks of a PNG, of which Pillow tells neither depth nor checksums."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD = b"IHDR"


def depth_and_kind(content: bytes) -> tuple[int, int] | None:
    """Returns bits a channel and the color type of a PNG, None of another file."""
    return (content[24], content[25]) if content.startswith(SIGNATURE) else None


def check_heads(file: BinaryIO) -> None:
    """Refuses a PNG of several heads, of which readers take the first or the last.

    Args:
      file: a PNG; it is left wherever it was read.

    Raises:
      ValueError: it has several, or does not begin with one.
    """
    for _ in _chunks(file):
        pass


def pixel_chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yields each chunk of pixels, and the checksum that is written behind it.

    A chunk that is cut short, which Pillow refuses, is the end.

    Args:
      file: a PNG; it is left wherever it was read.

    Raises:
      ValueError: as `check_heads`.
    """
    for kind, length in _chunks(file):
        if kind == b"IDAT":
            content, checksum = file.read(length), file.read(4)
            if len(content) + len(checksum) < length + 4:
                return
            yield content, checksum


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yields kind and length of each chunk, before whose content the file then is."""
    place, is_first = len(SIGNATURE), True
    file.seek(place)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if is_first and kind != _HEAD:
            raise ValueError("a PNG begins with its size, this one with something else")
        if kind == _HEAD and not is_first:
            raise ValueError("a PNG has one size, this one several")
        yield kind, length
        if kind == b"IEND":
            return
        place, is_first = place + 8 + length + 4, False
        file.seek(place)

"""The chunks of a PNG, of which Pillow tells neither depth nor checksums."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def depth_and_kind(content: bytes) -> tuple[int, int] | None:
    """Returns bits a channel and the color type of a PNG, None of another file."""
    return (content[24], content[25]) if content.startswith(SIGNATURE) else None


def pixel_chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yields each chunk of pixels, and the checksum that is written behind it.

    A chunk that is cut short, which Pillow refuses, is the end.

    Args:
      file: a PNG; it is left wherever it was read.

    Raises:
      ValueError: it does not begin as PNGs do.
    """
    file.seek(len(SIGNATURE))
    kind = b"IHDR"
    if (head := file.read(8))[4:] != kind:
        raise ValueError("a PNG begins with its size, this one with something else")
    while len(head) == 8 and kind != b"IEND":
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IDAT":
            content, checksum = file.read(length), file.read(4)
            if len(content) + len(checksum) < length + 4:
                return
            yield content, checksum
        else:
            file.seek(length + 4, io.SEEK_CUR)
        head = file.read(8)

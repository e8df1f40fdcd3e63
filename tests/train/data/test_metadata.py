"""What a file says beside its pixels, which may be anything, takes little."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data.images import read_image

PHOTO = Image.fromarray(np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3))
RATIONALS = 2**16 * struct.pack("<II", 1_000_003, 7919)


def directory(*entries: tuple[int, int, int, int]) -> bytes:
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<H", len(entries)) + packed + bytes(4)


def of_rationals(tag: int) -> bytes:
    """Returns EXIF of a tag that is half a million bytes of fractions."""
    entries = directory((tag, 5, len(RATIONALS) // 8, 38), (296, 3, 1, 2))
    return b"II*\0" + struct.pack("<I", 8) + entries + RATIONALS


def tiff_of_rationals() -> bytes:
    """Returns a TIFF of a pixel, each of whose directories has all of the fractions."""
    all_of = (5, len(RATIONALS) // 8, 8)
    end = 8 + len(RATIONALS)
    inner = directory((2, *all_of))
    exif = directory((33434, *all_of), (40965, 4, 1, end))
    ones = [(tag, 4, 1, 1) for tag in (256, 257, 259, 262)]
    own = [*ones, (258, 4, 1, 8), (273, 4, 1, 8), (279, 4, 1, 1), (282, *all_of)]
    more = [(34665, 4, 1, end + len(inner)), (34853, 4, 1, end)]
    start = end + len(inner) + len(exif)
    page = directory(*sorted([*own, *more]))
    return b"II*\0" + struct.pack("<I", start) + RATIONALS + inner + exif + page


def saved(format: str, **options: object) -> bytes:
    file = io.BytesIO()
    PHOTO.save(file, format, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def tiff_of_strips() -> bytes:
    """Returns a TIFF of a pixel a row, each a strip."""
    rows = 60_000
    places, sizes = (
        struct.pack(f"<{rows}I", *of) for of in (range(8, 8 + rows), rows * [1])
    )
    end = 8 + rows
    ones = [(tag, 4, 1, 1) for tag in (256, 259, 262, 278)]
    lists = [(273, 4, rows, end), (279, 4, rows, end + 4 * rows)]
    page = directory(*sorted([*ones, *lists, (257, 4, 1, rows), (258, 4, 1, 8)]))
    start = struct.pack("<I", end + 8 * rows)
    return b"II*\0" + start + bytes(rows) + places + sizes + page


def in_segments(exif: bytes) -> bytes:
    pieces = [exif[at : at + 60_000] for at in range(0, len(exif), 60_000)]
    return b"".join(
        b"\xff\xe1" + struct.pack(">H", 8 + len(piece)) + b"Exif\0\0" + piece
        for piece in pieces
    )


def _metadata() -> dict[str, bytes]:
    """Returns files of few pixels, whose metadata would take much to be decoded."""
    png, jpeg = saved("PNG"), saved("JPEG")
    wide = zlib.compress(("a" * 2**20 + "\U0001f600").encode())
    packed = zlib.compress(bytes(2**20))
    texts = b"".join(chunk(b"iTXt", b"%d\0\1\0\0\0" % n + wide) for n in range(20))
    damaged = chunk(b"zTXt", b"a\0\0" + packed[:-1])
    return {
        "TIFF": tiff_of_rationals(),
        "WebP": saved("WEBP", exif=of_rationals(274), lossless=True),
        "JPEG": jpeg[:2] + in_segments(of_rationals(282)) + jpeg[20:],
        "PNG": png[:33] + chunk(b"eXIf", of_rationals(274)) + png[33:],
        "texts": png[:33] + texts + png[33:],
        "damaged texts": png[:33] + 200 * damaged + png[33:],
    }


METADATA = _metadata()


@pytest.mark.parametrize("kind", METADATA)
def test_metadata_take_little(kind: str) -> None:
    content = METADATA[kind]
    seconds = time.process_time()
    tracemalloc.start()
    try:
        assert read_image(content).shape[2] == 3
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * len(content) + 2**20
    assert time.process_time() - seconds < 0.3


def test_strips_of_a_byte_take_little() -> None:
    content = tiff_of_strips()
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match="parts of a few bytes by the thousand"):
            read_image(content)
        assert tracemalloc.get_traced_memory()[1] < 12 * len(content)
    finally:
        tracemalloc.stop()

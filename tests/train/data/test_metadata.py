"""What a file says beside its pixels, which may be anything, takes little."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data import image_files
from train.data.image_work import Pieces, Watched
from train.data.images import read_image
from train.data.jpeg_segments import JpegPieces
from train.data.png_chunks import Unpacked

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


def tiff_of_strips(
    rows: int = 120_000, *, wide: int = 1, backwards: bool = False
) -> bytes:
    """Returns a TIFF of a few pixels a row, each a strip."""
    end = 8 + rows * wide
    order = range(8, end, wide)[:: -1 if backwards else 1]
    places, sizes = (struct.pack(f"<{rows}I", *of) for of in (order, rows * [wide]))
    ones = [(tag, 4, 1, 1) for tag in (259, 262, 278)] + [(256, 4, 1, wide)]
    lists = [(273, 4, rows, end), (279, 4, rows, end + 4 * rows)]
    page = directory(*sorted([*ones, *lists, (257, 4, 1, rows), (258, 4, 1, 8)]))
    start = struct.pack("<I", end + 8 * rows)
    pixels = bytes(1 + at % 250 for at in range(rows) for _ in range(wide))
    return b"II*\0" + start + pixels + places + sizes + page


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


@contextlib.contextmanager
def at_most(peak: int) -> Iterator[None]:
    """Fails where the block takes more bytes at once."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < peak
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", METADATA)
def test_metadata_take_little(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content, unpacked, unpack = METADATA[kind], list[int](), zlib.decompressobj

    def counted(*bits: Any) -> object:
        unpacked.append(1)
        return unpack(*bits)

    monkeypatch.setattr(zlib, "decompressobj", counted)
    with at_most(6 * len(content) + 2**20):
        assert read_image(content).shape[2] == 3
    assert len(unpacked) <= 1  # of the pixels


def test_strips_of_a_byte_take_little() -> None:
    content = tiff_of_strips()
    with (
        at_most(12 * len(content)),
        pytest.raises(UserError, match="parts of a few bytes by the thousand"),
    ):
        read_image(content)


def test_of_a_strip_no_more_is_read_than_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the next does not follow it, Pillow asks for a block."""
    content, read = tiff_of_strips(rows=500, backwards=True), Pieces.read
    seen: list[int] = []

    def counted(self: Pieces, size: int = -1) -> bytes:
        found = read(self, size)
        seen.append(len(found))
        return found

    monkeypatch.setattr(Pieces, "read", counted)
    found = read_image(content)
    assert found[:, 0, 0].tolist() == [250 - row % 250 for row in range(500)]
    assert sum(seen) < 4 * len(content)


def test_a_part_of_any_size_takes_little(tmp_path: Path) -> None:
    png, path = saved("PNG"), tmp_path / "a.png"
    for kind in (b"eXIf", b"tEXt"):
        path.write_bytes(png[:33] + chunk(kind, bytes(2**25)) + png[33:])
        with at_most(2**23):
            assert read_image(path).shape == (8, 8, 3)


def test_a_file_is_measured_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.webp"
    path.write_bytes(saved("WEBP", lossless=True))
    monkeypatch.setattr(image_files, "_limit", 64)
    assert read_image(path).shape == (8, 8, 3)
    os.truncate(path, 2**28)  # without a byte on the disk
    with at_most(2**20), pytest.raises(UserError, match="a.webp has 268435456 bytes"):
        read_image(path)


class Counted(io.BytesIO):
    """A file whose reads are counted."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        return super().read(size)


@pytest.mark.parametrize("junk", [b"\0", b"\xff", b"\xff\0"])
def test_what_is_between_segments_is_passed_over_at_once(junk: bytes) -> None:
    jpeg = saved("JPEG")
    file = Counted(jpeg[:20] + 2**21 * junk + jpeg[20:])
    pieces = JpegPieces(file, "a.jpg")
    assert file.reads < 500
    assert len(pieces.read()) < 2 * len(jpeg)


@pytest.mark.parametrize("format", ["JPEG", "BMP", "TIFF"])
def test_a_decoder_is_given_a_file_in_few_blocks(
    format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With each it begins anew: at bytes that fill up, or at a row not yet whole."""
    file, reads, read = io.BytesIO(), list[int](), Watched.read
    if format == "JPEG":
        begin, mark, end = saved("JPEG", restart_marker_blocks=1).partition(b"\xff\xd0")
        file = io.BytesIO(begin + 2**24 * b"\xff" + mark + end)
    elif format == "BMP":
        Image.new("RGB", (2**22, 1)).save(file, "BMP")
    else:
        file = io.BytesIO(tiff_of_strips(2, wide=2**23))

    def counted(self: Watched, size: int = -1) -> bytes:
        reads.append(size)
        return read(self, size)

    monkeypatch.setattr(Watched, "read", counted)
    read_image(file.getvalue())
    assert len(reads) < 80


def test_pixels_in_one_part_are_unpacked_once() -> None:
    """As many programs write them; what is left of it would be copied each time."""
    side, given = 2**11, list[int]()
    noise = np.random.default_rng(0).integers(0, 256, (side, 1 + side), np.uint8)
    noise[:, 0] = 0
    pixels = zlib.compress(noise.tobytes(), 1)
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels)
    unpacked = Unpacked(io.BytesIO(png))
    stream: Any = unpacked._stream

    class Watching:
        eof, unconsumed_tail = False, b""

        def decompress(self, content: bytes, most: int) -> bytes:
            given.append(len(content))
            found: bytes = stream.decompress(content, most)
            self.eof, self.unconsumed_tail = stream.eof, stream.unconsumed_tail
            return found

    unpacked._stream = Watching()  # type: ignore[assignment]
    unpacked.add(pixels)
    assert unpacked.missing == 0 and sum(given) < 1.5 * len(pixels)


def test_pixels_in_many_parts_or_in_several_places() -> None:
    rows = np.arange(5000, dtype=np.uint8).reshape(-1, 1)
    packed = zlib.compressobj()
    lines = [b"\0" + row.tobytes() for row in rows]
    parts = [packed.compress(it) + packed.flush(zlib.Z_SYNC_FLUSH) for it in lines]
    parts[-1] += packed.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 5000, 8, 0, 0, 0, 0))
    idats = [chunk(b"IDAT", part) for part in parts]
    begin, end = b"\x89PNG\r\n\x1a\n" + head, chunk(b"IEND", b"")
    found = read_image(begin + b"".join(idats) + end)
    np.testing.assert_array_equal(found[..., 0], rows)
    between = [*idats[:9], chunk(b"tIME", bytes(7)), *idats[9:]]
    with pytest.raises(UserError, match="its pixels are in several places"):
        read_image(begin + b"".join(between) + end)


def test_a_tiff_of_more_bytes_than_it_can_name(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(saved("TIFF"))
    os.truncate(path, 2**32)  # without a byte on the disk
    with pytest.raises(UserError, match="of a size that has such.* less than 4 GiB"):
        read_image(path)

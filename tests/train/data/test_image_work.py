"""Small files that would keep a decoder busy for long, or take gigabytes of memory."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data import image_files
from train.data.image_files import limit_pixels
from train.data.images import read_image, read_mask

PIXELS = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
PHOTO = Image.fromarray(PIXELS)
BUSY = r"a\.png has {}.*, which would keep a decoder busy.*Save it anew"


@pytest.fixture(autouse=True)
def same_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the limit of the process back."""
    monkeypatch.setattr(image_files, "_limit", image_files.PIXEL_LIMIT)


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], np.ndarray]:
    """Reads an image of a content."""
    path = tmp_path / "a.png"

    def read_content(content: bytes) -> np.ndarray:
        path.write_bytes(content)
        return read_image(path)

    return read_content


def saved(format: str, image: Image.Image = PHOTO, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def with_scans(count: int) -> bytes:
    """Returns a progressive JPEG whose last scan is repeated, to have so many."""
    whole = saved("JPEG", PHOTO, progressive=True)
    more = count - whole.count(b"\xff\xda")
    return whole[:-2] + more * whole[whole.rfind(b"\xff\xda") : -2] + whole[-2:]


def test_scans_are_counted(read: Callable[[bytes], np.ndarray]) -> None:
    assert read(with_scans(100)).shape == PIXELS.shape
    with pytest.raises(UserError, match=BUSY.format("more than 100 scans")):
        read(with_scans(101))


def test_scans_across_blocks_are_counted(read: Callable[[bytes], np.ndarray]) -> None:
    for count in (100, 101):
        first, *scans = with_scans(count).split(b"\xff\xda")
        content = first
        for scan in scans:  # its mark lies across two of Pillow's blocks
            for end in (2**15, 2**16 - 1):  # of comments that fill the block
                space = (end - len(content)) % 2**16
                content += b"\xff\xfe" + struct.pack(">H", space - 2) + bytes(space - 4)
            content += b"\xff\xda" + scan
        if count == 100:
            assert read(content).shape == PIXELS.shape
            continue
        with pytest.raises(UserError, match=BUSY.format("more than 100 scans")):
            read(content)


def test_data_after_a_jpeg_are_no_scans(read: Callable[[bytes], np.ndarray]) -> None:
    whole = saved("JPEG")  # phones append films
    film = bytes(2**16) + b"\xff\xda" * 1000
    assert read(whole + film).shape == PIXELS.shape


def test_pixels_of_others_are_no_scans(read: Callable[[bytes], np.ndarray]) -> None:
    pixels = np.tile(np.array([255, 218, 255], np.uint8), (20, 20, 1))
    for format in ("BMP", "TIFF"):
        np.testing.assert_array_equal(
            read(saved(format, Image.fromarray(pixels))), pixels
        )


def test_masks_are_watched(tmp_path: Path) -> None:
    path, whole = tmp_path / "a.png", saved("PNG", PHOTO.convert("L"))
    path.write_bytes(whole[:33] + 100_000 * chunk(b"tIME") + whole[33:])
    with pytest.raises(UserError, match=BUSY.format("parts of a few bytes")):
        read_mask(path)


@pytest.mark.parametrize(
    ("format", "place", "part"),
    [
        ("JPEG", 2, b"\xff\xe5\0\2"),
        ("JPEG", 2, b"\xff\xdb\0\x43\0" + bytes([1]) * 64),
        ("PNG", 33, chunk(b"tIME")),
        ("PNG", 33, chunk(b"teSt")),
        ("PNG", 33, chunk(b"IDAT")),
        ("WEBP", -1, b"teSt\0\0\0\0"),
    ],
    ids=["JPEG segments", "tables", "PNG chunks", "private", "pixels", "WebP chunks"],
)
def test_parts_are_counted(
    read: Callable[[bytes], np.ndarray], format: str, place: int, part: bytes
) -> None:
    whole = saved(format, PHOTO.convert("L"))
    place = place if place > 0 else len(whole)
    content = whole[:place], whole[place:]
    assert read((100 * part).join(content)).shape == PIXELS.shape
    with pytest.raises(UserError, match=BUSY.format("parts of a few bytes")):
        read((100_000 * part).join(content))


def test_large_files_may_have_many_parts(read: Callable[[bytes], np.ndarray]) -> None:
    whole = saved("PNG")
    content = whole[:33] + 20_000 * chunk(b"teSt", bytes(200)) + whole[33:]
    assert read(content).shape == PIXELS.shape


def test_parts_of_metadata_are_no_scans(read: Callable[[bytes], np.ndarray]) -> None:
    """As cameras keep levels or previews there, in which the mark of one may occur."""
    whole = saved("JPEG")
    for kind in (b"\xe3", b"\xe2", b"\xfe"):
        part = b"\xff" + kind + struct.pack(">H", 2 + 60_000) + 30_000 * b"\xff\xda"
        assert read(whole[:2] + 9 * part + whole[2:]).shape == PIXELS.shape


def tiff(*pages: dict[int, int], data: bytes = bytes(8)) -> bytes:
    """Returns a TIFF of gray pages, by their tags."""
    content = b"II*\0" + struct.pack("<I", 8 + len(data)) + data
    for number, page in enumerate(pages, 1):
        tags = {256: 1, 257: 1, 258: 8, 259: 1, 262: 1, 277: 1, **page}
        content += struct.pack("<H", len(tags)) + b"".join(
            struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags)
        )
        more = number < len(pages)
        content += struct.pack("<I", (len(content) + 4) * more)
    return content


def test_pages_are_counted(read: Callable[[bytes], np.ndarray]) -> None:
    strips = {273: 8, 278: 1, 279: 1}
    copy = {254: 1, **strips}
    assert read(tiff(strips, *99 * [copy])).shape == (1, 1, 3)
    unknown = {254: 1, 259: 77}  # of which nobody makes room for its parts
    assert read(tiff(strips, unknown)).shape == (1, 1, 3)
    said = BUSY.format("more than 99 smaller copies or masks")
    with pytest.raises(UserError, match=said):
        read(tiff(strips, *8000 * [copy]))


def test_tiles_are_of_the_limit(read: Callable[[bytes], np.ndarray]) -> None:
    data = zlib.compress(bytes(2000 * 2000))
    page = {256: 8, 257: 8, 259: 8, 322: 2000, 323: 2000, 324: 8, 325: len(data)}
    limit_pixels(4_000_000)
    assert read(tiff(page, data=data)).shape == (8, 8, 3)
    limit_pixels(3_999_999)
    said = r"a\.png has tiles of together 4000000 pixels, more than the 3999999 of"
    with pytest.raises(UserError, match=said):
        read(tiff(page, data=data))
    limit_pixels(8_000_000)
    tall = {**page, 257: 2001}  # ends in a second tile, whose data are missing
    with pytest.raises(UserError, match="names 1 parts, and its size makes 2"):
        read(tiff(tall, data=data))


def test_tiles_of_turned_images_are_counted_by_their_own_sides(
    read: Callable[[bytes], np.ndarray],
) -> None:
    data = zlib.compress(bytes(16 * 64))
    turned = {
        256: 16,
        257: 64,
        259: 8,
        274: 6,
        322: 16,
        323: 64,
        324: 8,
        325: len(data),
    }
    limit_pixels(16 * 64)  # and four tiles of these are across 64 pixels
    assert read(tiff(turned, data=data)).shape == (16, 64, 3)


@pytest.mark.parametrize("tag", [256, 273, 279, 325])
def test_sizes_are_read_as_the_decoder_reads_them(
    read: Callable[[bytes], np.ndarray], tag: int
) -> None:
    content = bytearray(tiff({273: 8, 278: 1, 279: 1, tag: 8 if tag == 273 else 1}))
    at = content.index(struct.pack("<HHI", tag, 4, 1))
    content[at + 2] = 17  # of 64 bits with a sign, which Pillow passes over
    with pytest.raises(UserError, match=r"a\.png (has entry|cannot be decoded)"):
        read(bytes(content))


def test_tags_of_all_bytes_hide_no_sizes(
    read: Callable[[bytes], np.ndarray],
) -> None:
    """Pillow takes no entry behind others that claim more bytes than there are."""
    rows = 64
    places = struct.pack(f"<{rows}I", *range(8, 8 + 12 * rows, 12))
    counts = struct.pack(f"<{rows}I", *rows * [len(zlib.compress(b"7"))])
    data = b"".join(zlib.compress(bytes([7])).ljust(12, b"\0") for _ in range(rows))
    start = 8 + len(data)
    page = {257: rows, 259: 8, 273: start, 278: 1, 279: start + len(places), 270: 0}
    content = bytearray(tiff(page, data=data + places + counts))
    for tag in (273, 279):
        content[content.index(struct.pack("<HHI", tag, 4, 1)) + 4] = rows
    at = content.index(struct.pack("<HHI", 270, 4, 1))  # a text of nearly all bytes
    content[at : at + 8] = struct.pack("<HHI", 270, 2, len(content) - 4 * rows - 106)
    assert (read(bytes(content)) == 7).all()


def test_strips_share_no_bytes(read: Callable[[bytes], np.ndarray]) -> None:
    rows, size = 64, 9000  # each strip of a row names the same bytes
    counts = struct.pack(f"<{rows}I", *rows * [size])
    places = struct.pack(f"<{rows}I", *rows * [8])
    data = bytes(size) + counts + places
    page = {257: rows, 259: 8, 273: 8 + size + len(counts), 278: 1, 279: 8 + size}
    content = bytearray(tiff(page, data=data))
    for tag in (273, 279):  # of so many numbers
        content[content.index(struct.pack("<HHI", tag, 4, 1)) + 4] = rows
    with pytest.raises(UserError, match="have more bytes together than the file"):
        read(bytes(content))

"""PNGs that Pillow reads as if they were sound: of other checksums, of two palettes."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from train.common.errors import UserError
from train.data.forms import Form
from train.data.image_files import opened
from train.data.images import read_image, read_mask, upright_size
from train.data.png_chunks import Unpacked

Read = Callable[..., np.ndarray]

MASK = np.arange(48, dtype=np.uint8).reshape(6, 8)
READERS: list[Read] = [read_image, read_mask]


def png(**options: int) -> bytearray:
    file = io.BytesIO()
    Image.fromarray(MASK).save(file, "PNG", **options)
    return bytearray(file.getvalue())


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("whole", [False, True])
def test_a_changed_checksum_is_seen(tmp_path: Path, read: Read, whole: bool) -> None:
    content, path = png(), tmp_path / "a.png"
    at = content.index(b"IDAT")
    length = int.from_bytes(content[at - 4 : at])
    content[at + 4 + length + 1] ^= 1 - whole
    path.write_bytes(content)
    with opened(path) as image:  # as Pillow reads it
        np.testing.assert_array_equal(np.asarray(image), MASK)
    if whole:
        assert read(path).shape[:2] == MASK.shape
        return
    for source in (path, bytes(content)):
        with pytest.raises(UserError, match="its pixels differ from their checksum"):
            read(source)


@pytest.mark.parametrize("read", READERS)
def test_pixels_in_several_chunks_are_read(tmp_path: Path, read: Read) -> None:
    rng = np.random.default_rng(0)
    large = rng.integers(0, 250, (400, 400), np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(large).save(path)
    assert path.read_bytes().count(b"IDAT") > 1
    assert (read(path).reshape(400, 400, -1)[..., 0] == large).all()


@pytest.mark.parametrize("read", READERS)
def test_a_png_begins_with_its_size(read: Read) -> None:
    content = png()
    text = b"tEXta\0b"
    first = (len(text) - 4).to_bytes(4) + text + zlib.crc32(text).to_bytes(4)
    content[8:8] = first
    with pytest.raises(UserError, match="a PNG begins with its size"):
        read(bytes(content))


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("interlaced", [False, True])
def test_a_png_has_all_of_its_pixels(
    tmp_path: Path, depth: int, interlaced: bool
) -> None:
    """Pillow takes missing ones for 0, which is a class, where the stream ends well."""
    sides = [(8, 6)]
    if interlaced:
        sides = [(1, 1), (1, 1), (2, 1), (2, 2), (4, 1), (4, 3), (8, 3)]
    lines = bytes(sum(tall * (1 + -(-wide * depth // 8)) for wide, tall in sides))
    head = struct.pack(">IIBBBBB", 8, 6, depth, 0, 0, 0, interlaced)
    path = tmp_path / "a.png"
    path.write_bytes(_png(head, lines))
    assert read_mask(path).shape == (6, 8) and not read_mask(path).any()
    path.write_bytes(_png(head, lines[:-1]))
    gray: Read = lambda path: read_image(path, Form(1, 8))  # noqa: E731
    for read in (*READERS, *[gray] * (depth == 8)):
        with pytest.raises(UserError, match="a.png .*has fewer pixels than it says"):
            read(path)


def test_chunks_behind_the_end_are_not_kept() -> None:
    head = struct.pack(">IIBBBBB", 8, 6, 8, 0, 0, 0, 0)
    unpacked = Unpacked(io.BytesIO(_png(head, b"")))
    for chunk in (zlib.compress(b"\0"), b"more", b"and more"):
        unpacked.add(chunk)
    assert unpacked.missing == 6 * 9 - 1 and not unpacked._stream.unused_data


def _png(head: bytes, lines: bytes) -> bytes:
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)
        for kind, data in chunks
    )


READ_SIZE: list[Read] = [
    *READERS,
    lambda path: np.zeros(upright_size(path)),
    lambda path: read_image(path, Form(1, 8)),
    lambda path: read_image(path, Form(1, 16)),
]


@pytest.mark.parametrize("read", READ_SIZE)
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("at", [8, 33, -12])
def test_a_png_has_one_size(tmp_path: Path, read: Read, depth: int, at: int) -> None:
    """Pillow takes the last before the pixels, and what it does not tell, the first."""
    content, path = png(), tmp_path / "a.png"
    head = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, depth, 0, 0, 0, 0)
    content[at:at] = (13).to_bytes(4) + head + zlib.crc32(head).to_bytes(4)
    path.write_bytes(content)
    with pytest.raises(UserError, match="a.png .*(has one size|of --pixel-limit)"):
        read(path)


ONCE = {
    b"PLTE": (bytes(6), "palette"),
    b"tRNS": (b"\xff", "transparency"),
    b"eXIf": (b"MM\0*\0\0\0\x08" + bytes(6), "EXIF"),
}


@pytest.mark.parametrize("read", READ_SIZE)
@pytest.mark.parametrize("kind", ONCE)
@pytest.mark.parametrize("count", [1, 2])
def test_a_png_has_one_of_what_changes_how_it_looks(
    tmp_path: Path, read: Read, kind: bytes, count: int
) -> None:
    """Pillow takes the last of two, other readers the first, or neither."""
    data, called = ONCE[kind]
    chunk = len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)
    image, path = Image.fromarray(np.zeros((6, 8), np.uint8)), tmp_path / "a.png"
    file = io.BytesIO()
    if kind != b"eXIf":
        image.putpalette(bytes([0, 0, 0, 9, 9, 9]))
    image.save(file, "PNG")
    content = file.getvalue()
    at = content.index(b"IDAT") - 4
    more = count - content.count(kind)
    path.write_bytes(content[:at] + more * chunk + content[at:])
    if count == 1:
        with opened(path) as found:
            assert found.size == (8, 6)
        return
    with pytest.raises(UserError, match=f"a.png .*a PNG has one {called}"):
        read(path)


def test_parts_that_readers_must_know(tmp_path: Path) -> None:
    """Pillow decodes DDAT as it does IDAT, whose checksums alone are compared."""
    whole, path = bytes(png()), tmp_path / "a.png"
    at = whole.index(b"IDAT") - 4
    for kind, said in ((b"DDAT", "its part 'DDAT' is unknown"), (b"dDAT", "")):
        checksum = zlib.crc32(kind).to_bytes(4)
        path.write_bytes(whole[:at] + bytes(4) + kind + checksum + whole[at:])
        if not said:
            np.testing.assert_array_equal(read_mask(path), MASK)
            continue
        for read in READ_SIZE:
            with pytest.raises(UserError, match=said):
                read(path)


def with_text(keyword: str, how: str, *, behind: bool) -> bytes:
    file, texts = io.BytesIO(), PngInfo()
    if how == "international":
        texts.add_itxt(keyword, "none")
    else:
        texts.add_text(keyword, "none", zip=how == "zip")
    Image.fromarray(MASK).save(file, "PNG", pnginfo=texts)
    content = file.getvalue()
    start, end = content.index(b"Xt") - 6, content.index(b"IDAT") - 4
    text, plain = content[start:end], content[:start] + content[end:]
    return plain[:-12] + text + plain[-12:] if behind else content


@pytest.mark.parametrize("keyword", ["transparency", "exif", "interlace", "bbox"])
@pytest.mark.parametrize("how", ["text", "zip", "international"])
@pytest.mark.parametrize("behind", [False, True])
def test_texts_are_not_taken_for_what_a_png_says(
    tmp_path: Path, keyword: str, how: str, behind: bool
) -> None:
    """Pillow keeps both under one name, and decodes by a text called interlace."""
    path = tmp_path / "a.png"
    path.write_bytes(with_text(keyword, how, behind=behind))
    for found in (read_mask(path), read_image(path)[..., 0]):
        np.testing.assert_array_equal(found, MASK)
    assert upright_size(path) == MASK.shape


@pytest.mark.parametrize("at", [33, -12])
def test_a_changed_part_beside_the_pixels_is_seen(tmp_path: Path, at: int) -> None:
    """It may have been the one that turns the image, or makes some of it clear."""
    content, path = png(), tmp_path / "a.png"
    part = b"tRnS\0"
    for checksum, said in ((zlib.crc32(part), ""), (zlib.crc32(b"tRNS\0"), "tRnS")):
        chunk = (1).to_bytes(4) + part + checksum.to_bytes(4)
        path.write_bytes(content[:at] + chunk + content[at:])
        if not said:
            np.testing.assert_array_equal(read_mask(path), MASK)
            continue
        for read in READ_SIZE:
            with pytest.raises(UserError, match=f"part '{said}' differs from its chec"):
                read(path)


def test_doubts_of_pillow_are_not_told() -> None:
    warn = (
        "import warnings, train.data.image_files; "
        "warnings.warn_explicit('doubt', UserWarning, 'f', 1, module='PIL.Tiff'); "
        "warnings.warn_explicit('other', UserWarning, 'f', 1, module='else')"
    )
    found = subprocess.run(
        [sys.executable, "-W", "default", "-c", warn],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        timeout=100,
    )
    assert "other" in found.stderr and "doubt" not in found.stderr

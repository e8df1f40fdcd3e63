"""TIFFs of 8 bits: what is read is whole and right, all else is refused by name."""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data.images import read_image, upright_size

from .channel_files import entry_of, tiff

PIXELS = np.random.default_rng(0).integers(0, 256, (37, 41, 3), dtype=np.uint8)
PIXELS[8:] = np.arange(41)[:, None] // 3 + np.arange(3) * 77
PHOTO = Image.fromarray(PIXELS)
CODECS = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "lzma", "zstd")
DEFLATE_OF_OLD, CODE_OF = (
    32946,
    dict(zip(CODECS, (1, 5, 8, 32773, 34925, 50000), strict=True)),
)
RGB, GRAY = {262: [2]}, {262: [1]}

Read = Callable[[bytes], np.ndarray]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads an image of a content."""
    path = tmp_path / "a.tif"

    def read_content(content: bytes) -> np.ndarray:
        path.write_bytes(content)
        return read_image(path)

    return read_content


def saved(image: Image.Image = PHOTO, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "TIFF", strip_size=1000, **options)
    return file.getvalue()


def changed(content: bytes, tag: int, how: Callable[[list[int]], list[int]]) -> bytes:
    """Returns a TIFF with other numbers of a tag, as many or fewer."""
    place, letter, length, there = entry_of(content, tag)
    values = how(list(struct.unpack_from(f"<{length}{letter}", content, there)))
    found = bytearray(content)
    struct.pack_into(f"<{len(values)}{letter}", found, there, *values)
    struct.pack_into("<I", found, place + 4, len(values))
    return bytes(found)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("mode", ["RGB", "L", "1", "RGBA", "CMYK", "LA"])
def test_what_pillow_wrote_is_read(read: Read, codec: str, mode: str) -> None:
    image = PHOTO.convert(mode)
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(read(saved(image, compression=codec)), expected)


@pytest.mark.parametrize(
    "how",
    [
        {"order": ">"},
        {"separate": True},
        {"deflate": True, "predictor": True},
        {"deflate": True, "predictor": True, "tile": 16},
        {"deflate": True, "tags": {259: [DEFLATE_OF_OLD]}},
        {"tile": 32},
        {"separate": True, "tile": 16},
        {"rows": 100},
        {"tags": {278: [2**32 - 1]}, "rows": 37},
    ],
    ids=str,
)
def test_other_layouts_are_read(read: Read, how: dict[str, Any]) -> None:
    np.testing.assert_array_equal(read(tiff(PIXELS, **how)), PIXELS)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tile", [0, 16])
@pytest.mark.parametrize("deflate", [False, True])
def test_sixteen_bits(read: Read, order: Any, tile: int, deflate: bool) -> None:
    """Of channels that lie apart Pillow would take two rows of bytes for one."""
    deep = PIXELS * np.uint16(256) + PIXELS[::-1]
    how: Any = {"order": order, "tile": tile, "deflate": deflate}
    np.testing.assert_array_equal(read(tiff(deep, **how)), PIXELS)
    with pytest.raises(UserError, match="16 bits whose channels lie apart"):
        read(tiff(deep, separate=True, **how))


@pytest.mark.parametrize("deflate", [False, True])
def test_gray_levels_with_opacity(read: Read, deflate: bool) -> None:
    """Pillow has no mode for those of 16 bits: it would call the file none it knows."""
    pixels, tags = PIXELS[..., :2], {338: [2]}
    expected = pixels[..., :1].repeat(3, axis=-1)
    found = read(tiff(pixels, deflate=deflate, tags=tags))
    np.testing.assert_array_equal(found, expected)
    said = "with opacity, of 16 bits each.*--bit-depth 16 --channels 2"
    with pytest.raises(UserError, match=said):
        read(tiff(pixels * np.uint16(256), deflate=deflate, tags=tags))


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("white", [0, 1])
def test_few_bits_and_white_for_0(read: Read, bits: int, white: int) -> None:
    width, height, values = 8 * 5, 7, np.arange(7 * 40).reshape(7, 40) % 2**bits
    of_bits = (values[..., None] >> np.arange(bits)[::-1]) & 1
    packed = np.packbits(of_bits.reshape(height, -1), axis=1)
    tags = {256: [width], 258: [bits], 262: [white]}
    found = read(tiff(packed[..., None], tags=tags))
    expected = values * (255 // (2**bits - 1))
    expected = expected if white else 255 - expected
    np.testing.assert_array_equal(found[..., 0], expected)


@pytest.mark.parametrize(
    "tags, said",
    [
        ({262: [0]}, "8 bits and 0 for white whose channels lie apart"),
        ({262: [0], 258: [1], 256: [8 * 41]}, "1 bits and 0 for white"),
        ({258: [4], 256: [2 * 41]}, "4 bits whose channels lie apart"),
        ({258: [2], 256: [4 * 41]}, "2 bits whose channels lie apart"),
    ],
)
@pytest.mark.parametrize("deflate", [False, True])
def test_one_channel_that_lies_apart(
    read: Read, tags: dict[int, list[int]], said: str, deflate: bool
) -> None:
    """Pillow takes the first letter of the kind alone, which has bits and white."""
    gray = PIXELS[..., :1]
    plain = read(tiff(gray, separate=True, deflate=deflate))
    np.testing.assert_array_equal(plain, gray.repeat(3, axis=-1))
    with pytest.raises(UserError, match=said):
        read(tiff(gray, separate=True, deflate=deflate, tags=tags))


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("said", [[], [0], [2], [0, 0], [0, 2]], ids=str)
@pytest.mark.parametrize("colors", [1, 3, 4])
@pytest.mark.parametrize("more", [0, 1, 2])
def test_further_channels_that_lie_apart(
    read: Read, colors: int, more: int, said: list[int], deflate: bool
) -> None:
    """Pillow divides colors by those of which nothing is said."""
    if colors == 1 and more > 1:
        return  # of gray, more than opacity is refused
    pixels = np.concatenate([PIXELS, PIXELS], axis=-1)
    tags = {262: [{1: 1, 3: 2, 4: 5}[colors]], 338: said[:more]}
    how: Any = {"deflate": deflate, "separate": True, "tags": tags}
    found = read(tiff(pixels[..., : colors + more], **how))
    alone = read(tiff(pixels[..., :colors], tags={262: tags[262]}))
    np.testing.assert_array_equal(found, alone)


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("deflate", [False, True])
def test_levels_that_were_multiplied_by_opacity(
    read: Read, separate: bool, deflate: bool
) -> None:
    how: Any = {"deflate": deflate, "separate": separate}
    said = r"a\.tif is a TIFF whose levels were multiplied .*Save it without opacity"
    for colors in (1, 3):
        tags = {262: [{1: 1, 3: 2}[colors]], 338: [1]}
        pixels = np.concatenate([PIXELS, PIXELS], axis=-1)[..., : colors + 1]
        if colors == 3 and not separate:
            assert read(tiff(pixels, **how, tags=tags)).shape == PIXELS.shape
            continue
        with pytest.raises(UserError, match=said):
            read(tiff(pixels, **how, tags=tags))


@pytest.mark.parametrize("dtype, extra", [("u1", [0, 1]), ("u2", [0, 0])])
def test_channels_that_pillow_does_not_know(
    read: Read, dtype: str, extra: list[int]
) -> None:
    pixels = np.concatenate([PIXELS, PIXELS[..., :2]], axis=-1).astype(dtype)
    with pytest.raises(UserError, match="of other channels, .*or train with --chann"):
        read(tiff(pixels, tags={**RGB, 338: extra}))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("left", [0.9, 0.5, 0.0])
def test_parts_cut_short(read: Read, codec: str, left: float) -> None:
    whole = saved(compression=codec)
    assert (read(whole) == PIXELS).all()
    cut = changed(whole, 279, lambda sizes: [int(size * left) for size in sizes])
    with pytest.raises(UserError, match=r"a\.tif cannot be decoded"):
        read(cut)


@pytest.mark.parametrize("codec", CODECS[1:])  # plain ones have one part by Pillow
@pytest.mark.parametrize("read_it", [read_image, upright_size])
def test_fewer_parts_than_the_size_makes(
    tmp_path: Path, codec: str, read_it: Callable[[Path], Any]
) -> None:
    path, whole = tmp_path / "a.tif", saved(compression=codec)
    count = entry_of(whole, 273)[2]
    for tag in (273, 279):
        whole = changed(whole, tag, lambda numbers: numbers[: count // 2])
    path.write_bytes(whole)
    said = f"names {count // 2} parts, and its size makes {count}"
    with pytest.raises(UserError, match=said):
        read_it(path)


@pytest.mark.parametrize("tile", [0, 16])
def test_fewer_parts_without_compression(read: Read, tile: int) -> None:
    """Whose rest Pillow leaves black."""
    places, sizes = (324, 325) if tile else (273, 279)
    whole = tiff(PIXELS, tile=tile, rows=10)
    half = {
        tag: list(struct.unpack_from("<2I", whole, entry_of(whole, tag)[3]))
        for tag in (places, sizes)
    }
    with pytest.raises(UserError, match="names 2 parts"):
        read(tiff(PIXELS, tile=tile, rows=10, tags=half))


@pytest.mark.parametrize(
    "tags, said",
    [
        ({259: [2]}, "CCITT.*Save it with one of: none, LZW, deflate, PackBits, LZMA"),
        ({259: [7], 262: [6]}, "another compression .JPEG."),
        *[
            ({259: [code]}, "another compression")
            for code in (3, 4, 6, 7, 32771, 34712, 50001, 50002)
        ],
        ({266: [2]}, "lowest bit"),
        ({262: [3]}, "of a palette.*Save it as RGB"),
        ({262: [6]}, "YCbCr.*Save it as RGB"),
        ({262: [8]}, "Lab"),
        ({262: [1], 338: [0, 0]}, "more channels than opacity.*Save it as RGB"),
        ({339: [2] * 3}, "without a sign"),
        ({339: [3] * 3}, "without a sign"),
        ({258: [32] * 3}, "without a sign|cannot be decoded|is damaged"),
        ({317: [3]}, "another predictor"),
        ({278: [0]}, "parts without any"),
        ({254: [1]}, "first page is a smaller copy or a mask.*Save that picture"),
        ({254: [4]}, "first page is a smaller copy or a mask"),
        ({255: [2]}, "first page is a smaller copy or a mask"),
        ({322: [16], 323: [16]}, "both strips and tiles"),
    ],
    ids=str,
)
def test_what_pillow_would_take_is_refused(
    read: Read, tags: dict[int, list[int]], said: str
) -> None:
    with pytest.raises(UserError, match=f"a.tif.*({said})"):
        read(tiff(PIXELS, tags=tags))


def test_levels_with_a_sign(read: Read) -> None:
    with pytest.raises(UserError, match="of 1, 2, 4, 8 or 16 bits without a sign"):
        read(tiff(PIXELS[..., :1], tags={339: [2]}))


@pytest.mark.parametrize("compression", ["jpeg", "group3", "group4", "tiff_ccitt"])
def test_decoders_that_fill_up_are_not_asked(read: Read, compression: str) -> None:
    image = PHOTO if compression == "jpeg" else PHOTO.convert("1")
    with pytest.raises(UserError, match=r"a\.tif is a TIFF of another compr"):
        read(saved(image, compression=compression))


@pytest.mark.parametrize("codec", CODECS[1:])
@pytest.mark.parametrize("kind", ["zeros", "ones", "random", "half"])
def test_decoders_are_silent(
    read: Read, codec: str, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    content = bytearray(saved(compression=codec))
    _, letter, count, there = entry_of(content, 273)
    starts = struct.unpack_from(f"<{count}{letter}", content, there)
    _, letter, count, there = entry_of(content, 279)
    sizes = struct.unpack_from(f"<{count}{letter}", content, there)
    random = np.random.default_rng(1)
    for start, size in zip(starts, sizes, strict=True):
        first = start + size // 2 if kind == "half" else start
        count = start + size - first
        noise = {"zeros": bytes(count), "ones": b"\xff" * count}
        content[first : start + size] = noise.get(kind, random.bytes(count))
    if codec == "packbits":  # has no code that is wrong
        with contextlib.suppress(UserError):
            read(bytes(content))
    else:
        with pytest.raises(UserError, match=r"a\.tif cannot be decoded"):
            read(bytes(content))
    assert capfd.readouterr() == ("", "")

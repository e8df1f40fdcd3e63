"""JPEG 2000: work beyond the pixels, and boxes that say what components mean."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data.images import read_image

pytestmark = pytest.mark.skipif(
    "JPEG2000" not in Image.SAVE, reason="Pillow was built without JPEG 2000"
)
Read = Callable[[bytes], np.ndarray]

RED = np.tile(np.array([250, 0, 10], np.uint8), (64, 64, 1))
GRAY = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
SRGB, LAB, LEVELS, YCC = 16, 14, 17, 18


BUSY = r"a\.jp2 has {}.*, which would keep a decoder busy.*Save it anew"


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads an image of a content."""
    path = tmp_path / "a.jp2"

    def read_content(content: bytes) -> np.ndarray:
        path.write_bytes(content)
        return read_image(path)

    return read_content


def saved(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG2000", **options)
    return file.getvalue()


def jpeg_2000(*, layers: int = 1, precincts: bytes = b"", **options: Any) -> bytes:
    """Returns a file that claims layers, and precincts of sizes by resolution."""
    image = Image.new("RGB", (256, 256))
    whole = bytearray(saved(image, no_jp2=True, **options))
    at = whole.find(b"\xff\x52")
    whole[at + 6 : at + 8] = struct.pack(">H", layers)
    whole[at + 4] |= bool(precincts)
    whole[at + 2 : at + 4] = struct.pack(">H", 12 + len(precincts))
    return bytes(whole[: at + 14] + precincts + whole[at + 14 :])


def with_grid(components: int, tile: int) -> bytes:
    """Returns a JPEG 2000 of 256×256 pixels that claims components, and tiles."""
    whole = bytearray(saved(Image.new("RGB", (256, 256))))
    at = whole.index(b"\xff\x51") + 2
    struct.pack_into(">II", whole, at + 20, tile, tile)
    struct.pack_into(">H", whole, at + 36, components)
    pixels = whole.index(b"jp2c") - 4  # which Pillow looks at right behind the head
    return bytes(whole[:pixels] + struct.pack(">I4s", 8, b"free") + whole[pixels:])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"layers": 50},
        {"tile_size": (32, 32)},
        {"precincts": b"\x77" * 6},
        {"precincts": b"\x44" * 6, "layers": 12},
    ],
    ids=str,
)
def test_usual_jpeg_2000(read: Read, options: dict[str, Any]) -> None:
    assert read(jpeg_2000(**options)).shape == (256, 256, 3)


def test_components_and_tiles(read: Read) -> None:
    with pytest.raises(UserError, match=BUSY.format("38 components")):
        read(with_grid(38, 256))
    many = "196608 components of tiles for 65536 pixels"
    with pytest.raises(UserError, match=BUSY.format(many)):
        read(with_grid(3, 1))


def test_layers_and_precincts(read: Read) -> None:
    many = "65535 layers in 64 tiles, .* packets for 65536 pixels"
    with pytest.raises(UserError, match=BUSY.format(many)):
        read(jpeg_2000(layers=65535, tile_size=(32, 32)))
    small = BUSY.format(".* precincts in a tile for 65536 pixels")
    with pytest.raises(UserError, match=small):
        read(jpeg_2000(precincts=b"\x11" * 6))
    whole = jpeg_2000()
    of_one_component = struct.pack(">2H7B", 0xFF53, 15, 0, 1, 5, 4, 4, 0, 1)
    for at in (whole.find(b"\xff\x5c"), len(whole) - 2):
        with pytest.raises(UserError, match=small):
            read(whole[:at] + of_one_component + b"\x11" * 6 + whole[at:])


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def numbered(space: int) -> bytes:
    return box(b"colr", struct.pack(">BBBI", 1, 0, 0, space))


def of_profile(space: bytes) -> bytes:
    return box(b"colr", b"\2\0\0" + bytes(16) + space + bytes(108))


def meaning(*channels: tuple[int, int, int]) -> bytes:
    """Returns channel definitions: the channel, its type, and what it is of."""
    numbers = [number for channel in channels for number in channel]
    return box(b"cdef", struct.pack(f">H{len(numbers)}H", len(channels), *numbers))


def palette(*columns: int) -> bytes:
    colors = bytes([255, 0, 0, 255, 0, 0, 0, 0, 255])  # of which Pillow counts red once
    entries = struct.pack(">HB", 3, 3) + b"\7\7\7" + colors
    mapped = b"".join(struct.pack(">HBB", 0, 1, column) for column in columns)
    return box(b"pclr", entries) + box(b"cmap", mapped)


def jp2(pixels: np.ndarray, *boxes: bytes, long: bool = False) -> bytes:
    how = {"irreversible": False, "no_jp2": True, "mct": 0}
    tall, wide, *channels = pixels.shape
    head = struct.pack(">IIHBBBB", tall, wide, *(channels or [1]), 7, 7, 0, 0)
    return (
        box(b"jP  ", b"\r\n\x87\n")
        + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
        + (struct.pack(">I4sQ", 1, b"free", 17) + b"a") * long
        + box(b"jp2h", box(b"ihdr", head) + b"".join(boxes))
        + box(b"jp2c", saved(Image.fromarray(pixels), **how))
    )


OPAQUE = np.dstack([RED, np.full((64, 64), 255, np.uint8)])
COLORS = (0, 0, 1), (1, 0, 2), (2, 0, 3)


@pytest.mark.parametrize(
    "pixels, boxes",
    [
        (RED, [numbered(SRGB)]),
        (RED, [of_profile(b"RGB ")]),
        (RED, [meaning(*COLORS), numbered(SRGB)]),
        (OPAQUE, [numbered(SRGB), meaning((3, 1, 0), *COLORS)]),
        (GRAY, [numbered(LEVELS), meaning((0, 0, 1))]),
        (GRAY, [of_profile(b"GRAY")]),
    ],
)
@pytest.mark.parametrize("long", [False, True])
def test_usual_boxes(
    pixels: np.ndarray,
    boxes: list[bytes],
    long: bool,
    read: Read,
) -> None:
    found = read(jp2(pixels, *boxes, long=long))
    expected = np.atleast_3d(pixels)[..., :3]  # gray is there for each color
    assert (found == expected).all()


@pytest.mark.parametrize(
    "pixels, boxes, said",
    [
        (RED, [numbered(SRGB), meaning((0, 0, 3), (1, 0, 2), (2, 0, 1))], "in another"),
        (RED, [numbered(SRGB), meaning((0, 1, 0))], "in another order"),
        (OPAQUE, [numbered(SRGB), meaning(*COLORS, (3, 0, 1))], "in another order"),
        (GRAY, [numbered(SRGB), palette(0, 1, 2)], "with a palette"),
        (GRAY, [palette(2, 1, 0), numbered(SRGB)], "with a palette"),
        (RED, [numbered(LAB)], "not gray, RGB, YCC or CMYK alone"),
        (RED, [of_profile(b"Lab ")], "not gray, RGB, YCC or CMYK alone"),
        (OPAQUE, [of_profile(b"CMYK")], "not gray, RGB, YCC or CMYK alone"),
        (RED, [numbered(SRGB), numbered(YCC)], "not gray, RGB, YCC or CMYK alone"),
        (RED, [numbered(LEVELS)], "not gray, RGB, YCC or CMYK alone"),
        (RED, [], "not gray, RGB, YCC or CMYK alone"),
    ],
)
def test_components_that_mean_something_else(
    pixels: np.ndarray,
    boxes: list[bytes],
    said: str,
    read: Read,
) -> None:
    with pytest.raises(UserError, match=rf"a\.jp2 is a JPEG 2000 .*{said}.*as PNG"):
        read(jp2(pixels, *boxes))


@pytest.mark.parametrize("said", [11, 15, 3, 7 + 128])
def test_other_depths(said: int, read: Read) -> None:
    """White, which Pillow reads of 12 and 16 bits as black."""
    whole = bytearray(saved(Image.new("RGB", (64, 64), "white"), no_jp2=True))
    assert set(whole[42:51:3]) == {7}
    read(bytes(whole))
    whole[45] = said
    with pytest.raises(UserError, match="JPEG 2000 of other than 8 bits .* as PNG"):
        read(bytes(whole))


def test_boxes_that_are_none(read: Read) -> None:
    whole = jp2(RED, numbered(SRGB))
    at = whole.index(b"jp2c") - 4
    for more in (box(b"jp2h", b""), struct.pack(">I", 7) + b"free", b"\0\0"):
        with pytest.raises(UserError, match=r"a\.jp2 cannot be decoded"):
            read(whole[:at] + more + whole[at:])

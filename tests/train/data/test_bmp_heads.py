"""BMP: each kind that is read has the pixels of a small reader, others are refused."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data.images import read_image, read_mask

HEIGHT, WIDTH = 5, 11  # rows of no whole number of 4 bytes
COLORS = [(9 * i % 256, 255 - i, 3 * i % 256) for i in range(256)]
BLACK_AND_WHITE = [(0, 0, 0), (255, 255, 255)]
GRAYS = [(i, i, i) for i in range(256)]

Colors = Sequence[tuple[int, ...]]


def bmp(
    bits: int,
    palette: Colors | None = None,
    *,
    values: np.ndarray | None = None,
    head: int = 40,
    compression: int = 0,
    masks: tuple[int, ...] = (),
    used: int = 0,
    down: bool = False,
    start: int = 0,
) -> bytes:
    """Returns a BMP of values that are drawn unless they are given."""
    values = drawn(bits, len(palette or ())) if values is None else values
    rows = b"".join(packed(row, bits) for row in (values if down else values[::-1]))
    height = -HEIGHT if down else HEIGHT
    if head == 12:
        second = struct.pack("<IHHHH", head, WIDTH, HEIGHT, 1, bits)
    else:
        second = struct.pack(
            "<IiiHHIIiiII", head, WIDTH, height, 1, bits, compression, 0, 0, 0, used, 0
        )
    second += struct.pack(f"<{len(masks)}I", *masks)
    second += bytes(max(0, head - len(second)))
    for red, green, blue in palette or ():
        second += bytes([blue, green, red] + [0] * (head != 12))
    start = start or 14 + len(second)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + second + rows


def drawn(bits: int, colors: int) -> np.ndarray:
    most = min(2**bits, colors or 2**bits)
    random = np.random.default_rng(bits)
    return random.integers(0, most, (HEIGHT, WIDTH), dtype=np.uint32)


def packed(row: np.ndarray, bits: int) -> bytes:
    """Returns a row, whose values of 8 bits and less begin at the highest bit."""
    if bits < 8:
        of_bits = (row[:, None] >> np.arange(bits)[::-1]) & 1
        content = np.packbits(of_bits.astype(np.uint8)).tobytes()
    else:
        of_bytes = row.astype("<u4").view(np.uint8).reshape(-1, 4)
        content = of_bytes[:, : bits // 8].tobytes()
    return content + bytes(-len(content) % 4)


def levels(values: np.ndarray, masks: tuple[int, ...]) -> np.ndarray:
    """Returns what the bits of masks mean, `[height, width, 3]`."""
    channels = []
    for mask in masks[:3]:
        lowest = (mask & -mask).bit_length() - 1
        channels.append((values & mask) >> lowest)
    most = [mask >> ((mask & -mask).bit_length() - 1) for mask in masks[:3]]
    return np.stack(channels, -1).astype(int) * 255 // np.array(most)


def read(tmp_path: Path, content: bytes) -> np.ndarray:
    path = tmp_path / "a.bmp"
    path.write_bytes(content)
    return read_image(path)


@pytest.mark.parametrize("head", [12, 40, 56, 108, 124])
@pytest.mark.parametrize(
    "bits, palette",
    [
        (1, BLACK_AND_WHITE),
        (1, BLACK_AND_WHITE[::-1]),
        (1, COLORS[:2]),
        (4, COLORS[:16]),
        (8, COLORS),
        (8, GRAYS),
        (8, GRAYS[::-1]),
    ],
    ids=["bits", "inverted", "two", "sixteen", "colors", "gray", "gray down"],
)
def test_palettes(tmp_path: Path, bits: int, palette: Colors, head: int) -> None:
    found = read(tmp_path, bmp(bits, palette, head=head))
    expected = np.array(palette)[drawn(bits, len(palette))]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("bits, used", [(8, 3), (8, 200), (4, 5), (1, 2)])
def test_palettes_of_few_colors(
    tmp_path: Path, bits: int, used: int, down: bool
) -> None:
    palette = COLORS[:used]
    found = read(tmp_path, bmp(bits, palette, used=used, down=down))
    np.testing.assert_array_equal(found, np.array(palette)[drawn(bits, used)])


def test_grays_of_fewer_levels_are_refused(tmp_path: Path) -> None:
    """Pillow takes their numbers for levels, beyond the last as well."""
    values = np.full((HEIGHT, WIDTH), 200)
    with pytest.raises(UserError, match="whose palette is black and white, or gray"):
        read(tmp_path, bmp(8, GRAYS[:16], used=16, values=values))


@pytest.mark.parametrize("bits", [8, 16, 24])
def test_masks_are_not_read(tmp_path: Path, bits: int) -> None:
    """Those of 16 bits have levels of 5, which Pillow stretches to other classes."""
    (tmp_path / "a.png").write_bytes(bmp(bits, GRAYS if bits == 8 else None))
    with pytest.raises(UserError, match=r"a\.png holds BMP, which is not read as a m"):
        read_mask(tmp_path / "a.png")


OF_16 = [(0xF800, 0x7E0, 0x1F), (0x7C00, 0x3E0, 0x1F)]
OF_32 = [
    (0xFF0000, 0xFF00, 0xFF, 0),
    (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
    (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
]


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("bits", [16, 24, 32])
def test_colors(tmp_path: Path, bits: int, down: bool) -> None:
    masks = OF_16[1] if bits == 16 else OF_32[0]
    found = read(tmp_path, bmp(bits, down=down))
    np.testing.assert_array_equal(found, levels(drawn(bits, 0), masks))


@pytest.mark.parametrize(
    "bits, masks", [*((16, of) for of in OF_16), *((32, of) for of in OF_32)], ids=str
)
@pytest.mark.parametrize("head", [40, 52, 56, 108, 124])
def test_colors_by_masks(
    tmp_path: Path, bits: int, masks: tuple[int, ...], head: int
) -> None:
    if head < 56:
        masks = masks[:3]
    content = bmp(bits, head=head, compression=3, masks=masks)
    if masks == OF_32[2][:3]:  # which Pillow takes with alpha alone
        with pytest.raises(UserError, match=r"a\.bmp (is a BMP|cannot be decoded)"):
            read(tmp_path, content)
        return
    found = read(tmp_path, content)
    np.testing.assert_array_equal(found, levels(drawn(bits, 0), masks))


@pytest.mark.parametrize(
    "bits, palette, used",
    [
        (8, BLACK_AND_WHITE, 2),
        (4, BLACK_AND_WHITE, 2),
        (8, [(0, 0, 0)], 1),
        (4, GRAYS[:16], 0),
        (4, GRAYS[:5], 5),
    ],
    ids=str,
)
@pytest.mark.parametrize("reader", [read_image, read_mask])
def test_palettes_that_pillow_takes_for_levels_are_refused(
    tmp_path: Path, bits: int, palette: Colors, used: int, reader: object
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(bmp(bits, palette, used=used))
    said = rf"a\.png is a BMP of {bits} bits .*black and white, or gray.*Save it as PNG"
    with pytest.raises(UserError, match=said):
        reader(path)  # type: ignore[operator]


def test_what_pillow_writes_of_a_mask_of_two_values_is_refused(tmp_path: Path) -> None:
    mask = Image.fromarray(np.eye(40, 64, dtype=np.uint8))
    mask.putpalette([0, 0, 0, 255, 255, 255])
    mask.save(tmp_path / "a.bmp")
    with pytest.raises(UserError, match="palette is black and white"):
        read_image(tmp_path / "a.bmp")


@pytest.mark.parametrize(
    "content, said",
    [
        (bmp(8, COLORS, compression=1), "with run lengths"),
        (bmp(4, COLORS[:16], compression=2), "with run lengths"),
        (bmp(8, COLORS, head=64), "whose head has 64 bytes"),
        (bmp(8, COLORS, compression=3, head=108, masks=OF_16[0]), "masks|decoded"),
        (bmp(16, compression=3, masks=(0xF00, 0xF0, 0xF)), "masks|decoded"),
        (
            bmp(16, compression=3, head=56, masks=(0x7C00, 0x3E0, 0x1F, 0x8000)),
            "of other masks of bits than usual",
        ),
        (bmp(32, compression=3, masks=(0, 0, 0)), "of other masks of bits than usual"),
        (bmp(32, compression=3, masks=OF_32[0][:3], start=58), "begin within its head"),
        (bmp(8, COLORS[:9], start=60), "begin within its head"),
        (bmp(8, COLORS, start=54), "begin within its head"),
        (bmp(8, COLORS, used=257), "begin within its head"),
        (bmp(24)[:-4], "cannot be decoded"),
    ],
)
def test_other_kinds_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(UserError, match=rf"a\.bmp.*({said})"):
        read(tmp_path, content)


def test_what_pillow_writes_is_read(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 9, 4), dtype=np.uint8)
    image = Image.fromarray(pixels)
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        file = io.BytesIO()
        image.convert(mode).save(file, "BMP")
        expected = np.asarray(image.convert(mode).convert("RGB"))
        np.testing.assert_array_equal(read(tmp_path, file.getvalue()), expected)

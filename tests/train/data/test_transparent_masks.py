"""Masks with a value, a color or an entry of the palette that is transparent."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data.images import read_mask

from .png_files import write_png

MASK = np.repeat(np.arange(3, dtype=np.uint8), 4).reshape(3, 4)
COLORS = np.array([[0, 0, 0], [1, 1, 1], [9, 8, 7]], np.uint8)


def palette() -> Image.Image:
    image = Image.fromarray(MASK)
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    return image


@pytest.mark.parametrize(
    ("picture", "clear", "unused"),
    [
        (palette(), 1, 3),
        (palette(), bytes([255, 128]), bytes([255, 255, 255, 0])),
        (Image.fromarray(MASK), 1, 3),
        (Image.fromarray(MASK.astype(np.uint16)), 1, 3),
        (Image.fromarray(COLORS[MASK]), (1, 1, 1), (1, 1, 2)),
        (Image.fromarray(MASK == 1), 1, None),
    ],
    ids=["P", "P of alphas", "L", "L of 16 bits", "RGB", "1"],
)
def test_transparent_pixels_are_refused_however_they_are_said(
    picture: Image.Image, clear: Any, unused: Any, tmp_path: Path
) -> None:
    path, colors = tmp_path / "a.png", None if picture.mode == "P" else COLORS
    for source in (path, None):
        picture.save(path, transparency=clear)
        with pytest.raises(
            UserError, match=r"4 transparent pixels, the first at \(1, 0"
        ):
            read_mask(source or path.read_bytes(), colors)
    if unused is not None:
        picture.save(path, transparency=unused)
        np.testing.assert_array_equal(read_mask(path, colors), MASK)


def test_opacity_that_looks_like_the_end_of_a_line(tmp_path: Path) -> None:
    """Pillow passes over the second of these, of value 10, and tells the first."""
    picture, values = palette(), np.where(MASK == 0, 2, MASK).astype(np.uint8)
    palette_of = picture.getpalette()
    picture = Image.fromarray(values)
    picture.putpalette(palette_of or [])
    picture.save(tmp_path / "a.png", transparency=bytes([0, 10]))
    with pytest.raises(UserError, match=r"4 transparent pixels, the first at \(1, 0"):
        read_mask(tmp_path / "a.png")


def test_levels_of_few_bits_are_compared_as_they_are_stored(tmp_path: Path) -> None:
    """Pillow shows level 1 of 2 bits as 85, and gives what is transparent as 1."""
    for depth, level in ((2, 1), (2, 0xFFFD), (8, 0x0101)):  # higher bits say nothing
        path = write_png(tmp_path / "a.png", MASK, depth=depth)
        np.testing.assert_array_equal(read_mask(path), MASK)
        content = path.read_bytes()
        data = b"tRNS" + level.to_bytes(2)
        chunk = (2).to_bytes(4) + data + zlib.crc32(data).to_bytes(4)
        path.write_bytes(content[:33] + chunk + content[33:])
        with pytest.raises(UserError, match=r"4 transparent pixels, the first at \(1"):
            read_mask(path)

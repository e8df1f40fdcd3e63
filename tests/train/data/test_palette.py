import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data.images import read_image, read_mask
from train.data.palette import colorize, mask_png, overlay, voc_colormap

from .png_files import write_png

COLORS = np.array([[10, 20, 30], [200, 100, 0]], np.uint8)
MASK = np.array([[0, 1, 255], [1, 0, 7]], np.uint8)
IGNORED_COLOR = [224, 224, 192]


def test_voc_colormap_is_the_published_one():
    colors = voc_colormap()
    assert colors.dtype == np.uint8
    published = {0: [0, 0, 0], 6: [0, 128, 128], 15: [192, 128, 128], 20: [0, 64, 128]}
    assert {index: colors[index].tolist() for index in published} == published
    assert colors[255].tolist() == IGNORED_COLOR
    assert len(np.unique(colors, axis=0)) == 256
    np.testing.assert_array_equal(voc_colormap(21), colors[:21])


def test_colorize_paints_what_has_no_color_as_ignored():
    painted = colorize(MASK, COLORS)
    assert painted.dtype == np.uint8
    first, second = COLORS.tolist()
    assert painted.tolist() == [
        [first, second, IGNORED_COLOR],
        [second, first, IGNORED_COLOR],
    ]


def test_saved_mask_keeps_indices_and_colors(tmp_path):
    (tmp_path / "mask.png").write_bytes(mask_png(MASK, COLORS))
    with Image.open(tmp_path / "mask.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), MASK)
        expected = voc_colormap()
        expected[:2] = COLORS
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), expected[MASK])


def test_overlay_mixes_and_leaves_ignored_as_the_image():
    image = np.full((2, 3, 3), 100, np.uint8)
    mixed = overlay(image, MASK, COLORS, opacity=0.25)
    assert mixed.dtype == np.uint8
    # 0.75 * 100 + 0.25 * color, rounded to even.
    assert mixed[0].tolist() == [[78, 80, 82], [125, 100, 75], [100, 100, 100]]
    np.testing.assert_array_equal(overlay(image, MASK, COLORS, opacity=0), image)
    np.testing.assert_array_equal(
        overlay(image, MASK, COLORS, opacity=1, ignore_label=9), colorize(MASK, COLORS)
    )


@pytest.mark.parametrize("palette", [None, b""])
def test_a_palette_that_is_missing(tmp_path: Path, palette: bytes | None) -> None:
    """Pillow takes all of its colors for black."""
    path = write_png(tmp_path / "a.png", MASK, depth=8, palette=bytes(768))
    content = path.read_bytes()
    checksum = zlib.crc32(b"PLTE").to_bytes(4)
    empty = b"" if palette is None else bytes(4) + b"PLTE" + checksum
    path.write_bytes(content[:33] + empty + content[33 + 768 + 12 :])
    for read in (read_image, read_mask, lambda path: read_mask(path, COLORS)):
        with pytest.raises(UserError, match=r"a\.png cannot be .*palette is missing"):
            read(path)


def test_a_palette_behind_the_pixels(tmp_path: Path) -> None:
    path = write_png(tmp_path / "a.png", MASK, depth=8, palette=bytes(9))
    content = path.read_bytes()
    chunk = content[33 : 33 + 9 + 12]
    path.write_bytes(content.replace(chunk, b"")[:-12] + chunk + content[-12:])
    with pytest.raises(UserError, match="palette is missing, or behind the pixels"):
        read_image(path)


@pytest.mark.parametrize("format", ["PNG", "BMP"])
def test_colors_that_a_palette_lacks(tmp_path: Path, format: str) -> None:
    values = np.array([[0, 1, 2, 3]], np.uint8)
    colors = np.arange(12, dtype=np.uint8)
    picture, file = Image.fromarray(values), io.BytesIO()
    picture.putpalette(colors.tobytes())
    picture.save(file, format)
    np.testing.assert_array_equal(read_image(file.getvalue()), colors.reshape(1, 4, 3))
    path = write_png(tmp_path / "a.png", values, depth=8, palette=bytes(9))
    with pytest.raises(UserError, match="has color 3 of a palette of 3 colors"):
        read_image(path)
    np.testing.assert_array_equal(read_mask(path), values)  # a class needs no color

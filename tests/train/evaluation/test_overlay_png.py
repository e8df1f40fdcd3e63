"""Overlays are whole PNGs of the pixels that were given, and small ones."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.data.image_files import check_pixel_sums, opened
from train.data.images import read_image
from train.evaluation.overlay_png import overlay_png
from train.evaluation.own_pictures import is_ours, overlay_as_predicted


def photograph(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Returns smooth light with the noise of a sensor, uint8 [H, W, 3]."""
    rows, columns = np.mgrid[:height, :width]
    light = 120 + 60 * np.sin(rows / 37) + 50 * np.cos(columns / 53)
    noise = rng.normal(0, 2, (height, width, 3))
    return np.clip(light[..., None] * (1.0, 0.9, 0.8) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 9), (7, 1), (255, 3), (256, 4), (257, 2), (513, 5), (40, 300)]
)
def test_pixels_come_back(
    size: tuple[int, int], rng: np.random.Generator, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    for pixels in (
        rng.integers(0, 256, (*size, 3), np.uint8),
        photograph(rng, *size),
        np.full((*size, 3), 255, np.uint8),
    ):
        path.write_bytes(overlay_as_predicted(pixels))
        np.testing.assert_array_equal(read_image(path), pixels)
        assert is_ours(path)
    with opened(path) as picture:
        check_pixel_sums(picture)  # which Pillow does not check
    with Image.open(path) as picture:
        picture.save(path)
    assert not is_ours(path)


def test_words_are_in_the_file() -> None:
    content = overlay_png(np.zeros((2, 3, 3), np.uint8), {"a": "b", "c": "d e"})
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.info == {"a": "b", "c": "d e"} and picture.mode == "RGB"


def test_long_pixels_are_in_several_chunks(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = rng.integers(0, 256, (40, 30, 3), np.uint8)
    whole = overlay_png(pixels, {})
    monkeypatch.setattr("train.evaluation.overlay_png._LONGEST", 1000)
    content = overlay_png(pixels, {})
    assert len(content) == len(whole) + 3 * 12
    np.testing.assert_array_equal(read_image(content), pixels)


def test_photographs_are_as_small_as_pillow_makes_them_quickly(
    rng: np.random.Generator,
) -> None:
    pixels, pillow = photograph(rng, 240, 320), io.BytesIO()
    Image.fromarray(pixels).save(pillow, "PNG", compress_level=1)
    assert len(overlay_png(pixels, {})) < 1.05 * pillow.tell()


def test_memory_is_that_of_a_band_and_the_file() -> None:
    pixels = np.zeros((4096, 512, 3), np.uint8)  # 6 MiB
    tracemalloc.start()
    overlay_png(pixels, {})
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < pixels.nbytes / 2

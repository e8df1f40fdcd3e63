"""Sizes of images from their heads, and the padding that many sizes get."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from train.evaluation.input_sizes import (
    MOST_SIZES,
    multiple_for,
    padded_sizes,
    size_at_height,
    sizes_of,
)
from train.evaluation.views import EvaluationOptions

FEW = [(100 + n, 80) for n in range(MOST_SIZES)]
MANY = [*FEW, (100, 81)]


def test_sizes_are_upright_and_of_what_can_be_read(tmp_path: Path) -> None:
    picture = Image.new("RGB", (30, 20))
    turned = Image.Exif()
    turned[0x0112] = 6
    picture.save(tmp_path / "a.jpg")
    picture.save(tmp_path / "b.jpg", exif=turned)
    (tmp_path / "c.jpg").write_text("no image")
    found = sizes_of([tmp_path / name for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg")])
    assert found == {tmp_path / "a.jpg": (20, 30), tmp_path / "b.jpg": (30, 20)}


def test_size_at_a_height() -> None:
    assert size_at_height((20, 30), 0) == (20, 30)
    assert size_at_height((20, 31), 10) == (10, round(15.5))


@pytest.mark.parametrize(
    ("sizes", "options", "multiple"),
    [
        (FEW, {}, 1),
        (MANY, {}, 32),
        (MANY, {"size_multiple": 24}, 24),
        ([(10 * n, 10 * n) for n in range(1, 60)], {"size_multiple": 24}, 48),
        ([(10 * n, 7) for n in range(1, 500)], {"size_multiple": 33}, 264),
        ([(10 * n, 7) for n in range(1, 500)], {"size_multiple": 1000}, 1000),
        ([(10 * n, 7) for n in range(1, 500)], {}, 256),
        (MANY, {"window": (64, 64)}, 1),
        (MANY, {"window": (512, 512)}, 32),
    ],
)
def test_many_sizes_are_padded(
    sizes: list[tuple[int, int]], options: dict, multiple: int
) -> None:
    assert multiple_for(sizes, EvaluationOptions(**options)) == multiple
    if multiple < 192 and not options:
        assert padded_sizes(sizes, multiple) <= MOST_SIZES

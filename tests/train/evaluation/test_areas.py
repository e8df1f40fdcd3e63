"""The table of areas: lines of images, whatever their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from train.evaluation.areas import add_area, begin_areas, images_of

NAMES = ("ground", "car")


def test_names_that_look_the_same_have_lines_of_their_own(tmp_path: Path) -> None:
    table = tmp_path / "areas.csv"
    images = [
        Path("a\nb.png"),
        Path("a\\nb.png"),
        Path("a\\\\nb.png"),
        Path("c\\d.png"),
    ]
    begin_areas(table, NAMES, images)
    for image in images:
        add_area(table, image, (2, 3), np.array([0.5, 0.5]))
    shown = {"a\\nb.png", "a\\\\nb.png", "a\\\\\\\\nb.png", "c\\d.png"}
    assert images_of(table) == shown
    begin_areas(table, NAMES, images[1:2])  # which is predicted again
    assert images_of(table) == shown - {"a\\\\nb.png"}

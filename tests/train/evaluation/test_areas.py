"""The table of areas: lines of images, whatever their names."""

from __future__ import annotations

import csv
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


def test_no_class_has_a_column_of_the_files(tmp_path: Path) -> None:
    names = ("image", "class image", "height", "width", "images", "Class height")
    table, image = tmp_path / "areas.csv", Path("a.png")
    shares = np.array([0.5, 0.25, 0.125, 0.0625, 0.0625, 0])
    begin_areas(table, names, [image])
    add_area(table, image, (2, 3), shares)
    with table.open(newline="") as file:
        (line,) = csv.DictReader(file)
    expected = {"image": "a.png", "width": "3", "height": "2"}
    columns = [f"class {name}" for name in names[:4]] + ["images", "Class height"]
    shown = [f"{share:.6f}" for share in shares]
    assert line == expected | dict(zip(columns, shown, strict=True))


def test_a_table_with_two_columns_of_a_name_goes_on(tmp_path: Path) -> None:
    table = tmp_path / "areas.csv"
    table.write_text(
        "image,width,height,ground,height\r\na.png,3,2,0.500000,0.500000\r\n"
    )
    assert images_of(table) == {"a.png"}
    begin_areas(table, ("ground", "height"), [])
    header, line = table.read_text().splitlines()
    assert header == "image,width,height,ground,class height"
    assert line == "a.png,3,2,0.500000,0.500000"
    assert images_of(table) == {"a.png"}

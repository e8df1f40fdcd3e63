"""Likely causes of values and colors that are no classes."""

import numpy as np
import pytest

from train.data.palette import voc_colormap
from train.inspection.causes import cause_of_colors, cause_of_values

NAMES = ("ground", "red", "green", "blue")
GRAY = [0, 38, 75, 113]  # the luma of Pascal VOC's first colors


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0, 85, 170, 255], "stretched"),
        ([0, 127, 255], "stretched"),
        ([0, 128, 255], "stretched"),
        ([0, 127, 254], "stretched"),
        ([0, 254], "254 is probably red"),
        ([0, 254, 255], "254 is probably red"),
        (GRAY, "converted to gray"),
        ([*GRAY, 255], "converted to gray"),
        ([1, 2, 3, 4], "counted from 1"),
        ([1, 2, 3, 4, 255], "counted from 1"),
        ([0, 1, 2, 3, 4], "one class more"),
        ([0, 1, 2, 220], "written as 220"),
        ([0, 1, 2, 3, 254, 255], "written as 254"),
        (range(30), "mixed at borders"),
        ([0, 1, 9], "does not name"),
        ([0, 5, 6], "does not name"),
    ],
)
def test_values_tell_their_cause(values: list[int], words: str) -> None:
    cause = cause_of_values(values, NAMES, voc_colormap(len(NAMES)))
    assert words in cause.what and cause.way_out


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, 2, 3], "counted from 1"),
        ([1, 2, 3, 255], "counted from 1"),
        ([0, 1, 2, 200], "written as 200"),
        ([0, 127, 254], "stretched"),
        ([0, 127, 255], "stretched"),
        ([0, 254], "254 is probably class 1"),
        (GRAY, "converted to gray"),
        ([0, *range(7, 90, 2)], "mixed at borders"),
        ([0, 1, 3], "classes that no mask has"),
    ],
)
def test_values_tell_their_cause_where_nothing_names_classes(
    values: list[int], words: str
) -> None:
    cause = cause_of_values(values, (), voc_colormap())
    assert words in cause.what and cause.way_out


def test_the_way_out_of_levels_says_what_to_divide_by() -> None:
    for values, words in (([0, 127, 254], "by 127"), ([0, 127, 255], "by 128 (the l")):
        assert words in cause_of_values(values, NAMES, voc_colormap(4)).way_out


def test_grays_of_the_folders_own_colors_are_told() -> None:
    colors = np.array([(0, 0, 0), (250, 250, 0), (0, 250, 250), (9, 9, 9)], np.uint8)
    values = [0, *(round(v) for v in (colors[1:3] @ (0.299, 0.587, 0.114)).tolist())]
    assert "converted to gray" in cause_of_values(values, NAMES, colors).what


@pytest.mark.parametrize(
    ("colors", "labelled", "words"),
    [
        ([(0, 0, 0), (128, 0, 0), (224, 224, 192)], False, "palette expanded"),
        ([(0, 0, 0), (255, 0, 0)], False, "without a labelmap.txt"),
        ([(i, 0, 1) for i in range(60)], False, "many colors"),
        ([(0, 0, 0), (128, 0, 0)], True, "does not name"),
    ],
)
def test_colors_tell_their_cause(
    colors: list[tuple[int, int, int]], labelled: bool, words: str
) -> None:
    assert words in cause_of_colors(colors, labelled).what

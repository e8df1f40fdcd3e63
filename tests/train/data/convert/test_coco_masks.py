"""Masks of annotations that would take memory by the gigabyte."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from train.common.errors import UserError
from train.data.convert.coco_masks import Annotation, Runs, class_mask

PLACE = Path("a.json")
SIZE = (1000, 1000)


def test_masks_are_drawn_one_at_a_time() -> None:
    runs = Runs(SIZE, [0, 1, 999_999])
    objects = [Annotation(1, 7, runs, id=index) for index in range(60)]
    objects.append(Annotation(1, 8, Runs(SIZE, [0, 500_000, 500_000])))
    tracemalloc.start()
    try:
        mask = class_mask(objects, SIZE, {"7": 1, "8": 2}, PLACE)
        assert tracemalloc.get_traced_memory()[1] < 8 * mask.size
    finally:
        tracemalloc.stop()
    assert mask[0, 0] == 1 and (mask == 2).sum() == 499_999 and mask[-1, 499] == 2


def test_of_equal_ones_the_later_is_on_top() -> None:
    runs = Runs((1, 2), [0, 1, 1])
    objects = [Annotation(1, key, runs) for key in (9, 7, 8)]
    np.testing.assert_array_equal(
        class_mask(objects, (1, 2), {"7": 1, "8": 2, "9": 3}, PLACE), [[2, 0]]
    )


@pytest.mark.parametrize("polygons", [[6 * [0.0]] * 10**4, [10**6 * [0.0, 0.0]]])
def test_polygons_without_length_are_work_too(polygons: list[list[float]]) -> None:
    with pytest.raises(UserError, match=f"{len(polygons)} polygons have edges of more"):
        class_mask([Annotation(1, 7, polygons)], (16, 16), {"7": 1}, PLACE)
    few = [it[:9000] for it in polygons[:500]]
    assert class_mask([Annotation(1, 7, few)], (16, 16), {"7": 1}, PLACE) is not None


def test_outlines_of_many_corners_are_drawn() -> None:
    corners = [(x, y) for x in range(500) for y in ((0, 999) if x % 2 else (999, 0))]
    corners += [(499, 0), (0, 0)]
    comb = [float(value) for corner in corners for value in corner]
    assert class_mask([Annotation(1, 7, [comb])], SIZE, {"7": 1}, PLACE).any()
    with pytest.raises(
        UserError, match=r"a\.json: annotation 3 .* than 562500 pixels tog"
    ):
        class_mask([Annotation(1, 7, 3 * [comb], id=3)], SIZE, {"7": 1}, PLACE)

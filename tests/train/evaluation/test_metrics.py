"""Metrics of a split, against counting by hand."""

import numpy as np
import pytest

from train.evaluation.metrics import METRICS, count, measure, table


def test_absent_class_stays_out_of_the_mean() -> None:
    confusion = np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]])
    result = measure(confusion, ["a", "b", "c"])
    assert result["iou"] == {"a": 0.75, "b": pytest.approx(2 / 3), "c": None}
    assert result["mean_iou"] == pytest.approx((0.75 + 2 / 3) / 2)
    assert result["pixel_accuracy"] == pytest.approx(5 / 6)
    assert "c" in table(confusion, ["a", "b", "c"]) and "–" in table(
        confusion, ["a", "b", "c"]
    )


@pytest.mark.parametrize(
    ("confusion", "accuracy", "weighted"),
    [
        # Of 4 pixels of a, 3 are right; of 2 of b, both; c does not occur.
        (
            [[3, 1, 0], [0, 2, 0], [0, 0, 0]],
            (3 / 4 + 1) / 2,
            (4 * 3 / 4 + 2 * 2 / 3) / 6,
        ),
        # c is found where it is not: that costs a, and is no class of the mean.
        ([[3, 0, 1], [0, 2, 0], [0, 0, 0]], 7 / 8, (4 * 3 / 4 + 2) / 6),
        # Nothing of b is found; a is large.
        ([[8, 0, 0], [1, 0, 0], [0, 0, 1]], 2 / 3, (8 * 8 / 9 + 1) / 10),
    ],
)
def test_accuracy_and_weighted_iou_are_those_counted_by_hand(
    confusion: list[list[int]], accuracy: float, weighted: float
) -> None:
    result = measure(np.array(confusion), ["a", "b", "c"])
    assert result["mean_accuracy"] == pytest.approx(accuracy, rel=1e-12)
    assert result["frequency_weighted_iou"] == pytest.approx(weighted, rel=1e-12)


def test_split_without_a_valid_pixel_has_metrics() -> None:
    result = measure(np.zeros((2, 2), np.int64), ["a", "b"])
    assert [result[name] for name in METRICS] == [0.0] * 4


def test_pixels_near_borders_are_counted_apart() -> None:
    truth = np.zeros((4, 20), np.uint8)
    truth[:, 10:] = 1
    mask = truth.copy()
    mask[:, 8:10] = 1  # wrong within 2 pixels
    mask[:, 13] = 0  # wrong within 5
    mask[:, 0] = 1  # wrong elsewhere
    counts = count([(truth, mask), (truth, truth)], 2)
    assert counts.near[2].tolist() == [[8, 8], [0, 16]]
    assert counts.near[5].tolist() == [[32, 8], [4, 36]]
    assert counts.whole.tolist() == [[68, 12], [4, 76]]
    result = counts.measure(["a", "b"])
    assert result["boundary"]["2"]["mean_iou"] == pytest.approx((8 / 16 + 16 / 24) / 2)
    assert result["pixels"] == {"a": 80, "b": 80}
    assert result["boundary"]["2"]["pixels"] == {"a": 16, "b": 16}

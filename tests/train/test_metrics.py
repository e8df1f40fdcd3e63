"""Figures of merit, against counting by hand."""

import numpy as np
import pytest

from train.metrics import confusion_matrix, figures, intersection_over_union, table


def test_confusion_counts_pairs_and_leaves_void_out() -> None:
    truth = np.array([[0, 1, 255], [2, 2, 1]], np.uint8)
    prediction = np.array([[0, 2, 1], [2, 0, 1]], np.uint8)
    expected = [[1, 0, 0], [0, 1, 1], [1, 0, 1]]
    assert confusion_matrix(truth, prediction, 3).tolist() == expected


def test_iou_equals_sets_of_pixels(rng: np.random.Generator) -> None:
    truth, prediction = rng.integers(0, 4, (2, 500)).astype(np.uint8)
    iou = intersection_over_union(confusion_matrix(truth, prediction, 4))
    for index in range(4):
        first = set(np.flatnonzero(truth == index))
        second = set(np.flatnonzero(prediction == index))
        assert iou[index] == pytest.approx(len(first & second) / len(first | second))


def test_absent_class_stays_out_of_the_mean() -> None:
    confusion = np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]])
    result = figures(confusion, ["a", "b", "c"])
    assert result["iou"] == {"a": 0.75, "b": pytest.approx(2 / 3), "c": None}
    assert result["mean_iou"] == pytest.approx((0.75 + 2 / 3) / 2)
    assert result["pixel_accuracy"] == pytest.approx(5 / 6)
    assert "c" in table(confusion, ["a", "b", "c"]) and "–" in table(
        confusion, ["a", "b", "c"]
    )


def test_split_without_a_valid_pixel_has_figures() -> None:
    result = figures(np.zeros((2, 2), np.int64), ["a", "b"])
    assert (result["mean_iou"], result["pixel_accuracy"]) == (0.0, 0.0)

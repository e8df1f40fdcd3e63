"""Metrics of segmentation, from confusion matrices over a whole split.

A scalar metric is a function of a confusion matrix under `@METRICS.register`: logs,
`summary.json`, the printed table and the report all loop over that table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from models.registry import Registry
from train.data.images import IGNORED

BORDERS = (2, 5)  # pixels

# Given a confusion matrix [classes, classes], rows truth, returns a fraction.
METRICS: Registry[Callable[[np.ndarray], float]] = Registry("metric")


@METRICS.register("mean_iou", "mean IoU")
def _mean_iou(confusion: np.ndarray) -> float:
    """Mean IoU over the classes that occur in the truth."""
    return _mean(intersection_over_union(confusion))


@METRICS.register("pixel_accuracy", "pixel accuracy")
def _pixel_accuracy(confusion: np.ndarray) -> float:
    """Fraction of the pixels that are right."""
    return float(np.trace(confusion) / max(1, int(confusion.sum())))


@METRICS.register("mean_accuracy", "mean accuracy")
def _mean_accuracy(confusion: np.ndarray) -> float:
    """Mean over the classes of the fraction of their pixels that are right."""
    truth = confusion.sum(axis=1)
    recall = np.where(truth > 0, np.diag(confusion) / np.maximum(truth, 1), np.nan)
    return _mean(recall)


@METRICS.register("frequency_weighted_iou", "frequency-weighted IoU")
def _frequency_weighted_iou(confusion: np.ndarray) -> float:
    """IoU of each class weighted by its fraction of the pixels."""
    truth = confusion.sum(axis=1)
    iou = np.nan_to_num(intersection_over_union(confusion))
    return float(truth @ iou / max(1, int(truth.sum())))


def _mean(values: np.ndarray) -> float:
    """Returns the mean of the values that are not NaN, 0 if there are none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else 0.0


def intersection_over_union(confusion: np.ndarray) -> np.ndarray:
    """Returns the IoU of each class, NaN where a class does not occur in the truth."""
    hits = np.diag(confusion)
    truth = confusion.sum(axis=1)
    union = truth + confusion.sum(axis=0) - hits
    return np.where(truth > 0, hits / np.maximum(union, 1), np.nan)


def scalar_metrics(confusion: np.ndarray) -> dict[str, float]:
    """Returns every metric of `METRICS` by name, as fractions."""
    return {name: metric(confusion) for name, metric in METRICS.items()}


def measure(confusion: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
    """Returns `scalar_metrics`, and `iou` and `pixels` by class name.

    All but the pixels of the truth are fractions. Classes that do not occur in the
    truth have no IoU (None) and do not enter any mean.
    """
    iou = [
        None if np.isnan(v) else float(v) for v in intersection_over_union(confusion)
    ]
    return {
        **scalar_metrics(confusion),
        "iou": dict(zip(class_names, iou, strict=True)),
        "pixels": dict(zip(class_names, confusion.sum(axis=1).tolist(), strict=True)),
    }


def table(confusion: np.ndarray, class_names: Sequence[str]) -> str:
    """Returns IoU and pixels of each class and all metrics, percent, for a terminal."""
    result = measure(confusion, class_names)
    fractions = confusion.sum(axis=1) / max(1, confusion.sum())
    titles = {name: METRICS.caption(name) for name in METRICS}
    width = max(map(len, (*class_names, *titles.values())))
    lines = [f"{'class':<{width}}    IoU %  pixels %"]
    for (name, value), fraction in zip(result["iou"].items(), fractions, strict=True):
        cell = "–" if value is None else f"{100 * value:.1f}"
        lines.append(f"{name:<{width}}  {cell:>7}  {100 * fraction:>8.2f}")
    for name, title in titles.items():
        lines.append(f"{title:<{width}}  {100 * result[name]:>7.1f}")
    return "\n".join(lines)


def confusion_matrix(
    truth: np.ndarray, prediction: np.ndarray, classes: int
) -> np.ndarray:
    """Counts pixels by class, int64 `[classes, classes]`, rows truth.

    Args:
      truth: class indices of any shape; 255 is ignored.
      prediction: class indices, same shape.
      classes: number of classes.
    """
    valid = truth != IGNORED
    pairs = truth[valid].astype(np.int64) * classes + prediction[valid]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def near_border(truth: np.ndarray, distance: int) -> np.ndarray:
    """Returns where a pixel of another label is near, bool `[height, width]`.

    255 is a label here, as the objects of Pascal VOC are lined with it. Together these
    pixels are the trimap of Kohli et al. 2009 (doi:10.1007/s11263-008-0202-0).

    Args:
      truth: class indices or 255, `[height, width]`.
      distance: in pixels by the larger of rows and columns.
    """
    window = {"size": 2 * distance + 1, "mode": "nearest"}
    return ndimage.minimum_filter(truth, **window) != ndimage.maximum_filter(
        truth, **window
    )


class Counts(NamedTuple):
    """Confusion matrices over a split, int64 `[classes, classes]`, rows truth."""

    whole: np.ndarray
    near: dict[int, np.ndarray]  # of the pixels within so many of a border

    def measure(self, class_names: Sequence[str]) -> dict[str, Any]:
        """Returns `measure` of the whole, and of each distance under `boundary`."""
        return {
            **measure(self.whole, class_names),
            "boundary": {
                str(distance): measure(confusion, class_names)
                for distance, confusion in self.near.items()
            },
        }


def count(
    pairs: Iterable[tuple[np.ndarray, np.ndarray]],
    classes: int,
    borders: Sequence[int] = BORDERS,
) -> Counts:
    """Counts pixels by truth and prediction, everywhere and near borders.

    Args:
      pairs: truth and prediction of each image, class indices `[height, width]`.
      classes: number of classes.
      borders: distances from a border, pixels.
    """
    blank = np.zeros((classes, classes), np.int64)
    counts = Counts(blank, {distance: blank.copy() for distance in borders})
    for truth, mask in pairs:
        counts.whole[:] += confusion_matrix(truth, mask, classes)
        for distance, confusion in counts.near.items():
            there = near_border(truth, distance)
            confusion += confusion_matrix(truth[there], mask[there], classes)
    return counts

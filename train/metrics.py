"""Figures of merit from confusion matrices over the whole split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from train.voc import VOID

BORDERS = (2, 5)  # pixels


def confusion_matrix(
    truth: np.ndarray, prediction: np.ndarray, classes: int
) -> np.ndarray:
    """Counts pixels by class, int64 `[classes, classes]`, rows truth.

    Args:
      truth: class indices of any shape; 255 is left out.
      prediction: class indices, same shape.
      classes: number of classes.
    """
    valid = truth != VOID
    pairs = truth[valid].astype(np.int64) * classes + prediction[valid]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def near_border(truth: np.ndarray, distance: int) -> np.ndarray:
    """Returns where a pixel of another label is near, bool `[height, width]`.

    Void is a label here, as the objects of Pascal VOC are lined with it. Together these
    pixels are the trimap of Kohli et al. 2009 (doi:10.1007/s11263-008-0202-0).

    Args:
      truth: class indices or void, `[height, width]`.
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

    def figures(self, class_names: Sequence[str]) -> dict[str, Any]:
        """Returns `figures` of the whole, and of each distance under `boundary`."""
        return {
            **figures(self.whole, class_names),
            "boundary": {
                str(distance): figures(confusion, class_names)
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


def intersection_over_union(confusion: np.ndarray) -> np.ndarray:
    """Returns the IoU of each class, NaN where a class does not occur in the truth."""
    hits = np.diag(confusion)
    truth = confusion.sum(axis=1)
    union = truth + confusion.sum(axis=0) - hits
    return np.where(truth > 0, hits / np.maximum(union, 1), np.nan)


def figures(confusion: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
    """Returns `mean_iou`, `pixel_accuracy`, and by class name `iou` and `pixels`.

    All but the pixels of the truth are fractions.
    Classes that do not occur in the truth have no IoU (None) and stay out of the mean.
    """
    iou = intersection_over_union(confusion)
    occurs = ~np.isnan(iou)
    total = max(1, int(confusion.sum()))
    return {
        "mean_iou": float(iou[occurs].mean()) if occurs.any() else 0.0,
        "pixel_accuracy": float(np.trace(confusion) / total),
        "iou": {
            name: float(value) if there else None
            for name, value, there in zip(class_names, iou, occurs, strict=True)
        },
        "pixels": dict(zip(class_names, confusion.sum(axis=1).tolist(), strict=True)),
    }


def table(confusion: np.ndarray, class_names: Sequence[str]) -> str:
    """Returns the IoU and share of pixels of each class, in percent, for a terminal."""
    result = figures(confusion, class_names)
    shares = confusion.sum(axis=1) / max(1, confusion.sum())
    width = max(len("pixel accuracy"), *(len(name) for name in class_names))
    lines = [f"{'class':<{width}}    IoU %  pixels %"]
    for (name, value), share in zip(result["iou"].items(), shares, strict=True):
        cell = "–" if value is None else f"{100 * value:.1f}"
        lines.append(f"{name:<{width}}  {cell:>7}  {100 * share:>8.2f}")
    lines.append(f"{'mean IoU':<{width}}  {100 * result['mean_iou']:>7.1f}")
    lines.append(f"{'pixel accuracy':<{width}}  {100 * result['pixel_accuracy']:>7.1f}")
    return "\n".join(lines)

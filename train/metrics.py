"""Figures of merit from one confusion matrix over the whole split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from train.voc import VOID


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


def intersection_over_union(confusion: np.ndarray) -> np.ndarray:
    """Returns the IoU of each class, NaN where a class does not occur in the truth."""
    hits = np.diag(confusion)
    truth = confusion.sum(axis=1)
    union = truth + confusion.sum(axis=0) - hits
    return np.where(truth > 0, hits / np.maximum(union, 1), np.nan)


def figures(confusion: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
    """Returns `mean_iou`, `pixel_accuracy` and `iou` by class name, as fractions.

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

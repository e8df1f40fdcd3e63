"""Metrics of a whole split, as `lal_jax.metrics` counts them.

A scalar metric is a function of a confusion matrix in `METRICS`: logs, `summary.json`,
the printed table and the report all loop over that table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, SupportsFloat

import numpy as np

from lal_jax import metrics
from models.registry import Registry

BORDERS = (2, 5)  # pixels

# Given a confusion matrix [classes, classes], rows truth, returns a fraction.
METRICS: Registry[Callable[[np.ndarray], SupportsFloat]] = Registry("metric")
METRICS.add("mean_iou", metrics.mean_iou, "mean IoU")
METRICS.add("pixel_accuracy", metrics.pixel_accuracy, "pixel accuracy")
METRICS.add("mean_accuracy", metrics.mean_accuracy, "mean accuracy")
METRICS.add(
    "frequency_weighted_iou", metrics.frequency_weighted_iou, "frequency-weighted IoU"
)


def scalar_metrics(confusion: np.ndarray) -> dict[str, float]:
    """Returns every metric of `METRICS` by name, as fractions."""
    return {name: float(metric(confusion)) for name, metric in METRICS.items()}


def measure(confusion: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
    """Returns `scalar_metrics`, and `iou` and `pixels` by class name.

    All but the pixels of the truth are fractions. Classes that do not occur in the
    truth have no IoU (None) and do not enter any mean.
    """
    known = metrics.iou_by_class(confusion)
    iou = [None if np.isnan(value) else float(value) for value in known]
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


class Counts(NamedTuple):
    """Confusion matrices over a split, int64 `[classes, classes]`, rows truth."""

    whole: np.ndarray
    near: dict[int, np.ndarray]  # of the pixels within so many of a border

    def measure(
        self, class_names: Sequence[str], void: Sequence[int] = ()
    ) -> dict[str, Any]:
        """Returns `measure` of the whole, and of each distance under `boundary`.

        With the names of classes that are `void`, where there are such.
        """
        names = [name for value, name in enumerate(class_names) if value in void]
        return {
            **({"void": names} if names else {}),
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
        counts.whole[:] += metrics.confusion_matrix(mask, truth, num_classes=classes)
        for distance, confusion in counts.near.items():
            confusion += metrics.confusion_matrix(
                mask,
                truth,
                num_classes=classes,
                where=metrics.near_border(truth, distance=distance),
            )
    return counts

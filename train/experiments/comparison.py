"""Comparison: metrics over seeds, and their differences to a baseline."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from train.common.errors import UserError
from train.experiments.entries import Entry
from train.experiments.experiment import Variant
from train.experiments.paper import PARTS

_SHORTEST = 0.1  # seconds, to which times are rounded


class Measure(NamedTuple):
    """A metric over seeds, and its difference to the baseline's, seed by seed."""

    mean: float
    deviation: float  # of the sample; NaN of one seed
    difference: float
    interval: float  # 95 %, to either side; NaN of one seed
    differences: tuple[float, ...]

    @property
    def differs(self) -> bool:
        """Whether the interval leaves zero out."""
        return abs(self.difference) > self.interval


class Row(NamedTuple):
    """A variant, measured."""

    label: str
    learning_rate: float
    measures: dict[str, Measure]  # by name; "mean IoU" is the first
    iou: dict[str, Measure]  # by class
    time: float  # median of the seeds' ratios to the baseline's seconds
    over_rival: Measure | None  # mean IoU, beside a second baseline's


def compare(entries: Sequence[Entry], rival: str = "") -> list[Row]:
    """Returns a row for each label, in their order; the first is the baseline.

    Args:
      entries: of one experiment; every label has the same seeds.
      rival: label of a second baseline, if it is among them.

    Raises:
      UserError: runs were evaluated on other images.
    """
    for entry in entries:
        if _truth(entry) != _truth(entries[0]):
            names = [f"{e['label']}, seed {e['seed']}" for e in (entries[0], entry)]
            raise UserError(
                f"the runs of {names[0]} and of {names[1]} were evaluated on different "
                "pixels: a summary.json is damaged. Choose another --workdir."
            )
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry["label"], []).append(entry)
    seeds = [sorted(run["seed"] for run in runs) for runs in groups.values()]
    if any(those != seeds[0] for those in seeds):
        raise ValueError(f"labels have other seeds than the baseline: {seeds}")
    for runs in groups.values():
        runs.sort(key=lambda run: run["seed"])
    baseline = next(iter(groups.values()))
    second = groups.get(rival)
    return [
        Row(
            label,
            runs[0]["learning_rate"],
            _measure(compared_metrics, runs, baseline),
            _measure(_class_ious, runs, baseline),
            statistics.median(
                max(_SHORTEST, run["seconds"]) / max(_SHORTEST, other["seconds"])
                for run, other in zip(runs, baseline, strict=True)
            ),
            _measure(compared_metrics, runs, second)["mean IoU"] if second else None,
        )
        for label, runs in groups.items()
    ]


def _measure(
    values_of: Callable[[Entry], dict[str, float]],
    runs: Sequence[Entry],
    baseline: Sequence[Entry],
) -> dict[str, Measure]:
    """Returns each metric over the seeds, beside the baseline's of the same seeds."""
    found, others = (
        [values_of(run) for run in runs],
        [values_of(run) for run in baseline],
    )
    return {
        name: paired([run[name] for run in found], [o[name] for o in others])
        for name in found[0]
    }


def compared_metrics(entry: Entry) -> dict[str, float]:
    """Returns what is compared of a run, by name."""
    found = {"mean IoU": entry["mean_iou"]}
    common = common_classes(entry)
    if len(common) < len(_occurring(entry)):
        found["common"] = float(np.mean([entry["iou"][name] for name in common]))
    for distance, near in entry["boundary"].items():
        found[f"within {distance} px"] = near["mean_iou"]
    groups = {"rare": rare_classes(entry), "thin": thin_classes(entry)}
    for group, classes in groups.items():
        if classes:
            found[group] = float(np.mean([entry["iou"][name] for name in classes]))
    return {**found, "pixel accuracy": entry["pixel_accuracy"]}


def _truth(entry: Entry) -> Any:
    """Returns the pixels of each class, everywhere and near borders."""
    near = {distance: near["pixels"] for distance, near in entry["boundary"].items()}
    return entry["pixels"], near


def _class_ious(entry: Entry) -> dict[str, float]:
    return {name: value for name, value in entry["iou"].items() if value is not None}


def effects(
    entries: Sequence[Entry], variants: Sequence[Variant]
) -> dict[str, Measure]:
    """Returns what each part of the loss adds, averaged over the other parts.

    Args:
      entries: of the variants' runs; those of all combinations of parts are looked at.
        The baseline of a part is the same runs without it.
      variants: what was compared.

    Returns:
      A measure for each part; none where a combination of parts is missing.
    """
    parts_of = {variant.label: variant.parts for variant in variants}
    runs: dict[int, dict[frozenset[str], float]] = {}  # by seed and parts
    for entry in entries:
        parts = parts_of[entry["label"]]
        if parts is not None:
            runs.setdefault(entry["seed"], {})[parts] = entry["mean_iou"]
    if not runs or any(len(of) < 2 ** len(PARTS) for of in runs.values()):
        return {}

    def means(part: str, has: bool) -> list[float]:
        return [
            float(np.mean([iou for parts, iou in of.items() if (part in parts) is has]))
            for of in runs.values()
        ]

    return {part: paired(means(part, True), means(part, False)) for part in PARTS}


def paired(values: Sequence[float], baseline: Sequence[float]) -> Measure:
    """Returns what seeds tell of a metric, and of its difference to a baseline.

    The interval is Student's, of the mean of the differences seed by seed: what a seed
    does to both (initial weights, order and augmentation of images) drops out.

    Args:
      values: of each seed.
      baseline: of the same seeds.
    """
    differences = np.subtract(values, baseline)
    count = len(differences)
    interval = float("nan")
    if count > 1:
        error = differences.std(ddof=1) / np.sqrt(count)
        interval = float(stats.t.ppf(0.975, count - 1) * error)
    return Measure(
        float(np.mean(values)),
        float(np.std(values, ddof=1)) if count > 1 else float("nan"),
        float(differences.mean()),
        interval,
        tuple(differences.tolist()),
    )


def pixel_shares(entry: Entry) -> dict[str, float]:
    """Returns each class's share of the pixels, a fraction."""
    total = max(1, sum(entry["pixels"].values()))
    return {name: count / total for name, count in entry["pixels"].items()}


def common_classes(entry: Entry) -> list[str]:
    """Returns the classes with half a percent of the pixels or more.

    A class of fewer has a handful of images, and an IoU that says little.
    """
    return [name for name, share in pixel_shares(entry).items() if share >= 0.005]


def rare_classes(entry: Entry) -> list[str]:
    """Returns the classes with less than a quarter of an equal share of the pixels."""
    pixels = _occurring(entry)
    limit = sum(pixels.values()) / max(1, len(pixels)) / 4
    return [name for name, count in pixels.items() if count < limit]


def thin_classes(entry: Entry) -> list[str]:
    """Returns the classes with over half of their pixels within 2 px of a border."""
    near = entry["boundary"]["2"]["pixels"]
    return [name for name, n in _occurring(entry).items() if near[name] > n / 2]


def _occurring(entry: Entry) -> dict[str, int]:
    return {name: count for name, count in entry["pixels"].items() if count}

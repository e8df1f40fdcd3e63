"""From finished runs to what can be said about their losses."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from train.config import Config, changed_fields
from train.errors import UserError
from train.experiments import PARTS, Planned, Variant, options
from train.presets import PRESETS
from train.run import Run

Entry = Mapping[str, Any]  # what results hold of a run


def make_entry(planned: Planned, base: Config, preset: str) -> dict[str, Any]:
    """Returns the figures of a finished run, and all that it takes to get them again.

    Args:
      planned: the run.
      base: its configuration without the options of its variant.
      preset: that `base` began with, its name.
    """
    variant, config = planned
    run = Run.open(config)
    words = ["python", "train/main.py", preset, *changed_options(config, preset)]
    return {
        "label": variant.label,
        "data": Path(config.data).resolve().name if config.data else "built-in scenes",
        "loss": variant.loss,
        "options": {**variant.options, **options(config, base)},
        "seed": config.seed,
        "learning_rate": config.learning_rate,
        "fingerprint": run.fingerprint(),
        **_result(run),
        "curve": [
            [line["step"], line["mean_iou"]]
            for line in run.metrics()
            if line["split"] == "val"
        ],
        "command": shlex.join(words),
    }


def _result(run: Run) -> dict[str, Any]:
    """Returns a run's summary; where its loss diverged, what is known of that."""
    result = run.summary() or run.divergence()
    if result is None:
        raise ValueError(f"{run.workdir} is not finished")
    return result


def changed_options(
    config: Config, preset: str, *, apart: Sequence[str] = ()
) -> list[str]:
    """Returns the options by which a run differs from its preset, free of folders.

    Args:
      config: of the run.
      preset: its name.
      apart: fields to leave out.
    """
    words = ["--data", "DIR"] if config.data else []
    for name, value in changed_fields(config, PRESETS[preset](config.loss)).items():
        if name not in ("data", *apart):
            words += _option(name, Path(value).name if name == "weights" else value)
    return words


def _option(name: str, value: Any) -> list[str]:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    values = value if isinstance(value, tuple) else (value,)
    return [f"--{flag}", *map(str, values)]


def best_rates(runs: Sequence[Planned]) -> dict[str, float]:
    """Returns the learning rate of each label whose run has the highest mean IoU.

    A label whose every run diverged has none.
    """
    found: dict[str, tuple[float, float]] = {}
    for variant, config in runs:
        summary = Run.open(config).summary()
        if summary:
            result = (summary["mean_iou"], config.learning_rate)
            found[variant.label] = max(result, found.get(variant.label, result))
    return {label: rate for label, (_, rate) in found.items()}


def check_same_data(entries: Sequence[Entry]) -> None:
    """Refuses to compare runs that were trained on different data.

    Raises:
      UserError: it names both.
    """
    known = [entry for entry in entries if entry.get("fingerprint")]
    for entry in known:
        if entry["fingerprint"] != known[0]["fingerprint"]:
            names = [f"{e['label']}, seed {e['seed']}" for e in (known[0], entry)]
            raise UserError(
                f"the data set has changed between the runs of {names[0]} and of "
                f"{names[1]}. Choose another --workdir, or delete the older runs."
            )


def split_diverged(entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Parts the entries of losses that can be compared from those that diverged.

    A loss that diverged for one seed has no mean; all its runs are left out.

    Args:
      entries: of one experiment, those of the baseline first.

    Returns:
      The entries to compare, and those that diverged.

    Raises:
      UserError: the baseline diverged.
    """
    diverged = [entry for entry in entries if "diverged_at" in entry]
    labels = {entry["label"] for entry in diverged}
    baseline = entries[0]["label"]
    if baseline in labels:
        raise UserError(
            f"{baseline} diverged, so there is nothing to compare with. Lower "
            f"--learning-rate (now {entries[0]['learning_rate']:g})."
        )
    return [entry for entry in entries if entry["label"] not in labels], diverged


class Measure(NamedTuple):
    """A figure over seeds, and its difference to the baseline's, seed by seed."""

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


def compare(entries: Sequence[Entry]) -> list[Row]:
    """Returns a row for each label, in their order; the first is the baseline.

    Args:
      entries: of one experiment; every label has the same seeds.
    """
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry["label"], []).append(entry)
    seeds = [sorted(run["seed"] for run in runs) for runs in groups.values()]
    if any(those != seeds[0] for those in seeds):
        raise ValueError(f"labels have other seeds than the baseline: {seeds}")
    for runs in groups.values():
        runs.sort(key=lambda run: run["seed"])
    baseline = next(iter(groups.values()))
    return [
        Row(
            label,
            runs[0]["learning_rate"],
            _measure(figures, runs, baseline),
            _measure(_class_figures, runs, baseline),
            statistics.median(
                run["seconds"] / other["seconds"]
                for run, other in zip(runs, baseline, strict=True)
            ),
        )
        for label, runs in groups.items()
    ]


def _measure(
    figures: Callable[[Entry], dict[str, float]],
    runs: Sequence[Entry],
    baseline: Sequence[Entry],
) -> dict[str, Measure]:
    """Returns each figure over the seeds, beside the baseline's of the same seeds."""
    found, others = [figures(run) for run in runs], [figures(run) for run in baseline]
    return {
        name: paired([figure[name] for figure in found], [o[name] for o in others])
        for name in found[0]
    }


def figures(entry: Entry) -> dict[str, float]:
    """Returns what is compared of a run, by name."""
    found = {"mean IoU": entry["mean_iou"]}
    for distance, near in entry["boundary"].items():
        found[f"within {distance} px"] = near["mean_iou"]
    groups = {"rare": rare_classes(entry), "thin": thin_classes(entry)}
    for group, classes in groups.items():
        if classes:
            found[group] = float(np.mean([entry["iou"][name] for name in classes]))
    return {**found, "pixel accuracy": entry["pixel_accuracy"]}


def _class_figures(entry: Entry) -> dict[str, float]:
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
    """Returns what seeds tell of a figure, and of its difference to a baseline.

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

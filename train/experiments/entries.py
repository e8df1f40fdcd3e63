"""Entries: the record of a run in results, and checks that runs are comparable."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from train.common.errors import UserError
from train.config import Config, changed_options, command_words
from train.data.places import anywhere, short
from train.data.voc_classes import fault_of_names
from train.experiments.plans import Planned, Setting, varied_options
from train.presets import PRESETS
from train.workdir.contents import Share
from train.workdir.run import Run

Entry = Mapping[str, Any]  # what results hold of a run
_Count = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]


class _Versions(msgspec.Struct):
    jax: str


class _Made(msgspec.Struct):
    """What every entry has, of what is compared or told."""

    label: str
    data: str
    seed: int
    options: dict[str, Any]
    learning_rate: float
    steps: int
    device: str
    versions: _Versions
    commit: str
    curve: list[tuple[int, float]]
    command: str
    max_gradient_norm: float | None = None
    fingerprint: str | None = None


class _Diverged(_Made, kw_only=True):
    diverged_at: int


class _Near(msgspec.Struct):
    """Metrics of the pixels near a border."""

    mean_iou: Share
    pixels: dict[str, _Count]


class _Finished(_Made, kw_only=True):
    mean_iou: Share
    pixel_accuracy: Share
    seconds: Annotated[float, msgspec.Meta(ge=0)]
    iou: dict[str, Share | None]
    pixels: dict[str, _Count]
    boundary: dict[str, _Near]

    def check_classes(self) -> None:
        """Refuses metrics of other classes than those of the pixels.

        Raises:
          ValueError: they differ, or a class with pixels has no IoU.
        """
        if fault := fault_of_names(list(self.pixels)):
            raise ValueError(f"it {fault}")
        if not any(self.pixels.values()):
            raise ValueError("it has no pixel of any class")
        if "2" not in self.boundary:
            raise ValueError("it has no pixels within 2 px of a border")
        near = (near.pixels.keys() for near in self.boundary.values())
        if any(names != self.pixels.keys() for names in (self.iou.keys(), *near)):
            raise ValueError("its metrics are of different classes")
        if any((self.iou[name] is None) == (n > 0) for name, n in self.pixels.items()):
            raise ValueError("it has no IoU for a class that has pixels")


# What they do not: flags may name folders; the run says its fingerprint as it is now.
_LOCAL = ("flags", "devices", "fingerprint", "best")


def make_entry(planned: Planned, base: Config, preset: str) -> dict[str, Any]:
    """Returns the metrics of a finished run, and all it takes to reproduce them.

    Args:
      planned: the run.
      base: its configuration without the options of its variant.
      preset: that `base` began with, its name.
    """
    variant, config = planned
    run = Run.open(config)
    words = ["python", "train/main.py", preset, *portable_words(config, preset)]
    described = {
        "label": variant.label,
        "data": short(config.data.folder) or "built-in scenes",
        "loss": variant.loss,
        "options": {**variant.options, **varied_options(config, base)},
        "seed": config.run.seed,
        "learning_rate": config.optimizer.learning_rate,
        "max_gradient_norm": config.optimizer.max_gradient_norm,
        "fingerprint": run.fingerprint(),
    }
    entry = {
        **described,
        **{
            name: value for name, value in _result(run).items() if name not in described
        },
        "curve": [
            [line["step"], line["mean_iou"]]
            for line in run.history.lines()
            if line["split"] == "val" and line.get("mean_iou") is not None
        ],
        "command": shlex.join(words),
    }
    check_entry(entry, run.workdir)
    return entry


def check_entry(entry: object, place: Path) -> None:
    """Refuses a result that lacks what is compared, or has other kinds of it.

    Args:
      entry: as `make_entry` returns it.
      place: where it is from, for messages.

    Raises:
      UserError: it names the place.
    """
    diverged = isinstance(entry, dict) and "diverged_at" in entry
    try:
        found = msgspec.convert(entry, _Diverged if diverged else _Finished)
        if isinstance(found, _Finished):
            found.check_classes()
    except ValueError as error:
        raise UserError(
            f"{place} has a result that cannot be compared ({error!s:.200}): it is "
            "damaged, or of an earlier version. Move it elsewhere and give the command "
            "again, which makes it anew."
        ) from error


def _result(run: Run) -> dict[str, Any]:
    """Returns a run's summary, or the record of its divergence."""
    result = run.summary() or run.divergence()
    if result is None:
        raise ValueError(f"{run.workdir} is not finished")
    return {k: v for k, v in result.items() if k not in _LOCAL}


def portable_words(
    config: Config, preset: str, *, apart: Sequence[str] = ()
) -> list[str]:
    """Returns the arguments by which a run differs from its preset, without folders.

    Args:
      config: of the run.
      preset: its name.
      apart: options to leave out.
    """
    changed = changed_options(config, PRESETS[preset])
    if "weights" in changed:
        changed["weights"] = Path(changed["weights"]).name
    kept = {k: v for k, v in changed.items() if k not in ("data", *apart)}
    data = anywhere(config.data.folder)
    return command_words({**({"data": data} if data else {}), **kept})


def best_settings(runs: Sequence[Planned]) -> dict[str, Setting]:
    """Returns the setting of each label whose runs have the highest mean IoU.

    A setting with a run that diverged has no mean; a label without any other has none.
    """
    reached: dict[str, dict[Setting, list[float]]] = {}
    for variant, config in runs:
        optimizer = config.optimizer
        setting = Setting(optimizer.learning_rate, optimizer.max_gradient_norm)
        summary = Run.open(config).summary()
        reached.setdefault(variant.label, {}).setdefault(setting, []).append(
            summary["mean_iou"] if summary else -math.inf
        )
    best = {label: max(of, key=lambda s: sum(of[s])) for label, of in reached.items()}
    return {
        label: setting
        for label, setting in best.items()
        if math.isfinite(sum(reached[label][setting]))
    }


def check_same_data(
    entries: Sequence[Entry], way_out: str = "Choose another --workdir."
) -> None:
    """Refuses to compare runs that were trained on different data.

    Args:
      entries: of the runs.
      way_out: what to do where they are.

    Raises:
      UserError: it names both.
    """
    known = [entry for entry in entries if entry.get("fingerprint")]
    for entry in known:
        if entry["fingerprint"] != known[0]["fingerprint"]:
            names = [f"{e['label']}, seed {e['seed']}" for e in (known[0], entry)]
            raise UserError(
                f"the data set has changed between the runs of {names[0]} and of "
                f"{names[1]}. {way_out}"
            )


def split_diverged(entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Separates losses that can be compared from those that diverged.

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

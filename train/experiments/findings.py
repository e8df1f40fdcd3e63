"""Findings of an experiment: sections of tables, charts and notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from train.common.drawing import Figure
from train.common.errors import UserError
from train.experiments import charts
from train.experiments.choice import at_the_edge, choice_table, tried
from train.experiments.comparison import (
    common_classes,
    compare,
    compared_metrics,
    effects,
    pixel_shares,
    rare_classes,
    thin_classes,
)
from train.experiments.entries import Entry, check_same_data, split_diverged
from train.experiments.experiment import Experiment
from train.experiments.tables import (
    Table,
    classes_table,
    effects_table,
    losses_table,
)


class Section(NamedTuple):
    """A part of a report."""

    title: str
    content: Table | Figure
    note: str = ""
    photographs: bool = False
    """Shows images of the data set, which may not be ours to hand on."""


class Report(NamedTuple):
    """What an experiment found."""

    name: str  # of its files
    title: str
    lead: str
    sections: list[Section]


def make_report(
    name: str, experiment: Experiment, entries: Sequence[Entry], *, command: str
) -> Report:
    """Returns the report of an experiment.

    Args:
      name: of its files.
      experiment: what was compared.
      entries: of its runs, those of the baseline first; what was held out to choose
        learning rates by is left out of the comparison.
      command: that made them.

    Raises:
      UserError: the baseline diverged, the runs are not of the same data, or there is
        nothing to compare.
    """
    check_same_data(entries)
    held_out = [entry for entry in entries if "holdout" in entry["options"]]
    if not experiment.confirms:
        if not held_out:
            raise UserError(
                f"the results of {name} hold no run on a held-out part, by which to "
                "choose. Give another --results."
            )
        lead = _lead(held_out, [], command)
        return Report(name, experiment.title, lead, [_choice(held_out)])
    final, diverged = split_diverged(
        [entry for entry in entries if "holdout" not in entry["options"]]
    )
    rows = compare(final, experiment.rival)
    first = final[0]
    several = len({entry["seed"] for entry in final}) > 1
    missing = _missing(experiment, [row.label for row in rows], diverged, held_out)
    rival = f" The rival is {experiment.rival}." if experiment.rival else ""
    paper = {variant.label: variant.paper for variant in experiment.variants}
    sections = [
        Section(
            "Losses", losses_table(rows, paper), _note(final, several) + rival + missing
        ),
        Section(
            "Differences",
            charts.differences(rows),
            f"Mean IoU above that of {rows[0].label}, seed by seed.",
        ),
    ]
    if gains := effects(final, experiment.variants):
        interval = ", with Student's 95 % interval over seeds" if several else ""
        note = (
            "What the mean IoU gains by a part, on average over the four combinations "
            f"of the other two{interval}. Pooling divides by the count, as "
            "the paper has it: in a full window of 5×5 that makes scores 0.72 times as "
            "large, beside smoothing them."
        )
        sections.append(Section("Parts", effects_table(gains), note))
    if held_out:
        sections.append(_choice(held_out))
    if len(first["curve"]) > 1:
        bands = "Mean over seeds; the bands are their standard deviation."
        sections.append(
            Section(
                "Validation while training",
                charts.curves(final, rows),
                bands if several else "",
            )
        )
    sections += [
        Section(
            "Classes",
            classes_table(rows, first),
            f"IoU under {rows[0].label}, percent, and what the others change, points"
            + ("; bold where the 95 % interval leaves zero out." if several else "."),
        ),
        Section(
            "IoU by class",
            charts.class_bars(rows, pixel_shares(first)),
            f"Percent, and the class's share of the pixels; the line is {rows[0].label}"
            + (", whiskers are the seeds' standard deviation." if several else "."),
        ),
    ]
    return Report(name, experiment.title, _lead(final, held_out, command), sections)


def _lead(entries: Sequence[Entry], held_out: Sequence[Entry], command: str) -> str:
    first = entries[0]
    seeds = len({entry["seed"] for entry in entries})
    devices = sorted({entry["device"] for entry in entries})
    versions = sorted({entry["versions"]["jax"] for entry in entries})
    commits = sorted({_short(entry["commit"]) for entry in (*entries, *held_out)})
    return (
        f"{first['data']}, {first['steps']:,} steps, {seeds} "
        f"seed{'s' if seeds > 1 else ''}, {' and '.join(devices)}, "
        f"JAX {' and '.join(versions)}, commit {' and '.join(commits)}. "
        f"Made by `{command}`."
    )


def _short(commit: str) -> str:
    """Returns a short commit hash, and whether the code had changes."""
    if not commit:
        return "unknown"
    return commit[:12] + (" with changes" if commit.endswith("-dirty") else "")


def _missing(
    experiment: Experiment,
    labels: Sequence[str],
    diverged: Sequence[Entry],
    held_out: Sequence[Entry],
) -> str:
    """Returns which variants are not among the labels compared, and why if known."""
    reasons: dict[str, list[str]] = {}
    for entry in diverged:
        reason = f"seed {entry['seed']} diverged at step {entry['diverged_at']:,}"
        reasons.setdefault(entry["label"], []).append(reason)
    tuned = {entry["label"] for entry in held_out}
    words = []
    for variant in experiment.variants:
        if variant.label not in labels:
            default = "diverged at every rate" if variant.label in tuned else "not run"
            because = ", ".join(reasons.get(variant.label, [default]))
            words.append(f"{variant.label} ({because})")
    return f" Left out: {'; '.join(words)}." if words else ""


def _note(entries: Sequence[Entry], several: bool) -> str:
    baseline = entries[0]["label"]
    rare = ", ".join(rare_classes(entries[0])) or "none"
    thin = ", ".join(thin_classes(entries[0])) or "none"
    common = ""
    if "common" in compared_metrics(entries[0]):
        names = ", ".join(common_classes(entries[0]))
        common = f"Common: over the classes with 0.5 % of the pixels ({names}). "
    chance = (
        f"IoU in percent ± the seeds' standard deviation; differences to {baseline} in "
        "points, paired by seed, with Student's 95 % interval, bold where it leaves "
        "zero out. Each interval is by itself: of twenty true zeros one would be bold."
        if several
        else f"IoU in percent, differences to {baseline} in points; one seed, so what "
        "chance does is not known."
    )
    return (
        f"{chance} {common}Within 2 and 5 px: mean IoU of the pixels that have "
        "another label, void included, so near. Rare: mean over the classes with less "
        f"than a quarter of an equal share of the pixels ({rare}). Thin: over those "
        f"with more than half of their pixels within 2 px of another label ({thin}). "
        "Time: of training, median ratio; rough where the machine did other work too."
    )


def _choice(entries: Sequence[Entry]) -> Section:
    counts = {len(of) for row in tried(entries) for of in row.reached.values()}
    runs = "one run each" if counts == {1} else f"means over {max(counts)} seeds"
    if len(counts) > 1:
        runs = "one run each, or the mean over as many seeds as are in parentheses"
    table = choice_table(entries)
    note = (
        "Mean IoU, percent, on the held-out part of the training split, by learning "
        f"rate and gradient clipping, {runs}."
    )
    if edge := at_the_edge(entries):
        note += (
            " The best rate is at the end of those tried, so that a better one may lie "
            f"beyond: {', '.join(edge)}."
        )
    return Section("Choice on held-out images", table, note)

"""Choices made on the held-out part of the training split, as tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from train.experiments.comparison import paired
from train.experiments.entries import Entry
from train.experiments.tables import Table, interval

# A learning rate, and whether the gradient's norm is cut.
Column = tuple[float, bool]


class Tried(NamedTuple):
    """A label's mean IoU on the held-out part, by setting and seed."""

    label: str
    reached: dict[Column, dict[int, float]]

    def mean(self, column: Column) -> float:
        """Returns the mean over seeds, −∞ where a run diverged."""
        values = self.reached[column].values()
        return sum(values) / len(values)

    def best(self) -> Column:
        """Returns the setting with the highest mean."""
        return max(self.reached, key=self.mean)


def tried(entries: Sequence[Entry]) -> list[Tried]:
    """Returns what was tried of each label, in the order of the entries."""
    found: dict[str, Tried] = {}
    for entry in entries:
        clipped = entry.get("max_gradient_norm", 0) is not None
        column = entry["learning_rate"], clipped
        of = found.setdefault(entry["label"], Tried(entry["label"], {})).reached
        reached = entry.get("mean_iou", -math.inf)
        of.setdefault(column, {})[entry["seed"]] = reached
    return list(found.values())


def choice_table(entries: Sequence[Entry]) -> Table:
    """Returns the mean IoU by setting, percent; of several seeds also the difference.

    That is between the best settings of a label and of the first. Where some labels
    have more seeds than others, the number of seeds is in parentheses.

    Args:
      entries: of runs that held out a part of the training split.
    """
    rows = tried(entries)
    columns = sorted(
        {c for row in rows for c in row.reached}, key=lambda c: (not c[1], c)
    )
    unclipped = not all(clipped for _, clipped in columns)
    heads = [
        f"{rate:.2g}" + (", clipped" if clipped else ", not clipped") * unclipped
        for rate, clipped in columns
    ]
    seeds = {len(of) for row in rows for of in row.reached.values()}
    header = ["loss", *heads, *["difference, 95 %"] * (max(seeds) > 1)]
    cells = []
    for row in rows:
        best = row.best() if len(columns) > 1 else None
        line = [
            row.label,
            *(_cell(row, column, best, counted=len(seeds) > 1) for column in columns),
        ]
        if max(seeds) > 1:
            line.append(_difference(row, rows[0]))
        cells.append(line)
    return Table(header, cells)


def _cell(row: Tried, column: Column, best: Column | None, *, counted: bool) -> str:
    """Returns a mean, bold if it is the best."""
    if column not in row.reached:
        return "–"
    text = _percent(row.mean(column))
    if column == best and math.isfinite(row.mean(column)):
        text = f"**{text}**"
    seeds = len(row.reached[column])
    return f"{text} ({seeds})" if counted and seeds > 1 else text


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}" if math.isfinite(fraction) else "diverged"


def _difference(row: Tried, first: Tried) -> str:
    """Returns the difference of the best settings over the seeds that both have."""
    ours, theirs = row.reached[row.best()], first.reached[first.best()]
    seeds = sorted(ours.keys() & theirs.keys())
    if row is first or not seeds or not math.isfinite(row.mean(row.best())):
        return "–"
    return interval(paired([ours[s] for s in seeds], [theirs[s] for s in seeds]))


def at_the_edge(entries: Sequence[Entry]) -> list[str]:
    """Returns the labels whose best rate is the lowest or highest of its kind."""
    found = []
    for row in tried(entries):
        rate, clipped = row.best()
        rates = [r for r, c in row.reached if c == clipped]
        known = math.isfinite(row.mean((rate, clipped)))
        if known and len(rates) > 1 and rate in (min(rates), max(rates)):
            found.append(row.label)
    return found

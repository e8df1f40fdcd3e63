"""Tables of a comparison, for Markdown and HTML alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from train.common.text import markdown
from train.experiments.comparison import (
    Measure,
    Row,
    pixel_shares,
    rare_classes,
    thin_classes,
)
from train.experiments.entries import Entry


class Table(NamedTuple):
    """Rows of text; the first cell of each names it."""

    header: list[str]
    rows: list[list[str]]

    def markdown(self) -> str:
        """Returns the table as Markdown."""
        rule = ["---", *["---:"] * (len(self.header) - 1)]
        rows = [[markdown(name), *cells] for name, *cells in self.rows]
        lines = [list(map(markdown, self.header)), rule, *rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def losses_table(rows: Sequence[Row], paper: Mapping[str, float | None]) -> Table:
    """Returns every variant's metrics, percent, and differences, points.

    Args:
      rows: of a comparison.
      paper: mean IoU that the paper reports by label, percent; without any the column
        is left out.
    """
    first = rows[0]
    tuned = len({row.learning_rate for row in rows}) > 1
    others = [name for name in first.measures if name != "mean IoU"]
    known = [value for value in paper.values() if value is not None]
    rival = first.over_rival is not None
    header = ["loss", *["rate"] * tuned, "mean IoU", "difference, 95 %"]
    header += [*["over the rival, 95 %"] * rival, *others]
    header += ["time", *["paper, on VOC"] * bool(known)]
    cells = []
    for row in rows:
        mean = row.measures["mean IoU"]
        baseline = row is first
        line = [row.label, *[f"{row.learning_rate:.2g}"] * tuned, mean_and_std(mean)]
        line.append("–" if baseline else interval(mean))
        if row.over_rival:
            itself = not any(row.over_rival.differences)
            line.append("–" if itself else interval(row.over_rival))
        line += [beside(row.measures[name], baseline=baseline) for name in others]
        line.append(f"{row.time:.2f}×")
        if known:
            line.append(_paper(paper.get(row.label), paper.get(first.label)))
        cells.append(line)
    return Table(header, cells)


def classes_table(rows: Sequence[Row], entry: Entry) -> Table:
    """Returns every class's IoU under the baseline and what the others change."""
    shares = pixel_shares(entry)
    rare, thin = rare_classes(entry), thin_classes(entry)
    cells = []
    for name in rows[0].iou:
        notes = [
            word for word, names in (("rare", rare), ("thin", thin)) if name in names
        ]
        cells.append(
            [
                f"{name} ({', '.join(notes)})" if notes else name,
                f"{100 * shares[name]:.1f}",
                mean_and_std(rows[0].iou[name]),
                *(change(row.iou[name]) for row in rows[1:]),
            ]
        )
    header = ["class", "pixels, %", *(row.label for row in rows)]
    return Table(header, cells)


def effects_table(effects: Mapping[str, Measure]) -> Table:
    """Returns what each part of the loss adds on average."""
    rows = [[part, interval(measure)] for part, measure in effects.items()]
    return Table(["part", "mean IoU, points, 95 %"], rows)


def mean_and_std(measure: Measure) -> str:
    """Returns a mean and the standard deviation of the seeds, percent."""
    if math.isnan(measure.deviation):
        return f"{100 * measure.mean:.1f}"
    return f"{100 * measure.mean:.1f} ± {100 * measure.deviation:.1f}"


def interval(measure: Measure) -> str:
    """Returns a difference and its interval, points; bold if it leaves zero out."""
    if math.isnan(measure.interval):
        return _points(measure.difference)
    low, high = (measure.difference + s * measure.interval for s in (-1, 1))
    text = f"{_points(measure.difference)} [{_points(low)}, {_points(high)}]"
    return f"**{text}**" if measure.differs else text


def beside(measure: Measure, *, baseline: bool) -> str:
    """Returns a mean, percent, and for all but the baseline its difference."""
    mean = f"{100 * measure.mean:.1f}"
    return mean if baseline else f"{mean} ({change(measure)})"


def change(measure: Measure) -> str:
    """Returns a difference, points; bold if its interval leaves zero out."""
    text = _points(measure.difference)
    return f"**{text}**" if measure.differs else text


def _points(fraction: float) -> str:
    text = f"{100 * fraction:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")


def _paper(figure: float | None, baseline: float | None) -> str:
    if figure is None or baseline is None:
        return "–"
    if figure == baseline:
        return f"{figure:.1f}"
    return f"{figure:.1f} ({_points((figure - baseline) / 100)})"

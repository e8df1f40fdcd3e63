"""Pictures of a comparison: differences, curves and classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from train.common.drawing import (
    Axes,
    EngFormatter,
    Figure,
    Line2D,
    MaxNLocator,
    matplotlib,
)
from train.experiments.comparison import Row
from train.experiments.entries import Entry
from train.report.html import CHART_STYLE

BASELINE = "#525c69"
OTHERS = (
    "#e07b24",
    "#1f9d61",
    "#a3519c",
    "#c23b3b",
    "#8a6d3b",
    "#3aa6b9",
    "#d4a017",
    "#6b6bd6",
)


def label_colors(rows: Sequence[Row]) -> dict[str, str]:
    """Returns a color for each label: gray for the baseline, blues for our loss."""
    first, *labels = (row.label for row in rows)
    ours = [label for label in labels if "ours" in label]
    blues = matplotlib.colormaps["Blues"](np.linspace(0.5, 1, len(ours)))
    others = [label for label in labels if label not in ours]
    return {
        first: BASELINE,
        **dict(zip(others, OTHERS, strict=False)),
        **{o: matplotlib.colors.to_hex(b) for o, b in zip(ours, blues, strict=True)},
    }


@matplotlib.rc_context(CHART_STYLE)
def differences(rows: Sequence[Row], name: str = "mean IoU") -> Figure:
    """Draws each variant's difference to the baseline, with interval and seeds."""
    figure = _figure(7, 0.8 + 0.32 * (len(rows) - 1))
    axes = figure.add_subplot()
    _draw_differences(axes, rows, name, label_colors(rows))
    axes.set_xlabel(f"{name}: points above {rows[0].label}; ◆ mean and 95 %, ● seeds")
    return figure


@matplotlib.rc_context(CHART_STYLE)
def verdict(comparisons: Mapping[str, Sequence[Row]]) -> Figure:
    """Draws the differences in mean IoU on several data sets, one above the other.

    Args:
      comparisons: rows by the title of their data set.
    """
    heights = [0.5 + 0.28 * (len(rows) - 1) for rows in comparisons.values()]
    figure = _figure(7, 0.5 + sum(heights))
    grid = figure.subplots(
        len(comparisons), sharex=True, squeeze=False, height_ratios=heights
    )
    every = {row.label: row for rows in comparisons.values() for row in rows}
    palette = label_colors(list(every.values()))
    for axes, (title, rows) in zip(grid[:, 0], comparisons.items(), strict=True):
        _draw_differences(axes, rows, "mean IoU", palette)
        mean = rows[0].measures["mean IoU"].mean
        axes.set_title(f"{title}: {rows[0].label} {100 * mean:.1f} %", fontsize=9)
    first = next(iter(comparisons.values()))[0]
    figure.supxlabel(
        f"mean IoU: points above {first.label}; ◆ mean and 95 %, ● seeds", fontsize=9
    )
    return figure


def _draw_differences(
    axes: Axes, rows: Sequence[Row], name: str, palette: Mapping[str, str]
) -> None:
    shown = list(rows[1:])
    axes.axvline(0, color=BASELINE, linewidth=1)
    for place, row in enumerate(shown):
        measure, color = row.measures[name], palette[row.label]
        if measure.interval == measure.interval:
            axes.errorbar(
                100 * measure.difference,
                place,
                xerr=100 * measure.interval,
                fmt="D",
                color=color,
                markersize=5,
                capsize=3,
            )
        seeds = 100 * np.array(measure.differences)
        axes.plot(seeds, np.full(len(seeds), place), "o", color=color, alpha=0.35)
    axes.set_yticks(range(len(shown)), [row.label for row in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)


@matplotlib.rc_context(CHART_STYLE)
def curves(entries: Sequence[Entry], rows: Sequence[Row]) -> Figure:
    """Draws the validation mean IoU of each label, ± the seeds' standard deviation."""
    palette = label_colors(rows)
    figure = _figure(7, 3.4 + 0.2 * -(-len(rows) // 3))
    axes = figure.add_subplot()
    for row in rows:
        runs = [entry["curve"] for entry in entries if entry["label"] == row.label]
        # Of all seeds: a damaged line of metrics may have cost one of them a step.
        found = [dict(run) for run in runs]
        steps = sorted(set(found[0]).intersection(*found[1:]))
        if not steps:
            continue
        values = 100 * np.array([[run[step] for step in steps] for run in found])
        middle, color = values.mean(axis=0), palette[row.label]
        axes.plot(steps, middle, ".-", color=color, label=row.label, linewidth=1.2)
        if len(runs) > 1:
            spread = values.std(axis=0, ddof=1)
            low, high = middle - spread, middle + spread
            axes.fill_between(steps, low, high, color=color, alpha=0.1, linewidth=0)
    axes.set_xlabel("step")
    axes.set_ylabel("validation mean IoU, %")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    if axes.lines:
        figure.legend(fontsize=8, frameon=False, loc="outside lower center", ncols=3)
    return figure


@matplotlib.rc_context(CHART_STYLE)
def class_bars(rows: Sequence[Row], shares: Mapping[str, float]) -> Figure:
    """Draws the IoU of every class under each loss, ± the standard deviation.

    Args:
      rows: of a comparison.
      shares: of the pixels, by class.
    """
    palette, classes = label_colors(rows), list(rows[0].iou)
    columns = 4
    lines = -(-len(classes) // columns)
    figure = _figure(9, 0.5 + lines * (0.5 + 0.13 * len(rows)))
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, name in zip(grid, classes, strict=False):
        for place, row in enumerate(rows):
            measure = row.iou[name]
            axes.barh(
                place,
                100 * measure.mean,
                xerr=np.nan_to_num(100 * measure.deviation),
                color=palette[row.label],
                error_kw={"linewidth": 0.8, "ecolor": "#1b2129"},
            )
        axes.axvline(100 * rows[0].iou[name].mean, color=BASELINE, linewidth=0.8)
        axes.set_title(f"{name} ({100 * shares[name]:.1f} %)", fontsize=9)
        _bare(axes, len(rows))
    for axes in grid[len(classes) :]:
        axes.set_axis_off()
    handles = [
        Line2D([], [], color=color, linewidth=6, label=label)
        for label, color in palette.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _bare(axes: Axes, count: int) -> None:
    axes.set_yticks([])
    axes.set_ylim(count - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_axisbelow(True)


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")

"""A run's report: one HTML file that opens offline and needs no script."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from train.common.drawing import (
    Axes,
    EngFormatter,
    Figure,
    MaxNLocator,
    matplotlib,
    to_hex,
)
from train.common.files import replace_text
from train.data.palette import VOID_COLOR, mask_image, overlay
from train.evaluation.metrics import METRICS
from train.evaluation.whole_split import Panel
from train.report.html import (
    CHART_STYLE,
    css_color,
    jpeg,
    percent,
    png,
    svg,
    template,
)
from train.training.losses import LOSSES

BLUE, ORANGE, GREEN = "#2f6fde", "#e07b24", "#1f9d61"
_LARGEST = np.finfo(np.float32).max  # of a value in a chart, whose axes go on from it
_TERM = "loss/"  # before the name of each loss of a sum
RED = np.array([[229, 36, 59]], dtype=np.uint8)


class _Curve(NamedTuple):
    steps: np.ndarray
    values: np.ndarray


class _Key(NamedTuple):
    symbol: str
    color: str
    label: str


class _Chart(NamedTuple):
    title: str
    keys: list[_Key]
    picture: str


class _Class(NamedTuple):
    name: str
    color: str
    iou: float | None
    pixels: int
    share: float | None


class _Example(NamedTuple):
    name: str
    accuracy: float | None
    pictures: dict[str, str]


def write_report(
    workdir: Path,
    *,
    config: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    summary: Mapping[str, Any],
    confusion: np.ndarray,
    colors: np.ndarray,
    panels: Sequence[Panel],
) -> Path:
    """Writes `report.html` into a run's folder.

    Args:
      workdir: The run's folder; its name is the report's title.
      config: The run's options by name.
      metrics: The lines of `metrics.jsonl`, of either split, in any number.
      summary: The content of `summary.json`. The keys of its `iou` are the class
        names in order; the values are fractions, None for a class that occurs
        neither in the truth nor in the prediction.
      confusion: int64 [C, C], pixel counts; rows are the truth.
      colors: uint8 [C, 3], the data set's colors.
      panels: The examples to show; a truth of C or more is void.

    Returns:
      The path of the report.

    Raises:
      ValueError: The summary, confusion and colors disagree on the classes.
    """
    count = len(summary["iou"])
    if confusion.shape != (count, count) or colors.shape != (count, 3):
        raise ValueError(
            f"summary['iou'] names {count} classes, which takes a confusion of "
            f"[{count}, {count}] and colors of [{count}, 3]; they are "
            f"{list(confusion.shape)} and {list(colors.shape)}."
        )
    html = template("report.html.jinja").render(
        name=workdir.resolve().name,
        config=config,
        summary=summary,
        metrics={METRICS.caption(name): summary[name] for name in METRICS},
        charts=_charts(metrics),
        classes=_classes(summary, confusion, colors),
        confusion=confusion.tolist(),
        examples=[_example(panel, colors) for panel in panels],
        void_color=css_color(VOID_COLOR),
        error_color=css_color(RED),
    )
    path = workdir / "report.html"
    replace_text(path, html)
    return path


def _classes(
    summary: Mapping[str, Any], confusion: np.ndarray, colors: np.ndarray
) -> list[_Class]:
    iou, void = summary["iou"], summary.get("void", ())
    pixels = confusion.sum(axis=1).tolist()
    total = sum(pixels)
    return [
        _Class(
            f"{name} (void)" if name in void else name,
            css_color(color),
            iou[name],
            n,
            n / total if n else None,
        )
        for name, color, n in zip(iou, colors, pixels, strict=True)
    ]


def _charts(metrics: Sequence[Mapping[str, Any]]) -> list[_Chart]:
    """Draws the curves that the metrics hold, if anything was trained."""
    if not any(line["step"] for line in metrics):
        return []
    loss = _curve(metrics, "train", "loss")
    validation_loss = _curve(metrics, "val", "loss")
    mean_iou = _curve(metrics, "val", "mean_iou")
    learning_rate = _curve(metrics, "train", "learning_rate")
    charts = []
    with matplotlib.rc_context(CHART_STYLE):
        if loss.steps.size or validation_loss.steps.size:
            charts.append(_loss_chart(loss, validation_loss))
        if terms := _terms(metrics):
            charts.append(_terms_chart(terms))
        if mean_iou.steps.size:
            charts.append(_mean_iou_chart(mean_iou))
        if learning_rate.steps.size:
            charts.append(_learning_rate_chart(learning_rate))
    return charts


def _curve(metrics: Sequence[Mapping[str, Any]], split: str, name: str) -> _Curve:
    """Picks one metric; of a step that a resumed run repeats, the last counts."""
    points = {
        line["step"]: line[name]
        for line in metrics
        if line["split"] == split and name in line
    }
    points = dict(sorted(points.items()))
    steps = np.array(list(points), dtype=np.int64)
    values = np.array(list(points.values()), dtype=np.float64)
    drawn = np.abs(values) <= _LARGEST  # no NaN is
    return _Curve(steps[drawn], values[drawn])


def _loss_chart(train: _Curve, validation: _Curve) -> _Chart:
    figure, axes = _subplots()
    keys = []
    if train.steps.size:
        axes.plot(*train, color=BLUE, linewidth=0.8, alpha=0.3)
        axes.plot(train.steps, _smooth(train.values), ".-", color=BLUE, markevery=[-1])
        keys.append(_Key("●", BLUE, f"training, last {train.values[-1]:.3g}"))
    if validation.steps.size:
        axes.plot(*validation, ".-", color=ORANGE)
        keys.append(_Key("●", ORANGE, f"validation, last {validation.values[-1]:.3g}"))
    axes.yaxis.set_major_formatter("{x:g}")
    return _Chart("Loss", keys, svg(figure))


def _terms(metrics: Sequence[Mapping[str, Any]]) -> dict[str, _Curve]:
    """Returns the curve of each loss of a sum, by its name."""
    heads = {f"auxiliary_{stage}" for stage in range(1, 10)}
    known = {_TERM + name for name in (*LOSSES, *heads)}
    names = dict.fromkeys(name for line in metrics for name in line if name in known)
    curves = {
        name.removeprefix(_TERM): _curve(metrics, "train", name) for name in names
    }
    return {name: curve for name, curve in curves.items() if curve.steps.size}


def _terms_chart(terms: Mapping[str, _Curve]) -> _Chart:
    figure, axes = _subplots()
    keys = []
    for place, (name, (steps, values)) in enumerate(terms.items()):
        color = to_hex(f"C{place}")
        axes.plot(steps, _smooth(values), ".-", color=color, markevery=[-1])
        keys.append(_Key("●", color, f"{name}, last {values[-1]:.3g}"))
    axes.yaxis.set_major_formatter("{x:g}")
    return _Chart("Terms of the training loss, without factors", keys, svg(figure))


def _mean_iou_chart(curve: _Curve) -> _Chart:
    figure, axes = _subplots()
    axes.plot(curve.steps, 100 * curve.values, ".-", color=BLUE)
    axes.yaxis.set_major_formatter("{x:g}%")
    keys = []
    for name, index, symbol, color in (
        ("best", int(curve.values.argmax()), "★", GREEN),
        ("last", -1, "○", ORANGE),
    ):
        step, value = curve.steps[index], curve.values[index]
        axes.plot(step, 100 * value, marker=f"${symbol}$", color=color, markersize=9)
        keys.append(_Key(symbol, color, f"{name} {percent(value)} at step {step:,}"))
    return _Chart("Validation mean IoU", keys, svg(figure))


def _learning_rate_chart(curve: _Curve) -> _Chart:
    figure, axes = _subplots()
    axes.plot(*curve, ".-", color=BLUE, markevery=[-1])
    axes.yaxis.set_major_formatter("{x:g}")
    label = f"highest logged {curve.values.max():.3g}, last {curve.values[-1]:.3g}"
    return _Chart("Learning rate", [_Key("●", BLUE, label)], svg(figure))


def _subplots() -> tuple[Figure, Axes]:
    """Like pyplot's, but leaves no figure behind in a global registry."""
    figure = Figure(figsize=(3.8, 2.3), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    return figure, axes


def _smooth(values: np.ndarray) -> np.ndarray:
    """A running mean over a twentieth of the run, narrower at its ends."""
    window = np.ones(1 + len(values) // 20)
    size = np.convolve(np.ones(len(values)), window, mode="same")
    return np.convolve(values, window, mode="same") / size


def _example(panel: Panel, colors: np.ndarray) -> _Example:
    valid = panel.truth < len(colors)
    wrong = valid & (panel.truth != panel.prediction)
    photo = Image.fromarray(panel.image)
    gray = np.asarray(photo.convert("L").convert("RGB"))
    errors = overlay(gray, np.where(wrong, 0, 255), RED, opacity=0.85)
    return _Example(
        name=panel.name,
        accuracy=1 - wrong.sum() / valid.sum() if valid.any() else None,
        pictures={
            "image": jpeg(photo),
            "truth": png(mask_image(panel.truth, colors)),
            "prediction": png(mask_image(panel.prediction, colors)),
            "where wrong": jpeg(Image.fromarray(errors)),
        },
    )

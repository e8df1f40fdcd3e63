"""Results of others' making: what is damaged is named, and nothing else is touched."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from train.common.errors import UserError
from train.experiments.charts import curves
from train.experiments.comparison import compare
from train.experiments.entries import make_entry
from train.experiments.paper import TABLE2
from train.experiments.plans import Plan, Planned
from train.experiments.publish import save_figure, with_earlier, write_json

from ..conftest import MakeConfig
from .test_comparison import an_entry, finish

NEAR = an_entry("", 0, 0.5)["boundary"]["2"]


def alike(pixels: dict[str, int], iou: float | None) -> dict[str, Any]:
    """Metrics of classes that all have one IoU."""
    near = {**NEAR, "pixels": pixels}
    ious = dict.fromkeys(pixels, iou)
    return {"pixels": pixels, "iou": ious, "boundary": {"2": near}}


def of_class(name: str) -> dict[str, Any]:
    """Metrics of that class and another."""
    pixels = {name: 5, "b": 5}
    near = {**NEAR, "pixels": pixels}
    return {
        "pixels": pixels,
        "iou": dict.fromkeys(pixels, 0.5),
        "boundary": {"2": near},
    }


def of_pixels(count: int, iou: float | None) -> dict[str, Any]:
    """Metrics of two classes with so many pixels."""
    pixels = {"a": count, "b": count}
    near = {**NEAR, "pixels": pixels}
    return {
        "pixels": pixels,
        "iou": dict.fromkeys(pixels, iou),
        "boundary": {"2": near},
    }


@pytest.fixture
def planned(make_config: MakeConfig, tmp_path: Path) -> Planned:
    plan = Plan(make_config(), tmp_path / "runs", steps=4)
    return plan.run(TABLE2.variants[0], seed=2)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"iou": [1, 2]}, "Expected `object`, got `array`"),
        ({"iou": {"x": 0.5}}, "its metrics are of different classes"),
        ({"iou": {"road": None, "pole": 0.1, "car": 0.5}}, "no IoU for a class"),
        ({"boundary": {"2": {}}}, "missing required field `mean_iou`"),
        ({"boundary": {"5": NEAR}}, "it has no pixels within 2 px"),
        ({"boundary": {"2": {**NEAR, "pixels": {}}}}, "of different classes"),
        ({"pixels": {"road": 10**30}}, "`$.pixels"),
        (of_class("a" * 200_000), "characters"),
        (of_class("\ud800x"), "Give it a name of one line"),
        ({"pixels": {}, "iou": {}}, "must name 2 to 255 classes"),
        (of_pixels(0, None), "no pixel of any class"),
        ({"mean_iou": 1e308}, "`float` <= 1.0"),
        ({"pixel_accuracy": -5.0}, "`float` >= 0.0"),
        ({"seconds": "x"}, "Expected `float`, got `str`"),
        ({"versions": []}, "Expected `object`, got `array`"),
        ({"commit": 5}, "Expected `str`, got `int`"),
    ],
    ids=str,
)
def test_a_result_that_cannot_be_compared_is_named(
    planned: Planned, make_config: MakeConfig, changes: dict[str, Any], said: str
) -> None:
    finish(planned, {"mean_iou": 0.25, **changes})
    with pytest.raises(UserError) as raised:
        make_entry(planned, make_config(), "demo")
    assert str(raised.value).startswith(f"{planned.config.run.workdir} has a result")
    assert said in str(raised.value)


def test_a_result_does_not_say_what_its_run_is(
    planned: Planned, make_config: MakeConfig
) -> None:
    finish(planned, {"mean_iou": 0.25, "label": "ours", "seed": 7, "command": "rm"})
    entry = make_entry(planned, make_config(), "demo")
    assert (entry["label"], entry["seed"]) == (TABLE2.variants[0].label, 2)
    assert entry["command"].startswith("python train/main.py")


def test_runs_on_other_pixels_are_not_compared() -> None:
    entries = [an_entry("plain", 0, 0.5), an_entry("ours", 0, 0.5)]
    entries[1]["pixels"] = {**entries[1]["pixels"], "car": 401}
    said = "plain, seed 0 and of ours, seed 0 were evaluated on different pixels"
    with pytest.raises(UserError, match=said):
        compare(entries)


def test_times_of_less_than_a_tenth_of_a_second_are_compared() -> None:
    entries = [an_entry(label, 0, 0.5, seconds=0.0) for label in ("plain", "ours")]
    assert compare(entries)[1].time == 1


@pytest.mark.parametrize(
    "text",
    ["[", "{}", "[1]", '[{"a": 1}]', '[{"command": [1]}]', "[" * 10_000, "\xff"],
)
def test_damaged_results_are_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "d_forms.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=str(path)):
        with_earlier([], path)
    write_json([], path)
    assert with_earlier([], path) == [] == json.loads(path.read_text())


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe"])
@pytest.mark.parametrize("name", ["a.svg", "a.png"])
def test_charts_leave_what_their_names_lead_to(
    tmp_path: Path, kind: str, name: str
) -> None:
    theirs, path = tmp_path / "theirs", tmp_path / name
    theirs.write_text("mine")
    if kind == "pipe":
        os.mkfifo(path)  # writing to it would wait for a reader
    else:
        (path.symlink_to if kind == "link" else path.hardlink_to)(theirs)
    save_figure(Figure(), path)
    assert theirs.read_text() == "mine"
    assert path.is_file() and not path.is_symlink()


@pytest.mark.parametrize(
    ("other", "drawn"),
    [([[10, 0.4]], {"plain": [10]}), ([[7, 0.1]], {}), ([], {})],
)
def test_curves_go_over_the_evaluations_of_all_seeds(
    other: list[Any], drawn: dict[str, list[int]]
) -> None:
    entries = [an_entry("plain", 0, 0.5), an_entry("plain", 1, 0.6, curve=other)]
    (axes,) = curves(entries, compare(entries)).axes
    found = {line.get_label(): [*map(int, line.get_xdata())] for line in axes.lines}  # type: ignore[arg-type]
    assert found == drawn

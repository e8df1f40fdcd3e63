"""Choices on held-out images: what is tried, what is best, what a search keeps."""

import json
from pathlib import Path
from typing import Any

from train.experiments.choice import at_the_edge, choice_table
from train.experiments.experiment import Experiment
from train.experiments.findings import make_report
from train.experiments.forms import FORMS
from train.experiments.publish import with_earlier, write_json

from .test_comparison import an_entry

HELD: dict[str, Any] = {"options": {"holdout": 0.2}, "max_gradient_norm": 0.1}
FREE: dict[str, Any] = {**HELD, "max_gradient_norm": None}


def held(label: str, seed: int, iou: float, **others: Any) -> dict[str, Any]:
    return an_entry(label, seed, iou, **{**HELD, **others})


def test_settings_are_columns_and_seeds_are_averaged() -> None:
    entries = [
        held("plain", 0, 0.40),
        held("plain", 1, 0.44),
        held("plain", 0, 0.1, learning_rate=0.05, max_gradient_norm=None),
        held("ours", 0, 0.41),
        held("ours", 1, 0.46),
        held("ours", 0, 0.5, learning_rate=0.05, max_gradient_norm=None),
    ]
    table = choice_table(entries)
    assert table.header == [
        "loss",
        "1, clipped",
        "0.05, not clipped",
        "difference, 95 %",
    ]
    assert table.rows == [
        ["plain", "**42.0** (2)", "10.0", "–"],
        ["ours", "43.5 (2)", "**50.0**", "+10.0"],
    ]


def test_one_seed_shows_no_difference() -> None:
    table = choice_table([held("plain", 0, 0.4), held("ours", 0, 0.5)])
    assert table.header == ["loss", "1"]
    assert table.rows == [["plain", "40.0"], ["ours", "50.0"]]


def test_means_over_different_numbers_of_seeds_are_told_apart() -> None:
    entries = [held("plain", seed, 0.4) for seed in range(3)] + [held("ours", 0, 0.5)]
    table = choice_table(entries)
    assert table.rows == [["plain", "40.0 (3)", "–"], ["ours", "50.0", "+10.0"]]
    note = make_report("forms", FORMS, entries, command="").sections[0].note
    assert "one run each, or the mean over as many seeds as are in parenth" in note


def test_the_edge_is_that_of_clipped_or_unclipped_rates() -> None:
    rates = ((0.5, 0.3), (1.0, 0.4), (2.0, 0.2))
    inner = [held("inner", 0, iou, learning_rate=rate) for rate, iou in rates]
    outer = [held("outer", 0, iou, learning_rate=rate) for rate, iou in rates[1:]]
    assert at_the_edge(inner + outer) == ["outer"]
    lone = held("inner", 0, 0.9, learning_rate=3.0, max_gradient_norm=None)
    assert at_the_edge([*inner, lone]) == []  # the only one without clipping


def test_a_search_has_its_choice_alone() -> None:
    search = Experiment("Title", (), tunes=True, confirms=False)
    report = make_report("forms", search, [held("plain", 0, 0.4)], command="python x")
    assert [section.title for section in report.sections] == [
        "Choice on held-out images"
    ]
    assert "python x" in report.lead


def test_a_search_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "d_forms.json"
    first = [held("a", 0, 0.1, command="a"), held("b", 0, 0.2, command="b")]
    assert with_earlier(first, path) == first
    write_json(first, path)
    again = [held("b", 0, 0.3, command="b"), held("c", 0, 0.4, command="c")]
    merged = with_earlier(again, path)
    assert merged == json.loads(json.dumps([first[0], *again]))


def test_forms_differ_in_name_and_in_kind() -> None:
    labels = [variant.label for variant in FORMS.variants]
    options = [(v.loss, sorted(v.options.items(), key=str)) for v in FORMS.variants]
    assert len(set(labels)) == len({str(of) for of in options}) == len(labels)
    assert "image score × 4, 5×5, n^−½" in labels
    assert "score × learned, 5×5" in labels
    assert "logits, 5×5 every 8 px" in labels

"""Names of classes and files in pictures and pages, whatever they have."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from train.common.errors import UserError
from train.data.voc_classes import check_names
from train.experiments import charts
from train.experiments.comparison import Measure, Row
from train.experiments.publish import save_figure
from train.experiments.tables import Table
from train.report.html import svg, template

NAMES = (
    "$\\frac$",
    "_background_",
    "a_1^{2}",
    "100 %",
    "\\alpha {x}",
    "<b>&",
    "#1 $",
)


def rows() -> list[Row]:
    """Two losses whose names, and whose classes', are NAMES."""
    measure = Measure(0.5, 0.1, 0.01, 0.02, (0.01, 0.02))
    of = dict.fromkeys(NAMES, measure)
    return [
        Row(label, 0.1, {"mean IoU": measure}, of, 1.0, None) for label in NAMES[:3]
    ]


def texts(figure: Figure) -> set[str]:
    return {found.get_text() for found in figure.findobj(Text)}


def test_charts_show_names_as_they_are(tmp_path: Path) -> None:
    shares = dict.fromkeys(NAMES, 0.1)
    bars = charts.class_bars(rows(), shares)
    assert {f"{name} (10.0 %)" for name in NAMES} <= texts(bars)
    assert set(NAMES[:3]) <= texts(bars)  # the legend
    differences = charts.differences(rows())
    assert set(NAMES[1:3]) <= texts(differences)
    verdict = charts.verdict({name: rows() for name in NAMES})
    for figure in (bars, differences, verdict):
        svg(figure)
        save_figure(figure, tmp_path / "a.png")
        for text in figure.findobj(Text):
            if set("$_^{\\") & set(text.get_text()):  # ticks have numbers
                assert not text.get_parse_math()


def test_charts_are_drawn_by_no_program_that_a_folder_names(tmp_path: Path) -> None:
    # As a `matplotlibrc` in the current folder says it, which is read at the start.
    planted: Any = {"text.usetex": True, "svg.fonttype": "none", "lines.linewidth": 99}
    with matplotlib.rc_context(planted):
        figure = charts.differences(rows())
        drawn = svg(figure)
        save_figure(figure, tmp_path / "a.png")
    assert not any(text.get_usetex() for text in figure.findobj(Text))
    assert drawn == svg(charts.differences(rows()))


def test_markdown_tables_show_names_as_they_are() -> None:
    table = Table(["class", "a|b"], [["x | *y* <i>", "**0.1**"]])
    lines = table.markdown().splitlines()
    assert lines[0] == "| class | a\\|b |"
    assert lines[2] == "| x \\| \\*y\\* \\<i\\> | **0.1** |"


def test_pages_escape_names() -> None:
    table = Table(["class", "<script>"], [["\u202e<b>\x1b[2J", "1"]])
    section = {"title": "t", "table": table, "note": "", "picture": None}
    html = template("comparison.html.jinja").render(
        name="<i>\u202e", lead="", sections=[section]
    )
    assert "<script>" not in html and "<b>" not in html and "<i>" not in html
    assert "\u202e" not in html and "\x1b" not in html
    assert "\\u202e&lt;b&gt;\\x1b[2J" in html


@pytest.mark.parametrize("seen", ["ground", "caf\u00e9"])
@pytest.mark.parametrize(
    "unseen", ["\u200b", "\u2060", "\ufeff", "\u00ad", "\ufe0f", "\u2800", "\u206a"]
)
def test_names_that_look_the_same_are_refused(seen: str, unseen: str) -> None:
    alike = unicodedata.normalize("NFD", f"{seen}{unseen}")
    with pytest.raises(UserError, match="must name each class once; repeated: "):
        check_names([seen, alike], "class_names.txt")
    with pytest.raises(UserError, match="has a class called"):
        check_names([seen, unseen * 2], "class_names.txt")
    check_names([f"{alike} 1", f"{alike} 2"], "class_names.txt")


@pytest.mark.parametrize("name", ["a\x1b[2J", "a\u202eb", "a\tb", "a\rb", "a\x9bb"])
def test_names_of_classes_have_no_control_characters(name: str) -> None:
    with pytest.raises(UserError, match="without control characters"):
        check_names(["ground", name], "class_names.txt")
    check_names(["ground", *NAMES], "class_names.txt")

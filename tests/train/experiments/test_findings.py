"""What a report shows: tables by hand, pages that open, pictures of what is there."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from train.common.errors import UserError
from train.data.channels import encode_array
from train.data.images import encode
from train.experiments import figure3
from train.experiments.charts import class_bars, curves, differences, label_colors
from train.experiments.comparison import Measure, compare
from train.experiments.experiment import Experiment, Variant
from train.experiments.figure3 import choose
from train.experiments.findings import Section, make_report
from train.experiments.paper import ABLATIONS, TABLE1, TABLE2
from train.experiments.publish import write_json, write_markdown, write_page
from train.experiments.tables import interval, losses_table, mean_and_std

from .test_comparison import an_entry

ENTRIES = [
    an_entry("plain", 0, 0.50),
    an_entry("plain", 1, 0.60),
    an_entry("ours, 5×5", 0, 0.52, seconds=15.0),
    an_entry("ours, 5×5", 1, 0.62, seconds=15.0),
]


EXPERIMENT = Experiment(
    "Title",
    (
        Variant("plain", "softmax_cross_entropy", paper=74.6),
        Variant("ours, 5×5", "locally_adaptive", paper=76.1),
    ),
)


def report(entries: list[dict[str, Any]] = ENTRIES) -> Any:
    return make_report("table2", EXPERIMENT, entries, command="python x")


def test_a_choice_needs_runs_on_a_held_out_part() -> None:
    choosing = EXPERIMENT._replace(confirms=False)
    with pytest.raises(UserError, match="forms hold no run on a held-out part"):
        make_report("forms", choosing, ENTRIES, command="python x")


def test_one_evaluation_is_no_curve() -> None:
    once = [{**entry, "curve": entry["curve"][-1:]} for entry in ENTRIES]
    for entries, drawn in ((ENTRIES, True), (once, False)):
        titles = {section.title for section in report(entries).sections}
        assert ("Validation while training" in titles) == drawn


def test_table_reads_as_computed_by_hand() -> None:
    table = losses_table(compare(ENTRIES), {"plain": 74.6, "ours, 5×5": 76.1})
    first, second = (dict(zip(table.header, row, strict=True)) for row in table.rows)
    assert first["mean IoU"] == "55.0 ± 7.1" and first["difference, 95 %"] == "–"
    assert second["mean IoU"] == "57.0 ± 7.1"
    assert second["difference, 95 %"] == "**+2.0 [+2.0, +2.0]**"
    assert second["within 2 px"] == "28.5 (**+1.0**)"
    assert second["time"] == "1.50×" and "rate" not in table.header
    assert second["paper, on VOC"] == "76.1 (+1.5)"


def test_the_rival_is_a_second_baseline() -> None:
    third = [an_entry("weighted", 0, 0.51), an_entry("weighted", 1, 0.60)]
    rows = compare([*ENTRIES, *third], rival="weighted")
    table = losses_table(rows, {})
    cells = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    assert [cell["over the rival, 95 %"] for cell in cells] == [
        "−0.5 [−6.9, +5.9]",
        "+1.5 [−4.9, +7.9]",
        "–",
    ]
    assert "over the rival, 95 %" not in losses_table(compare(ENTRIES), {}).header
    variants = (*EXPERIMENT.variants, Variant("weighted", "softmax_cross_entropy"))
    of = EXPERIMENT._replace(variants=variants, rival="weighted")
    note = make_report("x", of, ENTRIES + third, command="").sections[0].note
    assert "The rival is weighted." in note


def test_common_classes_are_shown_where_some_are_not() -> None:
    assert "common" not in losses_table(compare(ENTRIES), {}).header
    entries = [
        {
            **entry,
            "pixels": {**entry["pixels"], "bird": 5},
            "iou": {**entry["iou"], "bird": 0.0},
            "boundary": {
                distance: {**near, "pixels": {**near["pixels"], "bird": 0}}
                for distance, near in entry["boundary"].items()
            },
        }
        for entry in ENTRIES
    ]
    table = losses_table(compare(entries), {})
    first = dict(zip(table.header, table.rows[0], strict=True))
    assert first["common"] == "51.7"  # (90 + 15 + 50) / 3
    note = report(entries).sections[0].note
    assert (
        "Common: over the classes with 0.5 % of the pixels (road, pole, car)." in note
    )


def test_differences_that_may_be_none_are_not_bold() -> None:
    assert interval(Measure(0.5, 0.1, 0.02, 0.03, ())) == "+2.0 [−1.0, +5.0]"
    assert interval(Measure(0.5, 0.1, -0.02, 0.01, ())) == "**−2.0 [−3.0, −1.0]**"
    alone = Measure(0.5, float("nan"), 0.0001, float("nan"), ())
    assert (interval(alone), mean_and_std(alone)) == ("0.0", "50.0")


def test_markdown_names_its_files_and_command(tmp_path: Path) -> None:
    write_json(ENTRIES, tmp_path / "d_table2.json")
    text = write_markdown(report(), tmp_path, "d", photographs=False).read_text()
    assert "`python x`" in text and "2 seeds" in text
    linked = re.findall(r"\]\(([^)]+)\)", text)
    assert len(linked) == 4 and all((tmp_path / name).is_file() for name in linked)
    lines = (tmp_path / "d_table2.json").read_text().splitlines()
    assert len(lines) == len(ENTRIES) + 2  # one a run


def test_markdown_is_made_of_no_name(tmp_path: Path) -> None:
    name = "cpu```<img src=x>\x1b[31m"
    entries = [{**entry, "device": name} for entry in ENTRIES]
    text = write_markdown(report(entries), tmp_path, "d", photographs=False).read_text()
    assert r"cpu\`\`\`\<img src=x\>" in text and "\x1b" not in text
    assert "`python x`" in text


def test_photographs_are_left_out_where_they_may_not_stand(tmp_path: Path) -> None:
    picture = Section("Figure 3", Figure(), "rule", photographs=True)
    for photographs, name in ((False, "out"), (True, "in")):
        of = report()
        of.sections.append(picture)
        write_markdown(of, tmp_path, name, photographs=photographs)
    assert not list(tmp_path.glob("out*.png"))
    assert [path.name for path in tmp_path.glob("in*.png")] == [
        "in_table2_figure_3.png"
    ]


def test_page_shows_every_section_and_opens_offline(tmp_path: Path) -> None:
    of = report()
    write_page(of, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    for section in of.sections:
        assert f"<h2>{section.title}</h2>" in html
    assert "<b>+2.0 [+2.0, +2.0]</b>" in html and "<code>python x</code>" in html
    assert "**" not in html and "`" not in html
    assert html.count("data:image/svg+xml;base64,") == 3
    assert not re.findall(r'(?:src|href)="(?!data:)', html)


def test_rates_are_shown_with_what_chose_them(tmp_path: Path) -> None:
    held = {"options": {"holdout": 0.2}}
    tried = [
        an_entry("plain", 0, 0.4, learning_rate=0.5, **held),
        an_entry("plain", 0, 0.3, learning_rate=2.0, **held),
        an_entry("ours, 5×5", 0, 0.2, learning_rate=0.5, **held),
        an_entry("ours, 5×5", 0, 0.3, learning_rate=2.0, **held),
    ]
    chosen = [
        {**entry, "learning_rate": 0.5 if entry["label"] == "plain" else 2.0}
        for entry in ENTRIES
    ]
    sections = {section.title: section.content for section in report(chosen + tried)[3]}
    table = sections["Choice on held-out images"]
    assert table.header == ["loss", "0.5", "2"]
    assert table.rows == [
        ["plain", "**40.0**", "30.0"],
        ["ours, 5×5", "20.0", "**30.0**"],
    ]
    rates = [row[1] for row in sections["Losses"].rows]
    assert rates == ["0.5", "2"]
    means = [row[2] for row in sections["Losses"].rows]
    assert means == ["55.0 ± 7.1", "57.0 ± 7.1"]  # of the final runs alone


def test_diverged_runs_stand_in_the_report() -> None:
    held = {"options": {"holdout": 0.2}}
    tried = [
        an_entry("plain", 0, 0.4, **held),
        an_entry("ours, 5×5", 0, 0.2, **held),
        stopped(an_entry("ours, 5×5", 0, 0.2, learning_rate=3.0, **held), 9),
    ]
    lost = stopped(an_entry("focal", 1, 0.5), 1200)
    lost_to_all = stopped(an_entry("center", 0, 0.5, **held), 20)
    others = (Variant(label, label) for label in ("focal", "center", "hard"))
    of = EXPERIMENT._replace(variants=(*EXPERIMENT.variants, *others))
    entries = [*ENTRIES, *tried, lost, lost_to_all]
    made = make_report("rates", of, entries, command="python x")
    sections: dict[str, Any] = {section.title: section for section in made.sections}
    assert sections["Choice on held-out images"].content.rows == [
        ["plain", "**40.0**", "–"],
        ["ours, 5×5", "**20.0**", "diverged"],
        ["center", "diverged", "–"],
    ]
    assert "lie beyond: ours, 5×5." in sections["Choice on held-out images"].note
    assert len(sections["Losses"].content.rows) == 2
    assert sections["Losses"].note.endswith(
        "Left out: focal (seed 1 diverged at step 1,200); center (diverged at every "
        "rate); hard (not run)."
    )
    assert "Left out" not in report().sections[0].note


def stopped(entry: dict[str, Any], step: int) -> dict[str, Any]:
    """Returns what stays of an entry when its run diverged."""
    kept = ("label", "data", "options", "seed", "learning_rate", "commit")
    return {**{name: entry[name] for name in kept}, "diverged_at": step}


def test_lead_says_with_which_code() -> None:
    commit = "0123456789abcdef" * 2
    changed = an_entry("ours, 5×5", 0, 0.5, commit=f"{commit}-dirty")
    lead = report([an_entry("plain", 0, 0.5, commit=commit), changed]).lead
    assert "commit 0123456789ab and 0123456789ab with changes." in lead
    unknown = [an_entry(label, 0, 0.5, commit="") for label in ("plain", "ours, 5×5")]
    assert "commit unknown." in report(unknown).lead


def test_one_seed_is_not_said_to_tell_of_chance() -> None:
    for section in report(ENTRIES[::2]).sections:
        assert not re.search("deviation|interval|bold|bands", section.note)
    assert "one seed" in report(ENTRIES[::2]).sections[0].note
    notes = " ".join(section.note for section in report().sections)
    assert all(word in notes for word in ("deviation", "interval", "bold", "bands"))


def test_charts_draw_what_was_measured() -> None:
    rows = compare(ENTRIES)
    (axes,) = differences(rows).axes
    seeds = axes.lines[-1].get_xdata()
    np.testing.assert_allclose(np.asarray(seeds, float), [2.0, 2.0])
    (axes,) = curves(ENTRIES, rows).axes
    assert [line.get_label() for line in axes.lines] == ["plain", "ours, 5×5"]
    np.testing.assert_allclose(np.asarray(axes.lines[1].get_ydata()), [28.5, 57.0])
    bars = class_bars(rows, {"road": 0.7, "pole": 0.02, "car": 0.28}).axes
    assert [ax.get_title() for ax in bars[:3]] == [
        "road (70.0 %)",
        "pole (2.0 %)",
        "car (28.0 %)",
    ]
    widths = [patch.get_width() for patch in bars[1].patches]  # type: ignore[attr-defined]
    assert widths == pytest.approx([15.0, 17.0])
    assert len(set(label_colors(rows).values())) == 2


def test_images_of_other_channels_are_shown_as_colors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mask = np.zeros((4, 6), np.uint8)
    image = np.full((4, 6, 5), 30_000, np.uint16)
    trained = SimpleNamespace(
        predictor=lambda: SimpleNamespace(mask=lambda state, image: mask),
        state=None,
        class_names=("road",),
        colors=np.zeros((1, 3), np.uint8),
    )
    monkeypatch.setattr(figure3, "load_run", lambda path: trained)
    source: Any = [{"image": encode_array(image), "label": encode(mask, "PNG")}]
    runs = {"plain": Path("a"), "ours": Path("b")}
    figure = figure3.draw_figure3(runs, "plain", "ours", source)
    shown = figure.axes[0].images[0].get_array()
    assert shown is not None and shown.shape == (4, 6, 3)


def test_images_are_chosen_by_rule() -> None:
    baseline, ours = np.full(9, 0.5), np.linspace(0.4, 0.8, 9)
    chosen = choose(baseline.tolist(), ours.tolist())
    assert [choice.image for choice in chosen] == [3, 6, 8, 0]
    assert "+30.0 points" in chosen[2].why and "-10.0 points" in chosen[3].why
    assert [choice.image for choice in choose([0.5], [0.6])] == [0]


@pytest.mark.parametrize("experiment", [TABLE1, TABLE2, ABLATIONS])
def test_every_loss_has_a_color_of_its_own(experiment: Experiment) -> None:
    entries = [an_entry(variant.label, 0, 0.5) for variant in experiment.variants]
    palette = label_colors(compare(entries))
    assert len(set(palette.values())) == len(palette) == len(experiment.variants)


def test_charts_of_the_same_figures_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_markdown(report(), tmp_path, name, photographs=False)
    charts = sorted(tmp_path.glob("one*.svg"))
    assert len(charts) == 3
    for chart in charts:
        other = chart.with_name(chart.name.replace("one", "two"))
        assert chart.read_bytes() == other.read_bytes()

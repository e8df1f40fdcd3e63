"""The numbers in docs/results.md, docs/tables.md and the README are of the runs."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from docs import verdict
from train.experiments import charts
from train.experiments.choice import choice_table, tried
from train.experiments.comparison import paired
from train.experiments.entries import Entry
from train.experiments.findings import Report, make_report
from train.experiments.tables import Table, interval, mean_and_std
from train.reproduce import EXPERIMENTS

DOCS = Path(__file__).parent.parent / "docs"
RESULTS = sorted((DOCS / "results").glob("*_*.json"))
README = (DOCS.parent / "README.md").read_text()
TEXT = "".join((DOCS / f"{page}.md").read_text() for page in ("results", "tables"))


def read(path: Path) -> tuple[str, list[Entry]]:
    return path.stem.rsplit("_", 1)[1], json.loads(path.read_text())


def report_again(path: Path) -> Report:
    name, entries = read(path)
    return make_report(name, EXPERIMENTS[name], entries, command="")


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_tables_are_made_from_the_runs(path: Path) -> None:
    report = report_again(path)
    tables = {
        title: content
        for title, content, *_ in report.sections
        if isinstance(content, Table)
    }
    assert {"Losses", "Classes"} <= set(tables)
    for section in report.sections:
        assert section.note in path.with_suffix(".md").read_text()
    page = path.with_suffix(".md").read_text()
    for title, table in tables.items():
        assert table.markdown() in page
        assert title == "Classes" or table.markdown().strip() in TEXT
    assert f"results/{path.stem}.md" in TEXT


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_runs_are_complete_and_name_no_folder(path: Path) -> None:
    name, entries = read(path)
    labels = {variant.label for variant in EXPERIMENTS[name].variants}
    seeds: dict[str, set[int]] = {}
    for entry in entries:
        if "holdout" not in entry["options"]:  # to choose settings by
            seeds.setdefault(entry["label"], set()).add(entry["seed"])
        assert re.fullmatch("[0-9a-f]{40}", entry["commit"])  # of unchanged code
        assert entry["command"].startswith("python train/main.py ")
        assert {"loss", "options", "learning_rate", "steps", "device"} <= set(entry)
        if "diverged_at" not in entry:
            assert {"mean_iou", "iou", "boundary", "seconds", "versions"} <= set(entry)
    assert set(seeds) <= labels and len(seeds) >= 2
    assert all(len(of) >= 3 and of == seeds["cross-entropy"] for of in seeds.values())
    assert not re.search(r"/(home|work|tmp|root|Users)/", path.read_text())


def differences(stem: str) -> dict[str, str]:
    """Returns each loss's difference from cross-entropy, of which the mean IoU."""
    losses = report_again(DOCS / "results" / f"{stem}.json").sections[0]
    assert isinstance(losses.content, Table)
    rows = [
        dict(zip(losses.content.header, row, strict=True))
        for row in losses.content.rows
    ]
    return {
        row["loss"]: row["difference, 95 %"].replace("–", row["mean IoU"])
        for row in rows
    }


def test_overview_has_the_numbers_of_the_runs() -> None:
    stems = ("camvid_small_table2", "camvid_small_rates", "demo_table2")
    columns = [differences(stem) for stem in stems]
    assert len(columns[0]) == 8
    for loss in columns[0]:
        cells = (column[loss] for column in columns)
        assert f"\n| {loss} | {' | '.join(cells)} |\n" in TEXT


def test_parts_have_the_numbers_of_the_runs() -> None:
    page = (DOCS / "results.md").read_text()
    parts = page.split("## What each part does")[1].split("\n## ")[0].replace("**", "")
    search = DOCS / "results" / "search" / "camvid_small_forms.json"
    entries = json.loads(search.read_text())
    chosen = {row[0]: row[2] for row in choice_table(entries).rows}
    for cell in (
        *map(differences("camvid_small_ablations").get, ("score", "pooling")),
        differences("camvid_small_ablations")["Minkowski"],
        *map(
            chosen.get, ("class-weighted cross-entropy", "logits, 5×5, class-weighted")
        ),
    ):
        assert cell and cell.replace("**", "") in parts, cell
    means = {row.label: 100 * row.mean(row.best()) for row in tried(entries)}
    gain = means["score × 4, 5×5"] - means["score, 5×5"]
    assert f"the score gains {gain:.1f}" in parts
    pairs = {
        "cross-entropy": "logits, 5×5",
        "cross-entropy, n^−¼": "logits, 5×5, n^−¼",
        "cross-entropy, n^−½": "logits, 5×5, n^−½",
        "class-weighted cross-entropy": "logits, 5×5, class-weighted",
        "score × 4, 1×1": "score × 4, 5×5",
        "image score × 4, 1×1": "image score × 4, 5×5",
    }
    animals = json.loads(search.with_name("voc_animals_forms.json").read_text())
    reached = {row.label: 100 * row.mean(row.best()) for row in tried(animals)}
    for label, words in {
        "cross-entropy": "under cross-entropy",
        "class-weighted cross-entropy": "with class weights",
        "logits, 5×5, class-weighted": "with the window as well",
    }.items():
        assert f"{reached[label]:.1f} % {words}" in parts
    gains = sorted(means[window] - means[pixel] for pixel, window in pairs.items())
    assert f"{gains[0]:.1f} to {gains[-1]:.1f} in six pairs" in parts


@pytest.mark.parametrize("page", ["README.md", "docs/results.md"])
def test_prose_says_what_came_of_the_loss(page: str) -> None:
    text = (DOCS.parent / page).read_text()
    prose = " ".join(text.split())
    found = {
        label: re.fullmatch(r"\W*([−+][\d.]+) (\[.*\])\W*", cell)
        for label, cell in differences("camvid_small_verdict").items()
        if label != "cross-entropy"
    }
    form, weights, paper = (
        found[label]
        for label in (
            "logits, 5×5, class-weighted",
            "class-weighted cross-entropy",
            "ours, 5×5",
        )
    )
    assert form and weights and paper
    for one in (form, paper):
        assert f"{one[1][1:]} points" in prose and one[2] in prose
    assert form[1][0] == "+" and "−" in form[2]  # "within noise"
    assert f"0{weights[1][2:]}" in prose
    assert paper[1][0] == "−" and "+" not in paper[2]  # "behind"
    assert "verdict.svg" in text


@pytest.mark.parametrize("preset", ["camvid_small", "voc_animals"])
def test_the_search_s_table_is_made_from_its_runs(preset: str) -> None:
    path = DOCS / "results" / "search" / f"{preset}_forms.json"
    entries = json.loads(path.read_text())
    assert choice_table(entries).markdown() in TEXT
    assert str(path.relative_to(DOCS)) in TEXT
    assert all("--holdout" in entry["command"] for entry in entries)


def test_verdict_s_table_is_that_of_its_page() -> None:
    if rows_of := verdict.comparisons():
        assert verdict.table(rows_of).markdown() in TEXT
        assert verdict.beside_the_rival().markdown() in TEXT
        assert "results/verdict.svg" in TEXT


def test_the_earlier_verdict_is_kept_as_its_runs_have_it() -> None:
    path = DOCS / "results" / "earlier_code" / "camvid_small_verdict.json"
    tables = {s.title: s.content for s in report_again(path).sections}
    losses, choice = tables["Losses"], tables["Choice on held-out images"]
    assert isinstance(losses, Table) and isinstance(choice, Table)
    assert choice.markdown() in TEXT
    for row in losses.rows:
        assert f"\n| {' | '.join(row[:5])} |\n" in TEXT
    assert str(path.relative_to(DOCS)) in TEXT


def test_verdict_is_over_data_sets_and_shows_what_was_run(tmp_path: Path) -> None:
    def runs(label: str, *reached: float) -> list[dict[str, Any]]:
        entry = json.loads(RESULTS[0].read_text())[0]
        return [
            {**entry, "label": label, "seed": seed, "mean_iou": iou, "options": {}}
            for seed, iou in enumerate(reached)
        ]

    def write(preset: str, entries: list[dict[str, Any]]) -> None:
        (tmp_path / f"{preset}_verdict.json").write_text(json.dumps(entries))

    plain, ours = runs("cross-entropy", 0.5, 0.6), runs("ours, 5×5", 0.52, 0.62)
    held = {**ours[0], "mean_iou": 0.1, "options": {"holdout": 0.2}}
    write("demo", [*plain, *runs("focal", 0.5, 0.6)])
    write("camvid_small", [*plain, *ours, held])
    rows_of = verdict.comparisons(tmp_path)
    assert verdict.table(rows_of).header == [
        "loss",
        "CamVid, random start",
        "built-in scenes, random start",
    ]
    assert verdict.table(rows_of).rows == [
        ["cross-entropy", "55.0 ± 7.1", "55.0 ± 7.1"],
        ["ours, 5×5", "**+2.0 [+2.0, +2.0]**", "–"],
        ["focal", "–", "0.0 [0.0, 0.0]"],
    ]
    figure = charts.verdict(rows_of)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [f"{title}: cross-entropy 55.0 %" for title in rows_of]
    one, other = (axes.lines[-1].get_color() for axes in figure.axes)
    assert one != other  # of two losses


def test_a_loss_has_one_color_in_the_verdict() -> None:
    figure = charts.verdict(verdict.comparisons())
    colors: dict[str, set[object]] = {}
    for axes in figure.axes:
        names = [label.get_text() for label in axes.get_yticklabels()]
        for line in axes.lines:
            if line.get_marker() == "o":
                place = int(np.ravel(line.get_ydata())[0])
                colors.setdefault(names[place], set()).add(line.get_color())
    assert len(colors) > 3 and all(len(of) == 1 for of in colors.values())
    assert len(set.union(*colors.values())) == len(colors)


def test_verdict_without_runs_says_how_to_make_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verdict, "comparisons", dict)
    with pytest.raises(SystemExit, match="reproduce.py verdict .*--results"):
        verdict.main()


def crf_cells(found: dict[str, Any], without: dict[str, Any]) -> list[str]:
    """Returns the cells of a row: means over seeds, what it gains, seconds an image."""
    seeds = [[run["seed"] for run in of["runs"]] for of in (found, without)]
    assert seeds[0] == seeds[1] and len(seeds[0]) >= 3
    iou, near, right = (
        paired(*([run[name] for run in of["runs"]] for of in (found, without)))
        for name in ("mean_iou", "mean_iou_within_2", "pixel_accuracy")
    )
    return [
        mean_and_std(iou),
        "–" if found is without else interval(iou),
        f"{100 * near.mean:.1f}",
        f"{100 * right.mean:.1f}",
        f"{found['cpu_seconds'] / found['images']:.2f}",
    ]


@pytest.mark.parametrize("preset", ["camvid_small", "voc_animals"])
def test_dense_crf_has_the_numbers_of_its_evaluations(preset: str) -> None:
    content = (DOCS / "results" / "crf" / f"{preset}.json").read_text()
    measured = json.loads(content)
    assert not re.search(r"/(home|work|tmp|root|Users)/", content)
    section = TEXT.split("## Dense CRF")[1].split("\n## ")[0]
    rows = [row for row in section.split("\n") if row.startswith("|")][2:]
    mine = rows[:3] if preset == "camvid_small" else rows[3:]
    evaluations = measured["evaluations"]
    for row, found in zip(mine, evaluations, strict=True):
        assert row.endswith(f"| {' | '.join(crf_cells(found, evaluations[0]))} |")
    assert evaluations[2]["options"] == measured["tuning"][-1]["options"]


def test_heads_have_the_numbers_of_their_runs() -> None:
    content = (DOCS / "results" / "heads" / "camvid_small.json").read_text()
    assert not re.search(r"/(home|work|tmp|root|Users)/", content)
    of: dict[str, dict[int, dict[str, Any]]] = {}
    for run in json.loads(content)["runs"]:
        of.setdefault(run["head"], {})[run["seed"]] = run
    base = {seed: 100 * run["mean_iou"] for seed, run in of["v2"].items()}
    section = TEXT.split("## Other heads")[1].split("\n## ")[0]
    rows = [row for row in section.split("\n") if row.startswith("|")][2:]
    for row, (head, runs) in zip(rows, of.items(), strict=True):
        name, *ious, gains, right = row.strip("| ").split(" | ")
        assert name == head.upper().replace("PLUS", "+")
        percent = {seed: 100 * run["mean_iou"] for seed, run in runs.items()}
        assert ious == [f"{percent[s]:.1f}" if s in percent else "–" for s in base]
        text = ", ".join(f"{percent[seed] - base[seed]:+.1f}" for seed in percent)
        assert gains == (text.replace("-0.0", "0.0") if head != "v2" else "–")
        rights = (f"{100 * run['pixel_accuracy']:.1f}" for run in runs.values())
        assert right == ", ".join(rights)


def test_links_lead_somewhere() -> None:
    assert RESULTS
    for target in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (DOCS / target).is_file(), target


def test_unmeasured_tables_have_the_paper_s_numbers() -> None:
    unmeasured = TEXT[TEXT.index("## Pascal VOC") :]
    for name in ("table1", "table2"):
        for variant in EXPERIMENTS[name].variants:
            if variant.paper is not None:
                assert f"| {variant.label} | {variant.paper:.1f} | |" in unmeasured

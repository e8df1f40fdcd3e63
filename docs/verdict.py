"""Writes the verdict's table and picture from its runs: python docs/verdict.py.

Reads docs/results/*_verdict.json, prints the tables that stand in docs/results.md, and
draws docs/results/verdict.svg. A test compares the tables with the page.
"""

import json
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
sys.path.insert(0, str(RESULTS.parents[1]))

from train.experiments.catalog import EXPERIMENTS  # noqa: E402
from train.experiments.charts import verdict  # noqa: E402
from train.experiments.comparison import Row, compare  # noqa: E402
from train.experiments.entries import Entry, split_diverged  # noqa: E402
from train.experiments.forms import RECOMMENDED  # noqa: E402
from train.experiments.publish import save_figure  # noqa: E402
from train.experiments.tables import Table, interval, mean_and_std  # noqa: E402

# By the preset that a file of runs is named after.
TITLES = {
    "camvid_small": "CamVid, random start",
    "voc_animals": "VOC animals, pretrained",
    "clothing": "Clothing, pretrained",
    "demo": "built-in scenes, random start",
}


RIVAL = EXPERIMENTS["verdict"].rival


def runs(folder: Path = RESULTS) -> dict[str, list[Entry]]:
    """Returns the runs on each data set that there are any of, by its title."""
    found = {}
    for preset, title in TITLES.items():
        path = folder / f"{preset}_verdict.json"
        if path.is_file():
            entries = [
                entry
                for entry in json.loads(path.read_text())
                if "holdout" not in entry["options"]
            ]
            found[title] = list(split_diverged(entries)[0])
    return found


def comparisons(folder: Path = RESULTS) -> dict[str, list[Row]]:
    """Returns the rows of each data set that has been run, by its title."""
    return {title: compare(entries, RIVAL) for title, entries in runs(folder).items()}


def beside_the_rival(folder: Path = RESULTS) -> Table:
    """Returns what the recommended form has over the rival, by data set."""
    labels = (RIVAL, RECOMMENDED.label)
    rows = {
        title: compare([e for label in labels for e in entries if e["label"] == label])
        for title, entries in runs(folder).items()
    }
    cells = [
        [name, *(interval(form.measures[name]) for _, form in rows.values())]
        for name in ("mean IoU", "within 2 px", "rare", "pixel accuracy")
    ]
    return Table(["over the rival", *rows], cells)


def table(rows_of: dict[str, list[Row]]) -> Table:
    """Returns each loss's difference from the baseline, by data set."""
    first = next(iter(rows_of.values()))[0].label
    labels = dict.fromkeys(row.label for rows in rows_of.values() for row in rows)
    by_label = {
        title: {row.label: row.measures["mean IoU"] for row in rows}
        for title, rows in rows_of.items()
    }
    cells = []
    for label in labels:
        line = [label]
        for measures in by_label.values():
            if label not in measures:
                line.append("–")
            elif label == first:
                line.append(mean_and_std(measures[label]))
            else:
                line.append(interval(measures[label]))
        cells.append(line)
    return Table(["loss", *rows_of], cells)


def main() -> None:
    """Prints the table and draws the picture."""
    rows_of = comparisons()
    if not rows_of:
        sys.exit(
            f"error: no *_verdict.json in {RESULTS} yet. train/reproduce.py verdict "
            "writes it, with --results docs/results."
        )
    print(table(rows_of).markdown())
    print(beside_the_rival().markdown(), end="")
    save_figure(verdict(rows_of), RESULTS / "verdict.svg")


if __name__ == "__main__":
    main()

"""Looks at data before training: python train/inspect_data.py DATA [--out DIR].

--train-split, --val-split, --classes and the other options of data are those of
train/main.py. Exit status: 0, 1 where training would fail, 2 where nothing is found.
"""

from __future__ import annotations

from models import beginning  # noqa: F401  # isort: skip
import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import tyro

from train.common.command import run_command
from train.common.options import annotate, option
from train.data.dataset import DataOptions
from train.inspection.contents import list_contents
from train.inspection.facts import facts_of_all
from train.inspection.page import check_place_of_page, write_inspection
from train.inspection.printed import text_of_summary
from train.inspection.summary import summarize


@dataclasses.dataclass(frozen=True, kw_only=True)
class InspectedData(DataOptions):
    """The options of data, with the folder first."""

    folder: Annotated[
        str,
        tyro.conf.Positional,
        tyro.conf.arg(
            metavar="DATA",
            help="The data, as --data of train/main.py; none for the built-in scenes.",
        ),
    ] = option("", "", name="data", path=True)


def inspect_data(
    data: tyro.conf.OmitArgPrefixes[InspectedData],
    out: Path = Path("runs/inspection"),
) -> bool:
    """Says what the data hold, and what would end or spoil a training on them.

    Args:
      data: as training takes them.
      out: folder for `inspection.html`, which shows the same, and masks on images; an
        earlier one is replaced unless it was changed since.

    Returns:
      Whether training would begin.
    """
    check_place_of_page(out)  # before all images are read
    contents = list_contents(data)
    summary = summarize(contents, facts_of_all(contents, data))
    print(text_of_summary(summary))
    print(f"\nPage: {write_inspection(summary, out)}")
    if kinds := len(summary.faults):
        print(f"Training would fail: {kinds} kind{'s' * (kinds > 1)} of faults, above.")
    return not kinds


def main() -> None:
    """Inspects the data that the command line names."""
    annotate(DataOptions)
    sound = tyro.cli(inspect_data, config=(tyro.conf.FlagCreatePairsOff,))
    if not sound:
        sys.exit(1)


if __name__ == "__main__":
    run_command(main)

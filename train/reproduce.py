"""Tests the paper's claim: python train/reproduce.py EXPERIMENT [--preset NAME] ...

EXPERIMENT is table1, table2, ablations, rates or figure3. Options of train/main.py, as
--data DIR, go to every run. Called again it does what is not done.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Literal

import tyro

from train.config import Config
from train.experiments import (
    ABLATIONS,
    FIGURE3,
    TABLE1,
    TABLE2,
    Plan,
)
from train.many_runs import complete_all
from train.presets import parse_config
from train.program import keep_programs, run_program

EXPERIMENTS = {
    "table1": TABLE1,
    "table2": TABLE2,
    "ablations": ABLATIONS,
    "rates": TABLE2,
    "figure3": FIGURE3,
}


@dataclasses.dataclass(frozen=True)
class Options:
    """Trains every loss of an experiment alike, and compares them with cross-entropy.

    Every other option is one of train/main.py and goes to every run.
    """

    experiment: tyro.conf.Positional[
        Literal["table1", "table2", "ablations", "rates", "figure3"]
    ]
    """table1 (powers), table2 (losses), ablations (parts of the loss), rates (table2
    with the best learning rate of each loss) or figure3 (masks)."""
    preset: str = "demo"
    """Of train/main.py: what is trained on, and how."""
    seeds: int = 3
    """Runs of each loss, with the seeds 0, 1, ..."""
    budget: int = 0
    """Steps of each run; 0 for 1,000 in table1, as the paper has it, and for the
    preset's own in the others."""
    factors: tuple[float, ...] = (1 / 3, 1.0, 3.0)
    """rates: what the preset's learning rate is multiplied by; the best is chosen by
    runs of seed 0 that hold out a fifth of the training split."""
    processes: int = 1
    """Runs made side by side; one for each GPU."""
    workdir: str = ""
    """Folder of the runs and the page; empty for runs/reproduce/PRESET."""
    results: str = ""
    """Folder of figures (JSON), tables (Markdown) and charts; empty for the workdir."""


def main() -> None:
    """Makes the runs of an experiment and reports them."""
    asked, others = tyro.cli(
        Options, args=sys.argv[1:], return_unknown_args=True, prog="train/reproduce.py"
    )
    experiment = EXPERIMENTS[asked.experiment]
    workdir = Path(asked.workdir or f"runs/reproduce/{asked.preset}")

    def base(loss: str) -> Config:
        return parse_config([asked.preset, *others, "--loss", loss])

    plan = Plan(base, workdir / "runs", asked.budget or experiment.steps)
    keep_programs(str(workdir / "runs" / "programs"))
    seeds = 1 if asked.experiment == "figure3" else asked.seeds
    runs = [
        plan.run(variant, seed)
        for seed in range(seeds)
        for variant in experiment.variants
    ]
    complete_all([run.config for run in runs], processes=asked.processes)


if __name__ == "__main__":
    run_program(main, resume=" The same command goes on with what is not done.")

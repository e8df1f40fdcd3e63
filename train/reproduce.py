"""Tests the paper's claim: python train/reproduce.py EXPERIMENT [--preset NAME] ...

--help lists the experiments. Options of train/main.py, as --data DIR, go to every run.
Called again it does what is not done.
"""

from __future__ import annotations

import dataclasses
import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from train.common.command import cache_compilations, run_command
from train.common.errors import UserError
from train.common.options import flag
from train.config import Config
from train.data.dataset import load_dataset
from train.experiments.entries import (
    Entry,
    best_learning_rates,
    make_entry,
    portable_words,
)
from train.experiments.figure3 import RULE, draw_figure3
from train.experiments.findings import Section, make_report
from train.experiments.plans import (
    EXPERIMENTS,
    FIGURE3,
    OURS,
    Experiment,
    Plan,
    Planned,
)
from train.experiments.publish import write_json, write_markdown, write_page
from train.experiments.runner import check_data, complete_all
from train.main import complete
from train.presets import parse_config
from train.workdir.run import Run


@dataclasses.dataclass(frozen=True)
class Options:
    """Trains every loss of an experiment alike, and compares them with cross-entropy.

    Every other option is one of train/main.py and goes to every run
    (python train/main.py PRESET --help lists them).
    """

    experiment: Annotated[
        str,
        tyro.conf.Positional,
        tyro.conf.arg(metavar="EXPERIMENT", help=f"One of: {EXPERIMENTS.help()}."),
    ]
    preset: str = "demo"
    """Of train/main.py: what is trained on, and how."""
    seeds: int = 3
    """Runs of each loss, with the seeds 0, 1, ...; figure3 shows seed 0."""
    budget: int = 0
    """Steps of each run; 0 for 1,000 in table1, as the paper has it, and for the
    preset's own in the others."""
    factors: tuple[float, ...] = (1 / 3, 1.0, 3.0)
    """rates: what the preset's learning rate is multiplied by; the best is chosen by
    runs of seed 0 that hold out a fifth of the training split."""
    processes: int = 1
    """Runs made side by side; with two or more, run i sees GPU i alone."""
    workdir: str = ""
    """Folder of the runs and the page; empty for runs/reproduce/PRESET."""
    results: str = ""
    """Folder of figures (JSON), tables (Markdown) and charts, to be published: images
    of --data stay in the workdir's page; empty for the workdir."""

    def __post_init__(self) -> None:
        """Validates the options.

        Raises:
          UserError: it names the option, the rule and the value.
        """
        if self.experiment not in EXPERIMENTS:
            raise UserError(
                f"no experiment {self.experiment!r}. Choose from: "
                f"{', '.join(EXPERIMENTS)}."
            )
        for name, least in (("seeds", 1), ("processes", 1), ("budget", 0)):
            value = getattr(self, name)
            if value < least:
                raise UserError(f"--{name} must be at least {least}, got {value}")
        if not self.factors or not all(0 < f < math.inf for f in self.factors):
            raise UserError(f"--factors must be above 0, got {self.factors}")
        if len({f"{factor:.4g}" for factor in self.factors}) < len(self.factors):
            raise UserError(f"--factors must differ, got {self.factors}")


def main() -> None:
    """Completes the runs of an experiment and reports them."""
    asked, others = tyro.cli(
        Options, args=sys.argv[1:], return_unknown_args=True, prog="train/reproduce.py"
    )
    experiment = EXPERIMENTS[asked.experiment]
    _check_others(asked.preset, others, experiment)
    workdir = Path(asked.workdir or f"runs/reproduce/{asked.preset}")
    results = Path(asked.results or workdir)
    for folder in (workdir, results):  # before the runs, so that a mistake costs none
        folder.mkdir(parents=True, exist_ok=True)
    base = parse_config([asked.preset, *others])
    plan = Plan(base, workdir / "runs", asked.budget or experiment.steps)
    cache_compilations(str(plan.compiled))
    variants = plan.possible(experiment.variants)
    for variant in experiment.variants:
        if variant not in variants:
            print(f"Left out, as --upsampling learned rules it out: {variant.label}.")
    chosen_by: list[Planned] = []
    rates: dict[str, dict[str, float]] = {}
    if experiment.tunes:
        chosen_by = plan.grid(variants, asked.factors)
        complete_all(
            [run.config for run in chosen_by], complete, processes=asked.processes
        )
        best = best_learning_rates(chosen_by)
        variants = [variant for variant in variants if variant.label in best]
        if experiment.variants[0] not in variants:
            raise UserError(
                f"{experiment.variants[0].label} diverged at every learning rate, so "
                "there is nothing to compare with. Add smaller --factors."
            )
        rates = {label: {"learning_rate": rate} for label, rate in best.items()}
    runs = [
        plan.run(variant, seed, **rates.get(variant.label, {}))
        for seed in range(asked.seeds)[: experiment.most_seeds]
        for variant in variants
    ]
    complete_all([run.config for run in runs], complete, processes=asked.processes)
    entries = [
        make_entry(run, base.replace(loss=run.variant.loss), asked.preset)
        for run in runs + chosen_by
    ]
    command = _command(asked, base.replace(loss=runs[0].variant.loss))
    _write(asked, entries, runs, command, workdir, results)


def _write(
    asked: Options,
    entries: Sequence[Entry],
    runs: Sequence[Planned],
    command: str,
    workdir: Path,
    results: Path,
) -> None:
    """Writes the results and prints where they are."""
    experiment = EXPERIMENTS[asked.experiment]
    write_json(entries, results / f"{asked.preset}_{asked.experiment}.json")
    report = make_report(asked.experiment, experiment, entries, command=command)
    if experiment.shows:
        report.sections.extend(_figure3(runs))
    # Images of a data set may not be ours to hand on; those of the scenes are.
    photographs = not runs[0].config.data.folder or results == workdir
    markdown = write_markdown(report, results, asked.preset, photographs=photographs)
    page = workdir / f"{asked.experiment}.html"
    write_page(report, page)
    print(f"\nTables: {markdown}\nPage: {page}")
    if not photographs and any(section.photographs for section in report.sections):
        print("Figure 3 is on the page alone, since it shows images of --data.")


def _check_others(preset: str, words: Sequence[str], experiment: Experiment) -> None:
    """Refuses options of train/main.py that the experiment itself sets."""
    by_loss = "the experiment sets it for each of its losses"
    remedies = {
        **dict.fromkeys(sorted(experiment.options), by_loss),
        "seed": "give the number of seeds with --seeds",
        "steps": "give them with --budget",
        "holdout": "experiment rates holds out by itself",
    }
    if "normalization" in experiment.options:
        remedies["normalization"] = f"{by_loss}, so it needs three classes or more"
    if any(word.split("=")[0] == "--loss" for word in words):
        raise UserError(f"--loss cannot be set here: {by_loss}.")
    asked = parse_config([preset, *words]).options()
    before = parse_config([preset]).options()
    for name, remedy in remedies.items():
        if asked[name] != before[name]:
            raise UserError(
                f"--{flag(name)} {asked[name]} cannot be set here: {remedy}."
            )


def _figure3(runs: Sequence[Planned]) -> list[Section]:
    """Returns the masks of seed 0; nothing where there is none to compare."""
    shown = {variant.label for variant in FIGURE3.variants}
    first = {
        run.variant.label: run
        for run in runs
        if run.config.run.seed == 0
        and run.variant.label in shown
        and Run.open(run.config).summary()
    }
    baseline = runs[0].variant.label
    if not {baseline, OURS} <= first.keys():
        return []
    dataset = load_dataset(runs[0].config.data)
    check_data([run.config for run in first.values()], dataset)
    folders = {label: Path(run.config.run.workdir) for label, run in first.items()}
    figure = draw_figure3(folders, baseline, OURS, dataset.val)
    rule = RULE.format(ours=OURS, baseline=baseline)
    return [Section("Figure 3", figure, rule, photographs=True)]


def _command(asked: Options, config: Config) -> str:
    """Returns the command line without folders.

    Args:
      asked: what it asks for.
      config: what its runs share.
    """
    words = ["python", "train/reproduce.py", asked.experiment, "--preset", asked.preset]
    for name in ("seeds", "budget", "factors"):
        value, default = getattr(asked, name), getattr(Options, name)
        if value != default:
            values = value if isinstance(value, tuple) else (value,)
            words += [f"--{name}", *map(str, values)]
    return shlex.join(words + portable_words(config, asked.preset, apart=("loss",)))


if __name__ == "__main__":
    run_command(main, resume=" The same command goes on with what is not done.")

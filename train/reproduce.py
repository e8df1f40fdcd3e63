"""Tests the paper's claim: python train/reproduce.py EXPERIMENT [--preset NAME] ...

--help lists the experiments. Options of train/main.py, as --data DIR, go to every run.
Called again it does what is not done.
"""

from __future__ import annotations

from models import beginning  # noqa: F401  # isort: skip
import dataclasses
import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import tyro

from train.common.command import cache_compilations, run_command
from train.common.errors import UserError
from train.common.options import flag
from train.config import Config
from train.data.dataset import load_dataset
from train.experiments.catalog import EXPERIMENTS
from train.experiments.entries import (
    Entry,
    best_settings,
    make_entry,
    portable_words,
)
from train.experiments.experiment import Experiment, Variant
from train.experiments.figure3 import RULE, draw_figure3
from train.experiments.findings import Section, make_report
from train.experiments.paper import FIGURE3, OURS
from train.experiments.plans import FIRST_SEED, Plan, Planned, Setting
from train.experiments.publish import (
    publishing,
    with_earlier,
    write_json,
    write_markdown,
    write_page,
)
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
    """Experiments that tune: factors of the preset's learning rate to choose from, by
    runs that hold out a fifth of the training split."""
    unclipped: tuple[float, ...] = ()
    """The same without gradient clipping."""
    choosing_seeds: int = 1
    """Seeds 0, 1, ... to choose by; the runs that confirm a choice have seeds from 10
    on."""
    only: tuple[str, ...] = ()
    """Losses to run, by their labels, with the first; empty for all."""
    processes: int = 1
    """Runs made side by side; with two or more, each has one GPU or its share of the
    CPU's cores."""
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
        least_of = {"seeds": 1, "choosing_seeds": 1, "processes": 1, "budget": 0}
        for name, least in least_of.items():
            value = getattr(self, name)
            if value < least:
                raise UserError(f"--{flag(name)} must be at least {least}, got {value}")
        self._check_used()
        self._check_factors()
        self._check_only()

    def _check_used(self) -> None:
        experiment = EXPERIMENTS[self.experiment]
        unused = [] if experiment.tunes else ["factors", "unclipped", "choosing_seeds"]
        most = experiment.most_seeds or self.seeds
        unused += ["seeds"] * (not experiment.confirms or self.seeds > most)
        for name in unused:
            if getattr(self, name) != getattr(Options, name):
                raise UserError(
                    f"--{flag(name)} {getattr(self, name)} is not used by "
                    f"{self.experiment}. Leave it out."
                )

    def _check_factors(self) -> None:
        if not self.factors + self.unclipped:
            raise UserError("--factors and --unclipped are both empty: name one factor")
        for name in ("factors", "unclipped"):
            factors = getattr(self, name)
            if not all(0 < factor < math.inf for factor in factors):
                raise UserError(f"--{name} must be above 0, got {factors}")
            if len({f"{factor:.4g}" for factor in factors}) < len(factors):
                raise UserError(f"--{name} must differ, got {factors}")

    def _check_only(self) -> None:
        known = [v.label for v in EXPERIMENTS[self.experiment].variants]
        for label in self.only:
            if label not in known:
                raise UserError(
                    f"{self.experiment} has no loss {label!r}. Choose from: "
                    f"{'; '.join(known)}."
                )


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
    if asked.only:
        chosen = (experiment.variants[0].label, *asked.only)
        variants = [variant for variant in variants if variant.label in chosen]
    tuning, settings = _tune(asked, plan, variants) if experiment.tunes else ([], {})
    runs = _confirm(asked, plan, variants, settings) if experiment.confirms else []
    entries = [
        make_entry(run, base.replace(loss=run.variant.loss), asked.preset)
        for run in runs + tuning
    ]
    command = _command(asked, base.replace(loss=variants[0].loss))
    _write(asked, entries, runs or tuning, command, workdir, results)


def _tune(
    asked: Options, plan: Plan, variants: Sequence[Variant]
) -> tuple[list[Planned], dict[str, Setting]]:
    """Completes the runs to choose by; returns them and the best setting by label."""
    tuned = {variant.settings_of or variant.label for variant in variants}
    runs = plan.grid(
        [v for v in EXPERIMENTS[asked.experiment].variants if v.label in tuned],
        plan.settings(asked.factors, asked.unclipped),
        range(asked.choosing_seeds),
    )
    complete_all([run.config for run in runs], complete, processes=asked.processes)
    best = best_settings(runs)
    if variants[0].label not in best:
        raise UserError(
            f"{variants[0].label} diverged at every learning rate, so there is nothing "
            "to compare with. Add smaller --factors."
        )
    return runs, best


def _confirm(
    asked: Options,
    plan: Plan,
    variants: Sequence[Variant],
    settings: Mapping[str, Setting],
) -> list[Planned]:
    """Completes the runs on the validation split, each loss with its setting if any."""
    experiment = EXPERIMENTS[asked.experiment]
    first = FIRST_SEED if experiment.tunes else 0
    seeds = range(first, first + asked.seeds)[: experiment.most_seeds]
    setting_of = {v.label: settings.get(v.settings_of or v.label) for v in variants}
    runs = [
        plan.run(variant, seed, **(setting.options() if setting else {}))
        for seed in seeds
        for variant in variants
        if (setting := setting_of[variant.label]) or not experiment.tunes
    ]
    complete_all([run.config for run in runs], complete, processes=asked.processes)
    return runs


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
    # Images of a data set may not be ours to hand on; those of the scenes are.
    photographs = not runs[0].config.data.folder or results == workdir
    json = results / f"{asked.preset}_{asked.experiment}.json"
    with publishing(results) as new:
        # A search goes on where earlier calls ended.
        entries = with_earlier(entries, json, kept=not experiment.confirms)
        report = make_report(asked.experiment, experiment, entries, command=command)
        report.sections.extend(_figure3(runs) if experiment.shows else ())
        write_json(entries, new / json.name)
        tables = write_markdown(report, new, asked.preset, photographs=photographs)
    write_page(report, page := workdir / f"{asked.experiment}.html")
    print(f"\nTables: {results / tables.name}\nPage: {page}")
    if not photographs and any(section.photographs for section in report.sections):
        print("Figure 3 is on the page alone, since it shows images of --data.")


def _check_others(preset: str, words: Sequence[str], experiment: Experiment) -> None:
    """Refuses options of train/main.py that the experiment itself sets."""
    by_loss = "the experiment sets it for each of its losses"
    remedies = {
        **dict.fromkeys(sorted(experiment.options), by_loss),
        "seed": "give the number of seeds with --seeds",
        "steps": "give them with --budget",
        "holdout": "experiments that tune hold out by themselves",
        "compilation_cache": "the runs share one in their --workdir",
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
    for name in ("seeds", "choosing_seeds", "budget", "factors", "unclipped", "only"):
        value, default = getattr(asked, name), getattr(Options, name)
        if value != default:
            values = value if isinstance(value, tuple) else (value,)
            words += [f"--{name}", *map(str, values)]
    return shlex.join(words + portable_words(config, asked.preset, apart=("loss",)))


if __name__ == "__main__":
    run_command(main, resume=" The same command goes on with what is not done.")

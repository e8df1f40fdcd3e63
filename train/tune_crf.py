"""Chooses the dense CRF's parameters for a run: python train/tune_crf.py RUN.

The mean IoU of images of the training split decides; the validation split has no part
in it.
"""

from __future__ import annotations

from models import beginning  # noqa: F401  # isort: skip
import dataclasses
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm

from train.common.command import cache_compilations, run_command
from train.common.errors import UserError
from train.common.files import replace_text
from train.common.options import flag
from train.common.signals import stop_told
from train.data.dataset import DataOptions, load_dataset
from train.data.origin import name_of
from train.data.parts import Part
from train.evaluation.crf import Crf, Workers, check_installed
from train.evaluation.crf_options import CrfOptions
from train.evaluation.crf_search import Attempt, Grid, search
from train.evaluation.crf_trial import Trial
from train.evaluation.crf_worker import Parameters
from train.evaluation.spread import replicas
from train.evaluation.views import PredictionOptions
from train.evaluation.whole_split import evenly
from train.workdir.evaluated import check_colors, name_of_result, of_other_data
from train.workdir.run import Run
from train.workdir.trained import Checkpoint, load_run

_SHOWN = 10  # settings of the table


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fixed:
    """What is not searched."""

    iterations: int = CrfOptions.iterations
    """Mean-field iterations."""
    gaussian_weight: float = CrfOptions.gaussian_weight
    """Weight w₂ of the Gaussian kernel."""
    gaussian_std: float = CrfOptions.gaussian_std
    """Standard deviation σ_γ of that kernel, pixels."""


def tune_crf(
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")],
    /,
    prediction: tyro.conf.OmitArgPrefixes[PredictionOptions],
    grid: tyro.conf.OmitArgPrefixes[Grid],
    fixed: tyro.conf.OmitArgPrefixes[Fixed],
    images: int = 100,
    rounds: int = 2,
    prepared: str = "",
    checkpoint: Checkpoint = "newest",
    links: bool = False,
) -> None:
    """Prints the best settings and the options to use; writes RUN/crf_SPLIT.json.

    SPLIT is the training split; options of prediction are added to the file's name.

    Args:
      run: folder of a run.
      prediction: how to predict, where not as the run does.
      grid: what is tried in the first round.
      fixed: what is not.
      images: so many, spread evenly over what the run's --holdout held out of its
        training split, or over the whole training split.
      rounds: each after the first halves the grid's steps around the best.
      prepared: folder for the prepared records; empty for the run's own.
      checkpoint: the best one is kept with --keep-best of train/main.py.
      links: images, masks and lists may be links to files outside of the folder of
        the data; no run says so.
    """
    check_installed(CrfOptions(on=True))
    if images < 1 or rounds < 1:
        raise UserError(f"--images {images} and --rounds {rounds} must be 1 or more")
    default = CrfOptions().parameters._replace(**dataclasses.asdict(fixed))
    for setting in grid.settings(default):
        CrfOptions.of(setting)  # refuses what is out of range, before anything else
    trained = load_run(run, checkpoint)
    cache_compilations(prediction.compilation_cache)
    where = dataclasses.replace(
        Run(run).data_options(trained.config.data),
        classes=trained.class_names,
        pixel_limit=prediction.pixel_limit or trained.use.pixel_limit,
        links=links,
    )
    where = dataclasses.replace(where, prepared=prepared or where.prepared)
    dataset = load_dataset(_of_training(where))
    if where.holdout:  # of another list others would be held out
        Run(run).check_data(dataset)
    check_colors(Run(run), dataset)
    source = Part(dataset.val, evenly(len(dataset.val), images))
    others = of_other_data(run, where.train_split, where, dataset)
    if not (where.holdout or others):
        print(
            f"The network was trained on these {len(source)} images, where it is surer "
            "than on new ones: --holdout of train/main.py keeps some for this."
        )
    predictor = trained.predictor(prediction.applied(trained.use.evaluation))
    with (
        tempfile.TemporaryDirectory() as folder,
        Workers() as workers,
        stop_told(),
    ):
        trial = Trial(predictor, source, dataset.class_names, Path(folder))
        trial.predict(replicas(trained.state)[0])
        without = trial.mean_iou(None)
        with tqdm(unit="setting", dynamic_ncols=True) as bar:

            def reached(parameters: Parameters) -> float:
                found = trial.mean_iou(Crf(parameters, workers, dataset.void))
                bar.update()
                return found

            tried = search(grid, default, rounds, reached)
    print(_table(tried, without))
    best = CrfOptions.of(tried[0].parameters) if tried[0].mean_iou > without else None
    result = {
        "data": dataset.name,
        "fingerprint": dataset.fingerprint,
        "held_out": bool(where.holdout),
        "images": [name_of(source[at]) for at in range(len(source))],
        "step": int(trained.state.step),
        "mean_iou_without": without,
        "tried": [
            {**one.parameters._asdict(), "mean_iou": one.mean_iou} for one in tried
        ],
        "options": best.command() if best else "",
    }
    which = [] if checkpoint == "newest" else [checkpoint]
    words = [where.train_split, *which, *others, *prediction.named()]
    path = run / f"{name_of_result('crf', words)}.json"
    replace_text(path, json.dumps(result, indent=2) + "\n")
    if ends := ", ".join(f"--{flag(name)}" for name in grid.ends(tried[0].parameters)):
        print(f"The best lies at an end of {ends}: others may be better.")
    if best:
        print(f"Use, with train/evaluate.py or train/predict.py: {best.command()}")
    else:
        print("None is better than no CRF: leave --crf away.")
    print(f"All settings: {path}")


def _of_training(options: DataOptions) -> DataOptions:
    """Returns options whose validation split is a part of the training split.

    What was held out of it, or else all of it.
    """
    if options.holdout:
        return options
    return dataclasses.replace(options, val_split=options.train_split)


def _table(tried: Sequence[Attempt], without: float) -> str:
    """Returns the best settings and what no CRF reaches, for a terminal."""
    lines = ["mean IoU %  weight  position std  color std"]
    for setting, mean_iou in tried[:_SHOWN]:
        lines.append(
            f"{100 * mean_iou:>10.2f}  {setting.weight:>6g}  "
            f"{setting.position_std:>12g}  {setting.color_std:>9g}"
        )
    more = len(tried) - _SHOWN
    lines += [f"and {more} more"] * (more > 0)
    return "\n".join([*lines, f"{100 * without:>10.2f}  without a CRF"])


def main() -> None:
    """Tunes as the command line says."""
    tyro.cli(tune_crf, config=(tyro.conf.FlagCreatePairsOff,))


if __name__ == "__main__":
    run_command(main)

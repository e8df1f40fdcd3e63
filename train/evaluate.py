"""Evaluates a run: python train/evaluate.py RUN [--split NAME] [--data DIR].

[--scales 0.5 1 1.5] [--flip] [--window HEIGHT WIDTH] override how the run predicts;
--prepared DIR keeps prepared records elsewhere than the run does.
"""

from __future__ import annotations

from models import beginning  # noqa: F401  # isort: skip
import json
from pathlib import Path
from typing import Annotated

import tyro

from train.common.command import cache_compilations, run_command
from train.common.files import replace_text
from train.common.options import annotate
from train.common.signals import stop_told
from train.data.void import void_marked
from train.evaluation.crf import check_installed, refiner
from train.evaluation.crf_options import WITHOUT, CrfOptions
from train.evaluation.metrics import table
from train.evaluation.views import PredictionOptions
from train.evaluation.whole_split import Evaluator
from train.workdir.evaluated import SplitOptions, load_split, name_of_result


def evaluate(
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")],
    /,
    prediction: tyro.conf.OmitArgPrefixes[PredictionOptions],
    chosen: tyro.conf.OmitArgPrefixes[SplitOptions],
    crf: tyro.conf.OmitArgPrefixes[CrfOptions] = WITHOUT,
) -> None:
    """Prints the IoU of every class and writes RUN/evaluation_SPLIT.json.

    Options of prediction and of the CRF are added to the file's name; so are the
    fingerprint of data that are not the run's own, and `best`.

    Args:
      run: folder of a run.
      prediction: how to predict, where not as the run does.
      chosen: which images, and which network.
      crf: whether and how a dense CRF refines predictions.
    """
    check_installed(crf)
    split = load_split(run, prediction, chosen)
    cache_compilations(prediction.compilation_cache)
    trained, dataset, options = split.trained, split.dataset, split.options
    predictor = trained.predictor(options)
    with refiner(crf, dataset.void) as refine, stop_told():
        evaluator = Evaluator(predictor, dataset.val, dataset.class_names, refine)
        counts = evaluator.counts(trained.state)
    cut = predictor.cut
    name = name_of_result("evaluation", [*split.words, *crf.named()])
    path = run / f"{name}.json"
    result = {
        "data": dataset.name,
        "fingerprint": dataset.fingerprint,
        "image_height": split.image_height,
        "step": int(trained.state.step),
        "scales": options.scales,
        "flip": options.flip,
        "window": options.window,
        "images_cut_for_memory": cut,
        "crf": crf.noted(),
        **counts.measure(dataset.class_names, dataset.void),
    }
    print(table(counts.whole, void_marked(dataset.class_names, dataset.void)))
    replace_text(path, json.dumps(result, indent=2) + "\n")
    how = f", {cut} of them in windows for want of memory" if cut else ""
    print(f"Step {result['step']}, {len(dataset.val)} images{how}. Metrics: {path}")


def main() -> None:
    """Evaluates as the command line says."""
    annotate(CrfOptions)
    tyro.cli(evaluate, config=(tyro.conf.FlagCreatePairsOff,))


if __name__ == "__main__":
    run_command(main)

"""What stands at the end of a run: figures, a table, a report."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

import jax

from train import metrics
from train.config import Config
from train.datasets import Dataset
from train.evaluation import Evaluator
from train.loop import TrainState
from train.report import write_report
from train.run import Run

_PACKAGES = ("jax", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


def finish(
    run: Run,
    config: Config,
    dataset: Dataset,
    evaluator: Evaluator,
    state: TrainState,
    seconds: float,
) -> dict[str, Any]:
    """Evaluates the last state, writes report and summary, and prints the table."""
    counts = evaluator.counts(state)
    figures = counts.figures(dataset.class_names)
    run.log(
        config.steps,
        "val",
        mean_iou=figures["mean_iou"],
        pixel_accuracy=figures["pixel_accuracy"],
    )
    run.close()
    summary = {
        **figures,
        "steps": config.steps,
        "seconds": round(seconds, 1),
        "images_per_second": round(
            config.steps * config.batch_size / max(seconds, 1e-9), 2
        ),
        "versions": versions(),
        "commit": COMMIT,
        "device": jax.devices()[0].device_kind,
    }
    report = write_report(
        run.workdir,
        config=dataclasses.asdict(config),
        metrics=run.metrics(),
        summary=summary,
        confusion=counts.whole,
        colors=dataset.colors,
        panels=evaluator.panels(state),
    )
    run.write_summary(summary)
    print(metrics.table(counts.whole, dataset.class_names))
    print(f"{config.steps} steps in {seconds / 60:.1f} minutes of training")
    print(f"Report: {report}")
    return summary


def versions() -> dict[str, str]:
    """Returns the versions that a result depends on."""
    found = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **found}


def _commit() -> str:
    """Returns what git calls this code, with "-dirty" if it is changed, or ""."""
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        found = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True
        )
    except OSError:  # there is no git
        return ""
    return found.stdout.strip()


COMMIT = _commit()  # of what was loaded, whatever is changed while it runs

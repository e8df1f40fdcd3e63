"""What stands at the end of a run: figures, a table, a report."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform

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
) -> None:
    """Evaluates the last state, writes report and summary, and prints the table."""
    confusion = evaluator.confusion(state)
    figures = metrics.figures(confusion, dataset.class_names)
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
        "device": jax.devices()[0].device_kind,
    }
    report = write_report(
        run.workdir,
        config=dataclasses.asdict(config),
        metrics=run.metrics(),
        summary=summary,
        confusion=confusion,
        colors=dataset.colors,
        panels=evaluator.panels(state),
    )
    run.write_summary(summary)
    print(metrics.table(confusion, dataset.class_names))
    print(f"{config.steps} steps in {seconds / 60:.1f} minutes of training")
    print(f"Report: {report}")


def versions() -> dict[str, str]:
    """Returns the versions that a result depends on."""
    found = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **found}

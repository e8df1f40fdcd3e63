"""What stands at the end of a run: figures, a table, a report."""

from __future__ import annotations

import dataclasses
from typing import Any

from train import metrics
from train.config import Config
from train.datasets import Dataset
from train.evaluation import Evaluator
from train.loop import TrainState
from train.provenance import provenance
from train.report import write_report
from train.run import Run


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
        **provenance(),
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

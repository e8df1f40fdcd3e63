"""Final evaluation: summary.json, report.html and the printed table."""

from __future__ import annotations

from typing import Any

from train.common.processes import index_of_process
from train.config import Config
from train.data.dataset import Dataset
from train.data.void import void_marked
from train.evaluation.metrics import scalar_metrics, table
from train.evaluation.whole_split import Evaluator
from train.report.panels import show_panels
from train.report.provenance import provenance
from train.report.training_report import write_report
from train.training.best import Best, warn_of_better
from train.training.step import TrainState
from train.workdir.run import Run


def finish(
    run: Run,
    config: Config,
    dataset: Dataset,
    evaluator: Evaluator,
    state: TrainState,
    seconds: float,
    best: Best,
) -> dict[str, Any]:
    """Evaluates the last state, prints the table, writes report and summary."""
    steps = config.optimizer.steps
    counts = evaluator.counts(state)
    # First, in case that no file can be written.
    print(table(counts.whole, void_marked(dataset.class_names, dataset.void)))
    print(f"{steps} steps in {seconds / 60:.1f} minutes of training")
    metrics = scalar_metrics(counts.whole)
    run.history.log(steps, "val", **metrics)
    best.offer(state, metrics["mean_iou"])
    images = steps * config.optimizer.batch_size
    summary = {
        **counts.measure(dataset.class_names, dataset.void),
        "steps": steps,
        "seconds": round(seconds, 1),
        "images_per_second": round(images / max(seconds, 1e-9), 2),
        **provenance(dataset.fingerprint),
    }
    panels = evaluator.panels(state)
    colors = dataset.colors
    show_panels(evaluator, run.history, colors, config.run.panels, state)
    if index_of_process() != 0:
        return summary
    lines = run.history.lines()
    summary |= best.described(lines)
    report = write_report(
        run.workdir,
        config=config.options(),
        metrics=lines,
        summary=summary,
        confusion=counts.whole,
        colors=colors,
        panels=panels,
    )
    run.write_summary(summary)
    print(f"Report: {report}")
    kept = summary.get("best")
    if kept and not warn_of_better(run.best, kept["step"], kept["mean_iou"], lines):
        print(
            f"Best evaluation: step {kept['step']}, mean IoU "
            f"{100 * kept['mean_iou']:.1f} %, kept for --checkpoint best"
        )
    return summary

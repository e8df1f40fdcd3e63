"""The checkpoint of the best evaluation, beside the newest ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from train.training.checkpoint import Checkpoints, Restored
from train.training.step import TrainState

Evaluate = Callable[[TrainState], dict[str, Any]]


class _Kept(NamedTuple):
    step: int
    mean_iou: float


class Best:
    """The network of the evaluation with the highest mean IoU, in a folder of its own.

    Args:
      make: opens that folder, which keeps one checkpoint; None keeps none.
    """

    def __init__(self, make: Callable[[], Checkpoints] | None):
        self._make = make
        self._best: _Kept | None = None
        if make:
            with make() as checkpoints:
                found = checkpoints.newest()
            if found is not None and found.mean_iou is not None:
                self._best = _Kept(found.step, found.mean_iou)

    def watching(self, evaluate: Evaluate) -> Evaluate:
        """Returns the evaluation, which keeps what it finds to be the best."""

        def evaluated(state: TrainState) -> dict[str, Any]:
            result = evaluate(state)
            self.offer(state, result["mean_iou"])
            return result

        return evaluated

    def offer(self, state: TrainState, mean_iou: float) -> None:
        """Saves a state if it is better than the one that is kept, and waits for it.

        The one before is removed once this one is whole.
        """
        step, highest = self._best or (-1, -1.0)
        # A run that went back to an earlier checkpoint computes the same steps again.
        if self._make is None or step >= int(state.step) or not mean_iou > highest:
            return
        with self._make() as checkpoints:
            checkpoints.newest()  # which is set aside if it is damaged
            checkpoints.save(state, 0.0, mean_iou=mean_iou)
        self._best = _Kept(int(state.step), mean_iou)

    def described(self) -> dict[str, Any]:
        """Returns `best` with its step and mean IoU, nothing while none is kept."""
        if self._best is None:
            return {}
        return {"best": self._best._asdict()}


def warn_of_better(
    folder: Path, kept: Restored, lines: Iterable[Mapping[str, Any]]
) -> None:
    """Says where a run evaluated better since, when it kept no best one.

    Args:
      folder: where the best checkpoint is.
      kept: what is in it.
      lines: the metrics of the run.
    """
    evaluated = [
        _Kept(line["step"], line["mean_iou"])
        for line in lines
        if line["split"] == "val" and line.get("mean_iou") is not None
    ]
    if kept.mean_iou is None or not evaluated:
        return
    best = max(evaluated, key=lambda one: one.mean_iou)
    if best.mean_iou > kept.mean_iou:
        print(
            f"warning: {folder} has the network of step {int(kept.state.step)}, mean "
            f"IoU {100 * kept.mean_iou:.1f} %. The run reached "
            f"{100 * best.mean_iou:.1f} % at step {best.step}, which was not kept: it "
            "was trained without --keep-best then."
        )

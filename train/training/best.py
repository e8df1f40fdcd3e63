"""The checkpoint of the best evaluation, beside the newest ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from train.training.checkpoint import Checkpoints
from train.training.step import TrainState

Evaluate = Callable[[TrainState], dict[str, Any]]
_Lines = Iterable[Mapping[str, Any]]  # of metrics.jsonl


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

    def described(self, lines: _Lines = ()) -> dict[str, Any]:
        """Returns `best` with its step and mean IoU, nothing while none is kept.

        Args:
          lines: the metrics of the run. `overtaken_by` is their highest evaluation
            where it is better, and was not kept.
        """
        if self._best is None:
            return {}
        best: dict[str, Any] = self._best._asdict()
        if better := _better(self._best.mean_iou, lines):
            best["overtaken_by"] = better._asdict()
        return {"best": best}


def _better(mean_iou: float, lines: _Lines) -> _Kept | None:
    """Returns a run's highest evaluation if it is better than another."""
    better = [
        _Kept(line["step"], found)
        for line in lines
        if line["split"] == "val"
        and (found := line.get("mean_iou")) is not None
        and found > mean_iou
    ]
    return max(better, key=lambda one: one.mean_iou, default=None)


def warn_of_better(
    folder: Path, step: int, mean_iou: float | None, lines: _Lines
) -> bool:
    """Says where a run evaluated better than what is kept, when it kept no best one.

    Args:
      folder: where the best checkpoint is.
      step: of that.
      mean_iou: likewise; None where it is not known.
      lines: the metrics of the run.

    Returns:
      Whether it did.
    """
    if mean_iou is None or not (better := _better(mean_iou, lines)):
        return False
    print(
        f"warning: {folder} has the network of step {step}, mean IoU "
        f"{100 * mean_iou:.1f} %. The run reached {100 * better.mean_iou:.1f} % at "
        f"step {better.step}, which was not kept: it was trained without --keep-best "
        "then."
    )
    return True

"""What a run logs of its steps: metrics.jsonl, and events for TensorBoard."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from train.common.files import append_text, replace_text
from train.workdir.contents import read_metrics
from train.workdir.events import Events


class History:
    """The metrics of a run, a line for each step and split that was logged.

    Args:
      workdir: of the run.
      checkpoints: its folder of checkpoints.
      writes: whether this process does, of the several that a run may have.
    """

    def __init__(self, workdir: Path, checkpoints: Path, *, writes: bool):
        self._workdir, self._checkpoints = workdir, checkpoints
        self._path = workdir / "metrics.jsonl"
        self._writes = writes
        self._events: Events | None = None

    def lines(self) -> list[dict[str, Any]]:
        """Returns the lines of metrics.jsonl; of a step's and split's the last.

        A run that was stopped while it reported has its last evaluation twice.
        """
        lines = read_metrics(self._path)
        return list({(line["step"], line["split"]): line for line in lines}.values())

    def is_evaluated(self, step: int) -> bool:
        """Returns whether metrics.jsonl has the evaluation of a step."""
        lines = read_metrics(self._path)
        return any(line["step"] == step and line["split"] == "val" for line in lines)

    def rewind(self, step: int) -> None:
        """Drops lines logged after a step, since a resumed run logs them again."""
        if not self._writes:
            return
        lines = read_metrics(self._path)
        if step == 0 and lines:
            print(
                f"{self._checkpoints} holds no checkpoint, though {self._path} goes up "
                f"to step {max(line['step'] for line in lines)}: both begin anew."
            )
        kept = [line for line in lines if line["step"] <= step]
        replace_text(self._path, "".join(json.dumps(line) + "\n" for line in kept))
        self._events = Events(self._workdir, step + 1)

    def log(self, step: int, split: str, **metrics: float) -> None:
        """Adds a line to metrics.jsonl and to the events."""
        if not self._writes:
            return
        values = {k: v if math.isfinite(v) else None for k, v in metrics.items()}
        line = json.dumps({"step": step, "split": split, **values})
        append_text(self._path, line + "\n")
        if self._events is not None:
            self._events.add(step, split, metrics)

    def show(self, step: int, pictures: Mapping[str, Image.Image]) -> None:
        """Adds pictures to the events, by their names."""
        if self._events is not None:
            self._events.show(step, pictures)

"""The newest checkpoint that is sound, also while a training replaces them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from train.common.errors import UserError
from train.common.files import numbered
from train.training.position import DamagedError

_T = TypeVar("_T")
_MOST = 100  # that are tried, of a run that replaces them faster than they are read


def newest_sound(
    folder: Path, steps: Collection[int], restore: Callable[[int], _T]
) -> tuple[_T | None, list[int]]:
    """Returns what the newest sound checkpoint holds, None where there is no other.

    Damaged ones are named. A training removes a checkpoint once a later one is whole,
    so they are listed again after each that cannot be restored: one that is gone, or
    before the one that is taken, was not damaged.

    Args:
      folder: of the checkpoints.
      steps: that are there.
      restore: restores the one of a step, or raises `DamagedError`.

    Returns:
      That, and the steps of later ones, which are damaged.

    Raises:
      UserError: all are damaged, or each was removed before it was read.
    """
    failures: dict[int, str] = {}
    left = set(steps)
    while left and len(failures) < _MOST:
        step = max(left)
        try:
            restored = restore(step)
        except DamagedError as error:
            failures[step] = str(error)
            left = {int(place.name) for place in numbered(folder)} - failures.keys()
            continue
        later = [failed for failed in failures if failed > step]
        if later:
            listed = "\n".join(failures[failed] for failed in later)
            print(f"warning: {listed}\nThe one of step {step} is taken instead.")
        return restored, later
    there = [step for step in failures if (folder / str(step)).is_dir()]
    if there:
        raise UserError(
            "\n".join(failures[step] for step in there) + "\nNo other checkpoint is "
            "there. Restore that folder from a copy, or train again in another "
            "--workdir."
        )
    if failures:
        raise UserError(
            f"{folder}: each checkpoint was removed while it was being read, as a "
            "training does with earlier ones. Give the command again, or let the run "
            "keep more of them, with --keep of train/main.py."
        )
    return None, []

"""Sizes of the stored pieces of a checkpoint's arrays, before they are unpacked."""

from __future__ import annotations

import math
from typing import Any

import jax
import orbax.checkpoint as ocp

from train.common.plain import PlainPath
from train.training.position import DamagedError


def check_chunks(folder: PlainPath, step: int) -> None:
    """Refuses a checkpoint whose arrays lie in pieces that are larger than themselves.

    A few bytes could unpack to any number, and end the program.

    Args:
      folder: of the checkpoints.
      step: names that of this one.

    Raises:
      DamagedError: it names an array.
    """
    place, state = folder.folder / str(step), folder.path / str(step) / "state"
    found: Any = ocp.StandardCheckpointHandler().metadata(state)
    arrays, _ = jax.tree_util.tree_flatten_with_path(found.tree)
    for path, array in arrays:
        stored = array.storage and array.storage.chunk_shape
        if stored and math.prod(stored) > max(1, math.prod(array.shape)):
            raise DamagedError(
                f"{place} is damaged: its array {jax.tree_util.keystr(path)} of shape "
                f"{array.shape} is stored in pieces of {stored}."
            )

"""How a checkpoint's arrays are stored: by whom, and in pieces of which size."""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import orbax.checkpoint as ocp

from train.common.plain import PlainPath
from train.training.position import DamagedError


@functools.cache
def store_first_replicas() -> None:
    """Has one process alone write what all of them have.

    Orbax would have each write a part. Where processes differ in last digits, as those
    of different CPUs do, that is a state of none of them, and not the one whose
    checksum is noted, which is the first's.
    """
    handler = ocp.type_handlers.ArrayHandler(use_replica_parallel=False)
    ocp.type_handlers.register_type_handler(jax.Array, handler, override=True)


def check_chunks(folder: PlainPath, step: int) -> None:
    """Refuses a checkpoint whose arrays lie in pieces that are larger than themselves.

    Before they are unpacked: a few bytes could become any number, and end the program.

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

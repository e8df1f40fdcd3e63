"""The position of a checkpoint: what stands beside its state."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import jax
import msgspec

from train.common.errors import UserError
from train.common.processes import gathered

# Why a checkpoint of another run is none of this one, and the way out.
_CAUSES = {
    "seed": "config.json has another seed. Restore it, or choose another --workdir.",
    "fingerprint": "the data have changed. Restore them, or choose another --workdir.",
    "config": "config.json is not the one that it was saved under. Restore that file.",
}
_Count = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class DamagedError(UserError):
    """A checkpoint cannot be restored."""


class Position(msgspec.Struct, forbid_unknown_fields=True):
    """What stands beside the state of a checkpoint."""

    step: _Count
    seconds: Annotated[float, msgspec.Meta(ge=0, le=1e12)]  # of training so far
    seed: int
    fingerprint: str
    # Those below are not in checkpoints of every version.
    config: str = ""
    skipped: _Count = 0  # updates that were left out so far
    mean_iou: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None  # if evaluated
    checksum: int | None = None  # of the arrays
    seal: int | None = None  # of the rest of these


def sealed(position: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a position with a checksum of it."""
    return {**position, "seal": _seal(position)}


def check_is_here(
    position: Position,
    place: Path,
    wanted: Mapping[str, object],
    accepted: Mapping[str, Sequence[object]],
) -> None:
    """Refuses a checkpoint of another step or run than that it lies in.

    Args:
      position: of the checkpoint.
      place: its folder, named by the step.
      wanted: what a position of this run has, by field.
      accepted: what it may have had in earlier versions, by field.

    Raises:
      DamagedError: it is of another step.
      UserError: it is of another run.
    """
    if str(position.step) != place.name:
        raise DamagedError(
            f"{place} holds step {position.step}: it was renamed or copied."
        )
    for name, value in wanted.items():
        found = getattr(position, name)
        if found not in accepted[name]:
            raise UserError(
                f"{place} was saved with {name} {found!r}, but this run has "
                f"{value!r}: {_CAUSES[name]}"
            )


def check_is_saved(place: Path) -> None:
    """Refuses to go on from a checkpoint that was saved elsewhere than it should be.

    Raises:
      UserError: it is not there.
    """
    if not place.is_dir():
        raise UserError(
            f"{place}: the checkpoint that was just saved is not there. See that "
            "nothing else deletes or moves it; then the same command goes on."
        )


def read_position(place: Path, found: Any) -> Position:
    """Returns a checkpoint's position as it was saved.

    Raises:
      DamagedError: it is another.
    """
    try:
        position = msgspec.convert(found, Position)
        rest = {name: value for name, value in found.items() if name != "seal"}
        if position.seal not in (None, _seal(rest)):
            raise ValueError("its checksum is of another content")
    except ValueError as error:
        raise DamagedError(
            f"{place} is damaged: its position is another ({error!s:.200})."
        ) from error
    return position


def checksum_of_arrays(state: Any) -> int:
    """Returns a checksum of all arrays; Orbax restores flipped bits without a word."""
    checksum = 0
    leaves = [gathered(leaf) for leaf in jax.tree.leaves(state)]
    for leaf in jax.device_get(leaves):  # all are copied at once
        checksum = zlib.crc32(leaf.tobytes(), checksum)
    return checksum


def _seal(position: Mapping[str, Any]) -> int:
    """Returns a checksum of a position."""
    return zlib.crc32(json.dumps(position, sort_keys=True).encode())

"""Checkpoints of everything a run needs to resume."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import jax
import msgspec
import orbax.checkpoint as ocp

from train.common.command import uninterrupted
from train.common.errors import UserError, lacks_memory, lacks_space
from train.common.files import plain_path
from train.common.sealed import say_unsealed
from train.data.inside import check_kinds_below
from train.training import manifest
from train.training.step import TrainState

# Why a checkpoint of another run is none of this one, and the way out.
_CAUSES = {
    "seed": "config.json has another seed. Restore that file, or choose another "
    "--workdir.",
    "fingerprint": "the data set has changed since. Restore it, or choose another "
    "--workdir.",
    "config": "config.json is not the one that it was saved under. Restore that file.",
}


class _Position(msgspec.Struct, forbid_unknown_fields=True):
    """What stands beside the state of a checkpoint."""

    step: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    seconds: Annotated[float, msgspec.Meta(ge=0, le=1e12)]  # of training so far
    seed: int
    fingerprint: str
    # Those below are not in checkpoints of every version.
    config: str = ""
    checksum: int | None = None  # of the arrays
    seal: int | None = None  # of the rest of these


class _DamagedError(UserError):
    """A checkpoint cannot be restored."""


class Checkpoints:
    """The numbered checkpoints of a run, newest last.

    Beside the state stands the position: step, seed and data set. Batches and
    augmentation are a pure function of seed and step, and the network draws no random
    numbers, so this is the whole state of chance.

    A context: leaving it waits for what is still being saved.

    Args:
      folder: where they are; made at the first save.
      seed: of the run.
      fingerprint: of the data set.
      earlier: fingerprint of the same data in checkpoints saved before, if any.
      config: checksum of config.json, if it has one.
      keep: how many to keep.

    Raises:
      UserError: a pipe, a device or a link to a folder is among them.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        fingerprint: str,
        earlier: str = "",
        *,
        config: str = "",
        keep: int = 2,
    ):
        self.folder = folder.resolve()
        self._position = {"seed": seed, "fingerprint": fingerprint, "config": config}
        self._accepted: dict[str, tuple[int | str, ...]] = {
            "seed": (seed,),
            "fingerprint": (fingerprint, earlier),
            "config": (config, ""),  # earlier ones do not say
        }
        self._damaged: list[int] = []
        self._saved = False
        check_kinds_below(folder)  # Orbax would wait for a pipe
        self._manager = ocp.CheckpointManager(
            plain_path(folder), options=ocp.CheckpointManagerOptions(max_to_keep=keep)
        )

    def save(self, state: TrainState, seconds: float) -> None:
        """Saves in the background; a checkpoint appears whole or not at all.

        Args:
          state: what to save.
          seconds: of training so far.

        Raises:
          UserError: there is no space for this one, or was none for the one before.
        """
        step = int(state.step)
        position = {"step": step, "seconds": seconds, **self._position}
        position["checksum"] = _checksum(state)
        position["seal"] = _seal(position)
        with self._space():
            self._manager.wait_until_finished()
        self._set_damaged_aside()
        self._write_manifests()
        self._saved = True
        # Stopped halfway, it would leave threads that wait for it for many minutes.
        with uninterrupted(), self._space():
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(state._asdict()),
                    position=ocp.args.JsonSave(position),
                ),
            )

    @contextlib.contextmanager
    def _space(self) -> Iterator[None]:
        """Says in one message that a checkpoint could not be written."""
        try:
            yield
        except Exception as error:  # Orbax raises errors of various types
            if not lacks_space(error):
                raise
            kept = self._manager.all_steps(read=True)
            goes_on = f"from step {max(kept)}" if kept else "from the start"
            raise UserError(
                f"{self.folder}: a checkpoint could not be saved ({_reason(error)}). "
                f"Make room there; then the same command goes on {goes_on}."
            ) from error

    def _write_manifests(self) -> None:
        """Completes what has been saved since, which Orbax does in the background."""
        for place in self.folder.glob("[0-9]*"):
            if place.name.isdigit() and not (place / manifest.MANIFEST).exists():
                manifest.write_manifest(place)

    def _set_damaged_aside(self) -> None:
        """Renames what could not be restored, which would pass for the newest."""
        for step in self._damaged:
            place = self.folder / str(step)
            place.rename(place.with_name(f"damaged-{step}-{secrets.token_hex(4)}"))
        if self._damaged:
            self._damaged.clear()
            self._manager.reload()

    def restore(self, like: TrainState) -> tuple[TrainState, float] | None:
        """Returns the newest sound state and its seconds, None before the first save.

        The state comes to this process's first device, wherever it was saved. Damaged
        checkpoints are named; the next save sets them aside.

        Args:
          like: a state of the same structure, shapes and dtypes.

        Raises:
          UserError: all are damaged, or one belongs to another model, seed or data
            set.
        """
        failures: list[str] = []
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                restored = self._restore(step, like)
            except _DamagedError as error:
                failures.append(str(error))
                self._damaged.append(step)
                continue
            if failures:
                listed = "\n".join(failures)
                print(f"warning: {listed}\nThe one of step {step} is taken instead.")
            return restored
        if failures:
            raise UserError(
                "\n".join(failures) + "\nNo other checkpoint is there. Restore that "
                "folder from a copy, or train again in another --workdir."
            )
        return None

    def _restore(self, step: int, like: TrainState) -> tuple[TrainState, float]:
        """Returns the state of a step and its seconds."""
        place = self.folder / str(step)
        if files := manifest.damage(place):
            raise _DamagedError(f"{place} is damaged: {files}.")
        position = _position(
            place, self._read(step, position=ocp.args.JsonRestore()).position
        )
        for name, wanted in self._position.items():
            found = getattr(position, name)
            if found not in self._accepted[name]:
                raise UserError(
                    f"{place} was saved with {name} {found!r}, but this run has "
                    f"{wanted!r}: {_CAUSES[name]}"
                )
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        shapes = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here),
            like._asdict(),
        )
        restored = self._read(step, state=ocp.args.StandardRestore(shapes))
        state = TrainState(**restored.state)
        if position.checksum is None:
            say_unsealed(place)
        elif position.checksum != _checksum(state):
            raise _DamagedError(
                f"{place} is damaged: its arrays are not those that were saved."
            )
        return state, position.seconds

    def _read(self, step: int, **wanted: Any) -> Any:
        """Returns parts of a checkpoint.

        Raises:
          _DamagedError: they cannot be read.
        """
        try:
            return self._manager.restore(step, args=ocp.args.Composite(**wanted))
        except Exception as error:  # Orbax raises a bare Exception for damaged arrays
            if lacks_memory(error) or isinstance(error, PermissionError):
                raise
            raise _DamagedError(
                f"{self.folder / str(step)} cannot be restored: {str(error)[:300]}\n"
                "Either it is damaged, or config.json has changed since it was saved."
            ) from error

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, kind: object, *unused: object) -> None:
        """Waits until everything is on disk, also after Ctrl-C."""
        try:
            with self._space():
                self._manager.close()
                if self._saved:
                    self._write_manifests()
        except UserError:
            if kind is None:  # otherwise the error that comes through says enough
                raise


def _position(place: Path, found: Any) -> _Position:
    """Returns a checkpoint's position as it was saved.

    Raises:
      _DamagedError: it is another.
    """
    try:
        position = msgspec.convert(found, _Position)
        rest = {name: value for name, value in found.items() if name != "seal"}
        if position.seal not in (None, _seal(rest)):
            raise ValueError("its checksum is of another content")
    except ValueError as error:
        raise _DamagedError(
            f"{place} is damaged: its position is another ({error!s:.200})."
        ) from error
    return position


def _checksum(state: TrainState) -> int:
    """Returns a checksum of all arrays; Orbax restores flipped bits without a word."""
    checksum = 0
    for leaf in jax.device_get(jax.tree.leaves(state)):  # all are copied at once
        checksum = zlib.crc32(leaf.tobytes(), checksum)
    return checksum


def _seal(position: Mapping[str, Any]) -> int:
    """Returns a checksum of a position."""
    return zlib.crc32(json.dumps(position, sort_keys=True).encode())


def _reason(error: Exception) -> str:
    """Returns why a file could not be written, from all that Orbax says of it."""
    if code := re.search(r"\[os_error_code='(\d+)'\]", str(error)):
        return os.strerror(int(code[1]))
    return str(error).rpartition(": ")[2]

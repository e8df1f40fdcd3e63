"""Checkpoints of everything a run needs to resume."""

from __future__ import annotations

import contextlib
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import jax
import orbax.checkpoint as ocp

from train.common.command import uninterrupted
from train.common.errors import UserError, lacks_memory, lacks_space
from train.common.files import plain_path
from train.training.step import TrainState


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
      keep: how many to keep.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        fingerprint: str,
        earlier: str = "",
        *,
        keep: int = 2,
    ):
        self.folder = folder.resolve()
        self._position = {"seed": seed, "fingerprint": fingerprint}
        self._accepted: dict[str, tuple[int | str, ...]] = {
            "seed": (seed,),
            "fingerprint": (fingerprint, earlier),
        }
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

    def restore(self, like: TrainState) -> tuple[TrainState, float] | None:
        """Returns the newest state and its seconds, or None before the first save.

        The state comes to this process's first device, wherever it was saved.

        Args:
          like: a state of the same structure, shapes and dtypes.

        Raises:
          UserError: the checkpoint is damaged, or belongs to another model, seed or
            data set.
        """
        step = self._manager.latest_step()
        if step is None:
            return None
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        shapes = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here),
            like._asdict(),
        )
        try:
            restored = self._manager.restore(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardRestore(shapes),
                    position=ocp.args.JsonRestore(),
                ),
            )
        except Exception as error:  # Orbax raises a bare Exception for damaged arrays
            if lacks_memory(error) or isinstance(error, PermissionError):
                raise
            raise UserError(
                f"{self.folder / str(step)} cannot be restored: {str(error)[:300]}\n"
                "Either it is damaged, or config.json has changed since it was saved. "
                "If it is damaged, move that folder elsewhere to resume from the "
                "checkpoint before it."
            ) from error
        for name, wanted in self._position.items():
            found = restored.position[name]
            if found not in self._accepted[name]:
                raise UserError(
                    f"{self.folder / str(step)} was saved with {name} "
                    f"{found!r}, but this run has {wanted!r}: the "
                    "data set has changed since. Restore it, or choose another "
                    "--workdir."
                )
        state = TrainState(**restored.state)
        saved = restored.position.get("checksum")  # none in those of before
        if saved is not None and saved != _checksum(state):
            raise UserError(
                f"{self.folder / str(step)} is damaged: its arrays are not those that "
                "were saved. Move that folder elsewhere to resume from the checkpoint "
                "before it, and look after the disk."
            )
        return state, float(restored.position["seconds"])

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, kind: object, *unused: object) -> None:
        """Waits until everything is on disk, also after Ctrl-C."""
        try:
            with self._space():
                self._manager.close()
        except UserError:
            if kind is None:  # otherwise the error that comes through says enough
                raise


def _checksum(state: TrainState) -> int:
    """Returns a checksum of all arrays; Orbax restores flipped bits without a word."""
    checksum = 0
    for leaf in jax.device_get(jax.tree.leaves(state)):  # all are copied at once
        checksum = zlib.crc32(leaf.tobytes(), checksum)
    return checksum


def _reason(error: Exception) -> str:
    """Returns why a file could not be written, from all that Orbax says of it."""
    if code := re.search(r"\[os_error_code='(\d+)'\]", str(error)):
        return os.strerror(int(code[1]))
    return str(error).rpartition(": ")[2]

"""Checkpoints of everything a run needs to resume."""

from __future__ import annotations

from pathlib import Path

import jax
import orbax.checkpoint as ocp

from train.common.command import uninterrupted
from train.common.errors import UserError
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
        self._earlier = earlier
        self._manager = ocp.CheckpointManager(
            self.folder, options=ocp.CheckpointManagerOptions(max_to_keep=keep)
        )

    def save(self, state: TrainState, seconds: float) -> None:
        """Saves in the background; a checkpoint appears whole or not at all.

        Args:
          state: what to save.
          seconds: of training so far.
        """
        step = int(state.step)
        position = {"step": step, "seconds": seconds, **self._position}
        # Stopped halfway, it would leave threads that wait for it for many minutes.
        with uninterrupted():
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(state._asdict()),
                    position=ocp.args.JsonSave(position),
                ),
            )

    def restore(self, like: TrainState) -> tuple[TrainState, float] | None:
        """Returns the newest state and its seconds, or None before the first save.

        Args:
          like: a state of the same structure, shapes and dtypes.

        Raises:
          UserError: the checkpoint is damaged, or belongs to another model, seed or
            data set.
        """
        step = self._manager.latest_step()
        if step is None:
            return None
        shapes = jax.tree.map(ocp.utils.to_shape_dtype_struct, like._asdict())
        try:
            restored = self._manager.restore(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardRestore(shapes),
                    position=ocp.args.JsonRestore(),
                ),
            )
        except Exception as error:  # Orbax raises a bare Exception for damaged arrays
            raise UserError(
                f"{self.folder / str(step)} cannot be restored: {str(error)[:300]}\n"
                "Either it is damaged, or config.json has changed since it was saved. "
                "If it is damaged, move that folder elsewhere to resume from the "
                "checkpoint before it."
            ) from error
        for name, wanted in self._position.items():
            found = restored.position[name]
            if name == "fingerprint" and found == self._earlier:
                continue
            if found != wanted:
                raise UserError(
                    f"{self.folder / str(step)} was saved with {name} "
                    f"{found!r}, but this run has {wanted!r}: the "
                    "data set has changed since. Restore it, or choose another "
                    "--workdir."
                )
        return TrainState(**restored.state), float(restored.position["seconds"])

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *unused: object) -> None:
        """Waits until everything is on disk, also after Ctrl-C."""
        self._manager.close()

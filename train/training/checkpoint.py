"""Checkpoints of everything a run needs to resume."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp

from train.common.command import uninterrupted
from train.common.errors import Diverged, UserError, lacks_memory, reason_unwritten
from train.common.files import check_in_place, numbered, place_of
from train.common.plain import PlainPath
from train.common.processes import index_of_process, is_of_lost_process, wait_for_all
from train.common.sealed import say_unsealed
from train.data.inside import check_kinds_below
from train.training import manifest
from train.training.chunks import check_chunks, store_first_replicas
from train.training.finiteness import all_finite
from train.training.newest import newest_sound
from train.training.position import (
    DamagedError,
    Position,
    check_is_here,
    check_is_saved,
    checksum_of_arrays,
    read_position,
    sealed,
)
from train.training.step import TrainState

_all_finite = jax.jit(all_finite)


class Restored(NamedTuple):
    """What a run goes on from."""

    state: TrainState
    seconds: float = 0.0  # of training so far
    skipped: int = 0  # updates left out so far
    mean_iou: float | None = None  # of its evaluation, where it was kept for that


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
        self._saving: int | None = None  # the step that was saved last
        self._home = place_of(folder.parent)
        check_kinds_below(folder)  # Orbax would wait for a pipe
        self._plain = PlainPath(folder)
        store_first_replicas()
        self._manager = ocp.CheckpointManager(
            self._plain.path,
            options=ocp.CheckpointManagerOptions(
                max_to_keep=keep,
                lightweight_initialize=True,  # damage to one would be an error here
            ),
        )

    def save(
        self,
        state: TrainState,
        seconds: float,
        skipped: int = 0,
        *,
        mean_iou: float | None = None,
    ) -> None:
        """Saves in the background; a checkpoint appears whole or not at all.

        Args:
          state: what to save.
          seconds: of training so far.
          skipped: updates left out so far.
          mean_iou: of its evaluation, where that is why it is kept.

        Raises:
          Diverged: the state is not finite; what was saved before stays.
          UserError: this one could not be written, or the one before.
        """
        check_in_place(self.folder.parent, self._home)  # Orbax would make another
        step = int(state.step)
        if not _all_finite(state):
            raise Diverged(
                f"the network of step {step}, or its momentum, is not finite and was "
                "not saved. Lower --learning-rate; checkpoints up to the last are "
                "kept.",
                step,
            )
        position = {"step": step, "seconds": seconds, **self._position}
        position |= {"skipped": skipped, "checksum": checksum_of_arrays(state)}
        if mean_iou is not None:
            position["mean_iou"] = mean_iou
        with self._written():
            self._manager.wait_until_finished()
            self._check_saved()
            self._set_damaged_aside()
            self._write_manifests()
        # Stopped halfway, it would leave threads that wait for it for many minutes.
        with uninterrupted(), self._written():
            self._saving = step
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(state.saved()),
                    position=ocp.args.JsonSave(sealed(position)),
                ),
            )

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        """Says in one message that a checkpoint could not be written."""
        try:
            yield
        except Exception as error:  # Orbax raises errors of various types
            if not (reason := reason_unwritten(error)):
                raise
            kept = [int(place.name) for place in numbered(self.folder)]
            goes_on = f"from step {max(kept)}" if kept else "from the start"
            raise UserError(
                f"{self.folder}: a checkpoint could not be saved ({reason}). Make room "
                "there, or see that it is there and may be written to; then the same "
                f"command goes on {goes_on}."
            ) from error

    def _check_saved(self) -> None:
        """Sees that what was saved last lies in the folder, once it is finished."""
        self._plain.check()
        if self._saving is not None and index_of_process() == 0:
            check_is_saved(self.folder / str(self._saving))

    def _write_manifests(self) -> None:
        """Completes what has been saved since, which Orbax does in the background."""
        if index_of_process() != 0:
            return
        for place in numbered(self.folder):
            if not (place / manifest.MANIFEST).exists():
                manifest.write_manifest(place)

    def _set_damaged_aside(self) -> None:
        """Renames what could not be restored, which would pass for the newest."""
        for step in self._damaged if index_of_process() == 0 else ():
            place = self.folder / str(step)
            place.rename(place.with_name(f"damaged-{step}-{secrets.token_hex(4)}"))
        if self._damaged:
            wait_for_all("damaged checkpoints are set aside")
            self._damaged.clear()
            self._manager.reload()

    def restore(self, like: TrainState) -> Restored | None:
        """Returns the newest sound state, None before the first save.

        The state comes to the devices of `like`, wherever it was saved. Damaged
        checkpoints are named; the next save sets them aside.

        Args:
          like: a state of the same structure, shapes and dtypes; where it has no
            arrays but shapes, this process's first device is meant.

        Raises:
          UserError: all are damaged, or one belongs to another model, seed or data
            set.
        """
        found, damaged = newest_sound(
            self.folder,
            self._manager.all_steps(),
            lambda step: self._restore(step, like),
        )
        self._damaged += damaged
        return found

    def newest(self) -> Position | None:
        """Returns the position of the newest checkpoint, None if it is damaged.

        The next save sets that one aside.

        Raises:
          UserError: it belongs to another model, seed or data set.
        """
        if (step := self._manager.latest_step()) is None:
            return None
        try:
            return self._position_of(step)
        except DamagedError as error:
            print(f"warning: {error}")
            self._damaged.append(step)
            return None

    def _position_of(self, step: int) -> Position:
        """Returns the position of a checkpoint of this run.

        Raises:
          DamagedError: one of its files is.
          UserError: it belongs to another model, seed or data set.
        """
        place = self.folder / str(step)
        if files := manifest.damage(place):
            raise DamagedError(f"{place} is damaged: {files}.")
        position = read_position(
            place, self._read(step, position=ocp.args.JsonRestore()).position
        )
        check_is_here(position, place, self._position, self._accepted)
        return position

    def _restore(self, step: int, like: TrainState) -> Restored:
        """Returns the checkpoint of a step."""
        place, position = self.folder / str(step), self._position_of(step)
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        shapes = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(
                leaf.shape, leaf.dtype, sharding=getattr(leaf, "sharding", None) or here
            ),
            like.saved(),
        )
        wanted = ocp.args.StandardRestore(shapes)
        state = TrainState(**self._read(step, state=wanted).state)
        if position.checksum is None:
            say_unsealed(place)
        elif position.checksum != checksum_of_arrays(state):
            raise DamagedError(
                f"{place} is damaged: its arrays are not those that were saved."
            )
        return Restored(state, position.seconds, position.skipped, position.mean_iou)

    def _read(self, step: int, **wanted: Any) -> Any:
        """Returns parts of a checkpoint.

        Raises:
          DamagedError: they cannot be read.
        """
        try:
            if "state" in wanted:
                check_chunks(self._plain, step)
            return self._manager.restore(step, args=ocp.args.Composite(**wanted))
        except Exception as error:  # Orbax raises a bare Exception for damaged arrays
            if lacks_memory(error) or isinstance(error, DamagedError | PermissionError):
                raise
            told = str(error).replace(str(self._plain.path), str(self.folder))
            raise DamagedError(
                f"{self.folder / str(step)} cannot be restored: {told[:300]}\n"
                "Either it is damaged, or config.json has changed since it was saved."
            ) from error

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        """Waits until everything is on disk, also after Ctrl-C."""
        if is_of_lost_process(error):
            return  # a save needs them all
        try:
            with self._written():
                self._manager.close()
                self._check_saved()
                if self._saving is not None:
                    self._write_manifests()
            self._plain.close()  # where nothing can still be writing there
        except UserError:
            # Another error that comes through says enough.
            if error is None or isinstance(error, KeyboardInterrupt):
                raise

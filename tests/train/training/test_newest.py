"""The newest sound checkpoint, also while a training removes and adds others."""

from __future__ import annotations

import shutil
from pathlib import Path

import jax.numpy as jnp
import pytest

from train.common.errors import UserError
from train.common.plain import PlainPath
from train.training import checkpoint, newest
from train.training.checkpoint import Checkpoints
from train.training.newest import newest_sound
from train.training.position import DamagedError

from ..standins import STATE


class Training:
    """A run that goes on by some steps whenever a checkpoint of it is read.

    Args:
      folder: of the checkpoints.
      reads: so many are removed while they are read.
      slowly: the one before is still there, half removed, at the first.
    """

    def __init__(self, folder: Path, reads: int, *, slowly: bool = False):
        self.folder, self.reads, self.slowly = folder, reads, slowly
        self.step = 0
        self.save()

    def save(self) -> None:
        self.step += 10
        (self.folder / str(self.step)).mkdir(parents=True)

    def restore(self, step: int) -> int:
        if self.reads:
            self.reads -= 1
            self.save()
            if not self.slowly:
                (self.folder / str(step)).rmdir()
            raise DamagedError(f"{step} is damaged")
        return step


@pytest.mark.parametrize("slowly", [False, True])
def test_what_a_training_removes_was_not_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], slowly: bool
) -> None:
    run = Training(tmp_path, 3, slowly=slowly)
    assert newest_sound(tmp_path, [10], run.restore) == (40, [])
    assert not capsys.readouterr().out


def test_a_training_that_is_faster_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newest, "_MOST", 5)
    run = Training(tmp_path, 10**9)
    with pytest.raises(UserError, match="removed while it was being read.* --keep"):
        newest_sound(tmp_path, [10], run.restore)
    assert run.step == 60


def test_what_is_there_is_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for step in (1, 2, 3):
        (tmp_path / str(step)).mkdir()

    def restore(step: int) -> int:
        if step > 1:
            raise DamagedError(f"{step} is damaged")
        return step

    assert newest_sound(tmp_path, [1, 2, 3], restore) == (1, [3, 2])
    said = capsys.readouterr().out
    assert "3 is damaged\n2 is damaged" in said and "step 1 is taken" in said
    (tmp_path / "1").rmdir()
    with pytest.raises(UserError, match="3 is damaged\n2 is damaged\nNo other"):
        newest_sound(tmp_path, [2, 3], restore)
    assert newest_sound(tmp_path, [], restore) == (None, [])


def test_a_network_is_read_from_a_run_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (1, 2):
        with Checkpoints(tmp_path / "run", 0, "data") as checkpoints:
            checkpoints.save(STATE._replace(step=jnp.int32(step)), 7.0)
    folder = tmp_path / "run"
    (folder / "2").rename(tmp_path / "2")
    check = checkpoint.check_chunks

    def removed(place: PlainPath, step: int) -> None:
        if step == 1:
            (tmp_path / "2").rename(folder / "2")
            shutil.rmtree(folder / "1")
        check(place, step)

    monkeypatch.setattr(checkpoint, "check_chunks", removed)
    with Checkpoints(folder, 0, "data") as checkpoints:
        restored = checkpoints.restore(STATE)
    assert restored is not None and int(restored.state.step) == 2

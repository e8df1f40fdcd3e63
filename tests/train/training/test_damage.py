"""Whatever happens to the files of a checkpoint, no other state comes of it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest

from train.common.errors import UserError
from train.training.checkpoint import Checkpoints, Restored
from train.training.step import TrainState

from .test_checkpoint import files_of, large, open_again, save_steps, small

__all__ = ["small"]  # a fixture


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def be_another(path: Path) -> None:
    path.write_bytes(bytes(reversed(path.read_bytes())))


@pytest.fixture
def saved(small: TrainState, tmp_path: Path) -> tuple[Path, Restored]:
    """A folder with checkpoints of steps 1 and 2, and what the newest holds."""
    save_steps(tmp_path / "whole", small, 1, 2)
    restored = restore(tmp_path / "whole", small)
    assert int(restored.state.step) == 2
    return tmp_path / "whole", restored


def restore(folder: Path, small: TrainState) -> Restored:
    with open_again(folder) as checkpoints:
        restored = checkpoints.restore(large(small))
    assert restored is not None
    return restored


def is_one_of_both(found: Restored, newest: Restored, said: str) -> bool:
    """Checks that a state is the newest, or the one before and said so."""
    if int(found.state.step) == 1:
        assert "step 1 is taken instead" in said
        return False
    jax.tree.map(np.testing.assert_array_equal, found.state, newest.state)
    assert found[1:] == newest[1:]
    return True


@pytest.mark.parametrize("damage", [cut, grow, be_another, Path.unlink])
def test_damage_to_any_file_gives_no_other_state(
    saved: tuple[Path, Restored],
    small: TrainState,
    damage: Callable[[Path], object],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, newest = saved
    taken = 0
    files = files_of(folder / "2")
    assert len(files) > 10
    for path in files:
        whole = path.read_bytes()
        damage(path)
        found = restore(folder, small)
        path.write_bytes(whole)
        taken += is_one_of_both(found, newest, capsys.readouterr().out)
    assert taken <= 2, "damage was not noticed"


def test_half_a_copy_gives_no_other_state(
    saved: tuple[Path, Restored],
    small: TrainState,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, newest = saved
    files = sorted(path.relative_to(folder) for path in (folder / "2").rglob("*"))
    for count in range(0, len(files), 3):
        copy = tmp_path / f"copy{count}"
        shutil.copytree(folder / "1", copy / "1")
        (copy / "2").mkdir()
        for path in files[:count]:
            if (folder / path).is_dir():
                (copy / path).mkdir()
            else:
                shutil.copy(folder / path, copy / path)
        found = restore(copy, small)
        assert not is_one_of_both(found, newest, capsys.readouterr().out)


def test_folder_that_is_no_longer_itself_is_not_written_to(
    small: TrainState, tmp_path: Path
) -> None:
    run, gone = tmp_path / "run", tmp_path / "gone"
    run.mkdir()
    with Checkpoints(run / "checkpoints", 0, "data") as checkpoints:
        checkpoints.save(small, 1.0)
        checkpoints._manager.wait_until_finished()
        run.rename(gone)
        with pytest.raises(UserError, match=f"{run} is no longer the folder"):
            checkpoints.save(small._replace(step=small.step + 1), 2.0)
        run.mkdir()
        with pytest.raises(UserError, match="moved, deleted or replaced"):
            checkpoints.save(small._replace(step=small.step + 1), 2.0)
        run.rmdir()
        gone.rename(run)
    assert (run / "checkpoints" / str(int(small.step))).is_dir()

"""Checkpoints lie in their run, or the training ends: none is lost without a word."""

import shutil
import tempfile
from pathlib import Path

import jax.numpy as jnp
import pytest

from train.common import plain
from train.common.errors import UserError
from train.training.checkpoint import Checkpoints

from ..standins import STATE

ODD = "lr=0.1 [é]"  # which libraries are given another path of


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def linked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets folders be reached by links, as on macOS."""
    monkeypatch.setattr(plain, "_OPENED", Path("/nothing/of/that/name"))


def save(checkpoints: Checkpoints, step: int) -> None:
    checkpoints.save(STATE._replace(step=jnp.int32(step)), 7.0)


def names(folder: Path) -> list[str]:
    return sorted(place.name for place in folder.iterdir())


def clean(temporary: Path) -> None:
    for place in temporary.iterdir():
        shutil.rmtree(place)


def test_nothing_of_a_run_is_where_systems_clean(
    tmp_path: Path, temporary: Path
) -> None:
    with Checkpoints(tmp_path / ODD, 0, "data") as checkpoints:
        for step in (1, 2, 3):
            save(checkpoints, step)
            assert not plain._OPENED.is_dir() or not names(temporary)
            clean(temporary)
    assert names(tmp_path / ODD) == ["2", "3"]


def test_links_that_are_cleaned_between_saves_are_made_again(
    tmp_path: Path, temporary: Path, linked: None
) -> None:
    with Checkpoints(tmp_path / ODD, 0, "data") as checkpoints:
        for step in (1, 2, 3):
            save(checkpoints, step)
            checkpoints._manager.wait_until_finished()
            clean(temporary)
    assert names(tmp_path / ODD) == ["2", "3"] and not names(temporary)
    with Checkpoints(tmp_path / ODD, 0, "data") as checkpoints:
        restored = checkpoints.restore(STATE)
    assert restored and int(restored.state.step) == 3


def test_what_was_saved_elsewhere_ends_the_training_and_stays(
    tmp_path: Path, temporary: Path, linked: None
) -> None:
    with pytest.raises(UserError) as refused:
        with Checkpoints(tmp_path / ODD, 0, "data") as checkpoints:
            save(checkpoints, 1)
            checkpoints._manager.wait_until_finished()
            link = checkpoints._plain.path
            link.unlink()
            link.mkdir()  # as Orbax does where a link is cleaned while it saves
            save(checkpoints, 2)
    assert str(link) in str(refused.value) and ODD in str(refused.value)
    assert names(tmp_path / ODD) == ["1"] and link.is_dir()


@pytest.mark.parametrize("name", [ODD, "usual"])
def test_folder_that_is_moved_while_one_saves_is_named(
    tmp_path: Path, name: str
) -> None:
    folder, moved = tmp_path / name / "checkpoints", tmp_path / "moved"
    folder.parent.mkdir()
    with pytest.raises(UserError, match=r"checkpoints.*is no(t there| longer)"):
        with Checkpoints(folder, 0, "data") as checkpoints:
            save(checkpoints, 1)
            checkpoints._manager.wait_until_finished()
            folder.rename(moved)
    assert names(moved) == ["1"]

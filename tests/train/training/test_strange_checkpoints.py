"""Checkpoints from strangers: what Orbax would wait for is refused."""

from __future__ import annotations

import os
from pathlib import Path

import jax.numpy as jnp
import pytest
from flax import nnx

from train.common.errors import UserError
from train.training.checkpoint import Checkpoints
from train.training.step import TrainState

from ..standins import STATE

PARTS = ("position/metadata", "_CHECKPOINT_METADATA", "state/_METADATA")


@pytest.fixture
def state() -> TrainState:
    """A state of a few numbers."""
    return STATE._replace(params=nnx.State({"kernel": nnx.Param(jnp.arange(6.0))}))


def saved(folder: Path, state: TrainState, *steps: int) -> None:
    with Checkpoints(folder, 0, "data") as checkpoints:
        for step in steps:
            checkpoints.save(state._replace(step=jnp.int32(step)), 7.0)


@pytest.mark.parametrize("name", [*PARTS, "state/manifest.ocdbt"])
def test_pipes_in_a_checkpoint_are_not_waited_for(
    state: TrainState, tmp_path: Path, name: str
) -> None:
    saved(tmp_path, state, 1)
    (tmp_path / "1" / "manifest.json").unlink()
    (tmp_path / "1" / name).unlink()
    os.mkfifo(tmp_path / "1" / name)
    with pytest.raises(UserError, match=f"1/{name} is a pipe"):
        Checkpoints(tmp_path, 0, "data")


def test_folder_of_checkpoints_may_be_a_link(state: TrainState, tmp_path: Path) -> None:
    saved(tmp_path / "disk", state, 1)
    link = tmp_path / "checkpoints"
    link.symlink_to(tmp_path / "disk")
    with Checkpoints(link, 0, "data") as checkpoints:
        assert checkpoints.restore(state)
    (link / "1").rename(tmp_path / "1")
    (link / "1").symlink_to(tmp_path / "1")
    with pytest.raises(UserError, match="1 is a link to a folder"):
        Checkpoints(link, 0, "data")

"""Checkpoints from strangers: what Orbax would wait for is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jax.numpy as jnp
import pytest
import tensorstore
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
    with pytest.raises(UserError, match="1 is a link, to"):
        Checkpoints(link, 0, "data")


@pytest.mark.parametrize("name", [*PARTS, "state/d"])
def test_files_of_a_checkpoint_are_not_read_by_a_link(
    state: TrainState, tmp_path: Path, name: str
) -> None:
    saved(tmp_path / "kept", state, 1)
    place = tmp_path / "kept" / "1" / name
    if place.is_dir():
        place = next(place.iterdir())
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=f"{place} is a link, to .*elsewhere"):
        Checkpoints(tmp_path / "kept", 0, "data")


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("text", ["[]", "{", '{"metrics": 5}', "[" * 100_000])
def test_damaged_json_of_a_checkpoint_costs_that_one_alone(
    state: TrainState, tmp_path: Path, name: str, text: str
) -> None:
    saved(tmp_path, state, 1, 2)
    (tmp_path / "2" / name).write_text(text)
    with Checkpoints(tmp_path, 0, "data") as checkpoints:
        restored = checkpoints.restore(state)
    assert restored and int(restored.state.step) == 1


def test_renamed_checkpoint_is_named(state: TrainState, tmp_path: Path) -> None:
    saved(tmp_path, state, 1)
    (tmp_path / "1").rename(tmp_path / "7")
    with Checkpoints(tmp_path, 0, "data") as checkpoints:
        with pytest.raises(UserError, match="7 holds step 1: it was renamed"):
            checkpoints.restore(state)


def test_array_is_not_unpacked_from_larger_pieces(
    state: TrainState, tmp_path: Path
) -> None:
    saved(tmp_path, state, 1)
    (tmp_path / "1" / "manifest.json").unlink()
    base = f"file://{tmp_path}/1/state/"
    store = tensorstore.KvStore.open({"driver": "ocdbt", "base": base}).result()
    (key,) = (k for k in store.list().result() if b"kernel" in k and b".zarray" in k)
    described = json.loads(store.read(key).result().value)
    described["chunks"] = [2**40]
    store.write(key, json.dumps(described).encode()).result()
    with Checkpoints(tmp_path, 0, "data") as checkpoints:
        with pytest.raises(UserError, match=r"kernel.*\(6,\) is stored in pieces of"):
            checkpoints.restore(state)

"""Checkpoints: whole, or not there."""

import resource
import signal
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from train.common.errors import UserError
from train.training import manifest
from train.training.checkpoint import Checkpoints
from train.training.step import TrainState, make_state

from ..conftest import CLASSES, MakeConfig
from ..names import HOSTILE
from ..standins import STATE


def test_interruption_leaves_what_is_being_saved_whole(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, state = make_state(make_config(), CLASSES, seed=0)
    with Checkpoints(tmp_path, 0, "data") as checkpoints:
        save = checkpoints._manager.save

        def interrupted(*arguments: Any, **options: Any) -> Any:
            signal.raise_signal(signal.SIGINT)
            return save(*arguments, **options)

        monkeypatch.setattr(checkpoints._manager, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            checkpoints.save(state, 7.0)
    with Checkpoints(tmp_path, 0, "data") as checkpoints:
        restored = checkpoints.restore(state)
    assert restored is not None and restored[1] == 7.0
    jax.tree.map(np.testing.assert_array_equal, restored[0].params, state.params)


@pytest.fixture
def small() -> TrainState:
    """A state of a few numbers."""
    params = nnx.State({"kernel": nnx.Param(jnp.arange(6.0))})
    return STATE._replace(params=params)


@pytest.mark.parametrize("name", HOSTILE)
def test_folder_of_any_name_is_restored_from(
    small: TrainState, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / name
    with Checkpoints(folder, 0, "data") as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(small._replace(step=jnp.int32(step)), 7.0)
    with Checkpoints(folder, 0, "data") as checkpoints:
        restored = checkpoints.restore(small)
    assert restored is not None and int(restored[0].step) == 3
    assert {path.name for path in folder.iterdir()} == {"2", "3"}


@pytest.mark.parametrize("abstract", [True, False])
@pytest.mark.parametrize("elsewhere", ["another", "gone"])
def test_state_comes_to_the_device_that_is_here(
    small: TrainState, tmp_path: Path, elsewhere: str, abstract: bool
) -> None:
    there = jax.device_put(small, jax.devices()[3])
    with Checkpoints(tmp_path, 0, "data") as checkpoints:
        checkpoints.save(there, 7.0)
    if elsewhere == "gone":
        for path in tmp_path.rglob("_sharding"):
            path.write_text(path.read_text().replace("cpu:3", "cuda:0"))
        manifest.write_manifest(tmp_path / "0")
    here = jax.devices()[0 if abstract else 1]
    like = jax.eval_shape(lambda: small) if abstract else jax.device_put(small, here)
    with Checkpoints(tmp_path, 0, "data") as checkpoints:
        restored = checkpoints.restore(like)
    assert restored is not None
    for leaf in jax.tree.leaves(restored[0]):
        assert leaf.devices() == {here}
    jax.tree.map(np.testing.assert_array_equal, restored[0].params, small.params)


@pytest.mark.parametrize("sharded", [True, False])
def test_state_of_several_devices_comes_to_one(
    small: TrainState, tmp_path: Path, sharded: bool
) -> None:
    mesh = jax.make_mesh((2,), ("x",), devices=jax.devices()[:2])
    places = jax.P("x") if sharded else jax.P()
    params = jax.device_put(small.params, jax.NamedSharding(mesh, places))
    with Checkpoints(tmp_path, 0, "data") as checkpoints:
        checkpoints.save(small._replace(params=params), 7.0)
    with Checkpoints(tmp_path, 0, "data") as checkpoints:
        restored = checkpoints.restore(jax.eval_shape(lambda: small))
    assert restored is not None
    (kernel,) = jax.tree.leaves(restored[0].params)
    assert kernel.devices() == {jax.devices()[0]}
    np.testing.assert_array_equal(kernel, np.arange(6.0))


def test_replicas_that_drift_apart_are_saved_as_the_first(
    small: TrainState, tmp_path: Path
) -> None:
    """Those of one process here, as those of several with different CPUs."""
    mesh = jax.make_mesh((2,), ("x",), devices=jax.devices()[:2])
    drifted = jax.make_array_from_single_device_arrays(
        (6,),
        jax.NamedSharding(mesh, jax.P()),
        [jax.device_put(jnp.arange(6.0) + i, jax.devices()[i]) for i in range(2)],
    )
    params = nnx.State({"kernel": nnx.Param(drifted)})
    with Checkpoints(tmp_path, 0, "data") as checkpoints:
        checkpoints.save(small._replace(params=params), 7.0)
    with Checkpoints(tmp_path, 0, "data") as checkpoints:
        restored = checkpoints.restore(jax.eval_shape(lambda: small))
    assert restored is not None
    (found,) = jax.tree.leaves(restored.state.params)
    np.testing.assert_array_equal(found, np.arange(6.0))


def save_steps(folder: Path, small: TrainState, *steps: int) -> None:
    noise = np.random.default_rng(0).random(1 << 14).astype(np.float32)
    with Checkpoints(folder, 0, "data", config="abc") as checkpoints:
        for step in steps:
            state = small._replace(step=jnp.int32(step), centers=jnp.array(noise))
            checkpoints.save(state, 7.0)


def open_again(folder: Path) -> Checkpoints:
    return Checkpoints(folder, 0, "data", config="abc")


def large(small: TrainState) -> TrainState:
    return small._replace(centers=jnp.zeros(1 << 14))


def flip(path: Path, place: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 0x40
    path.write_bytes(content)


def files_of(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(found, key=lambda path: path.stat().st_size)


@pytest.mark.parametrize("manifested", [True, False])
@pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
def test_flipped_bit_is_noticed(
    small: TrainState, tmp_path: Path, place: float, manifested: bool
) -> None:
    save_steps(tmp_path, small, 1)
    if not manifested:
        (tmp_path / "1" / manifest.MANIFEST).unlink()
    flip(files_of(tmp_path / "1")[-1], place)
    with open_again(tmp_path) as checkpoints:
        with pytest.raises(UserError, match="1 is damaged: (.|\n)*No other checkpoint"):
            checkpoints.restore(large(small))


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "junk"])
def test_the_checkpoint_before_a_damaged_one_is_taken(
    small: TrainState, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture
) -> None:
    save_steps(tmp_path, small, 1, 2)
    largest = files_of(tmp_path / "2")[-1]
    if damage == "flip":
        flip(largest, 0.5)
    elif damage == "cut":
        largest.write_bytes(largest.read_bytes()[:-7])
    elif damage == "remove":
        largest.unlink()
    else:
        (path,) = (tmp_path / "2").rglob("position/metadata")
        path.write_text("junk")
    with open_again(tmp_path) as checkpoints:
        restored = checkpoints.restore(large(small))
        assert restored is not None and int(restored[0].step) == 1
        printed = capsys.readouterr().out
        assert f"{tmp_path / '2'} " in printed and "step 1 is taken" in printed
        assert {path.name for path in tmp_path.iterdir()} == {"1", "2"}
        # What comes after replaces it, and it is kept aside.
        checkpoints.save(large(small)._replace(step=jnp.int32(2)), 9.0)
    with open_again(tmp_path) as checkpoints:
        restored = checkpoints.restore(large(small))
    assert restored is not None and (int(restored[0].step), restored[1]) == (2, 9.0)
    first, second, aside = sorted(path.name for path in tmp_path.iterdir())
    assert (first, second) == ("1", "2") and aside.startswith("damaged-2-")
    assert not capsys.readouterr().out


def test_folders_too_deep_for_a_checkpoint_are_damage(tmp_path: Path) -> None:
    """Python's own walk ends in a recursion there."""
    manifest.write_manifest(tmp_path)
    Path(tmp_path, *["d"] * 70).mkdir(parents=True)
    assert "more than 64 deep" in manifest.damage(tmp_path)


def test_every_checkpoint_has_a_manifest(small: TrainState, tmp_path: Path) -> None:
    with open_again(tmp_path) as checkpoints:
        for step in (1, 2):
            checkpoints.save(large(small)._replace(step=jnp.int32(step)), 7.0)
        assert (tmp_path / "1" / manifest.MANIFEST).is_file()
    assert (tmp_path / "2" / manifest.MANIFEST).is_file()


def test_no_flipped_bit_gives_another_state(
    small: TrainState, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    save_steps(tmp_path, small, 1, 2)
    with open_again(tmp_path) as checkpoints:
        wanted = checkpoints.restore(large(small))
    assert wanted is not None
    random = np.random.default_rng(0)
    for path in files_of(tmp_path / "2"):
        whole = path.read_bytes()
        for place in random.random(min(8, len(whole))):
            flip(path, place)
            with open_again(tmp_path) as checkpoints:
                found = checkpoints.restore(large(small))
            path.write_bytes(whole)
            assert found is not None
            if int(found[0].step) == 1:
                assert "step 1 is taken" in capsys.readouterr().out
            else:
                jax.tree.map(np.testing.assert_array_equal, found[0], wanted[0])
                assert found[1] == wanted[1]


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ((1, "data", "abc"), "seed 0, but this run has 1: config.json has another"),
        ((0, "other", "abc"), "fingerprint 'data', .*'other': the data have changed"),
        ((0, "data", "abd"), "config 'abc', .* config.json is not the one"),
    ],
)
def test_checkpoint_of_another_run_is_named(
    small: TrainState, tmp_path: Path, others: tuple[int, str, str], said: str
) -> None:
    save_steps(tmp_path, small, 1, 2)
    seed, data, config = others
    with Checkpoints(tmp_path, seed, data, config=config) as checkpoints:
        with pytest.raises(UserError, match=f"2 was saved with {said}"):
            checkpoints.restore(large(small))


@pytest.mark.parametrize("waiting", [True, False])
def test_full_disk_keeps_the_checkpoints_before(
    small: TrainState, tmp_path: Path, waiting: bool
) -> None:
    noise = np.random.default_rng(0).random(1 << 18)
    large = small._replace(step=jnp.int32(2), centers=jnp.array(noise))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.raises(UserError) as raised:
        with Checkpoints(tmp_path, 0, "data") as checkpoints:
            checkpoints.save(small._replace(step=jnp.int32(1)), 7.0)
            checkpoints._manager.wait_until_finished()
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 17, before[1]))
            try:
                checkpoints.save(large, 7.0)
                if waiting:
                    checkpoints.save(large._replace(step=jnp.int32(3)), 7.0)
                else:
                    checkpoints.__exit__(None, None, None)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
    message = str(raised.value)
    assert f"{tmp_path}: a checkpoint could not be saved (File too large)" in message
    assert "goes on from step 1" in message
    with Checkpoints(tmp_path, 0, "data") as checkpoints:
        restored = checkpoints.restore(small)
    assert restored is not None and int(restored[0].step) == 1


def test_save_is_not_waited_for_where_a_process_of_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = RuntimeError("Gloo AllReduce failed")
    closed: list[str] = []
    checkpoints = Checkpoints(tmp_path, 0, "data")
    for count in (1, 2):
        monkeypatch.setattr("jax.process_count", lambda count=count: count)
        for error in (gone, RuntimeError("another"), None):
            told = f"{count} {error}"
            monkeypatch.setattr(
                checkpoints._manager, "close", lambda told=told: closed.append(told)
            )
            checkpoints.__exit__(None, error, None)
    assert closed == [f"1 {gone}", "1 another", "1 None", "2 another", "2 None"]

"""The moving average of the network: how it moves, where it is used, what keeps it."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from train.config import Config, load_config
from train.data.images import Example
from train.evaluation.spread import replicas
from train.training.average import Average
from train.training.checkpoint import Checkpoints
from train.training.finiteness import FAULT
from train.training.initial_weights import with_weights
from train.training.step import TrainState, abstract_state, make_state, make_step
from train.workdir.run import Run
from train.workdir.trained import Trained, load_run, load_trained, save_trained

from ..conftest import CLASSES, MakeConfig
from ..programs import OPTIONS, call
from ..standins import STATE
from ..test_recipe import by_path

NETWORK = ("params", "statistics")


@pytest.fixture
def config(make_config: MakeConfig, tiny: str) -> Config:
    return make_config(
        backbone=tiny, kernel_size=3, ema=0.15, optimizer="adamw", learning_rate=1e-2
    )


def networks(state: TrainState) -> list[dict[str, np.ndarray]]:
    """Returns parameters and statistics of the network, and those of its average."""
    return [
        by_path(getattr(holder, part))
        for holder in (state, state.average)
        for part in NETWORK
    ]


def test_average_is_that_by_hand_and_stays_where_a_step_is_left_out(
    config: Config, batch: Example
) -> None:
    graph, state = make_state(config, CLASSES, seed=0)
    step = make_step(graph, config)
    *_, params, statistics = networks(state)
    wanted = params | statistics
    for decay in (0.1, 0.15, 0.15):  # 1/10, and of 2/11 and 3/12 the smaller one
        state, _ = step(state, batch)
        *new, params, statistics = networks(state)
        found = params | statistics
        for name, value in (new[0] | new[1]).items():
            wanted[name] = decay * wanted[name] + (1 - decay) * value
            np.testing.assert_allclose(found[name], wanted[name], rtol=1e-5, atol=1e-7)
            assert not np.array_equal(found[name], value), name
    before = jax.tree.map(np.array, state)
    image = batch.image.astype(np.float32)
    image[0] = np.nan
    after, metrics = step(state, Example(image, batch.label))
    assert int(metrics[FAULT]) > 0
    jax.tree.map(np.testing.assert_array_equal, after.average, before.average)


def test_average_begins_at_the_weights_of_a_file(
    config: Config, tmp_path: Path
) -> None:
    graph, state = make_state(config, CLASSES, seed=1)
    path, colors = tmp_path / "model.safetensors", np.zeros((CLASSES, 3), np.uint8)
    save_trained(Trained(config, ("a", "b", "c"), colors, graph, state), path)
    wanted = state.params
    graph, state = make_state(config, CLASSES, seed=2)
    state = with_weights(state, graph, config.replace(weights=str(path)).model)
    assert state.average is not None
    jax.tree.map(np.testing.assert_array_equal, state.average.params, wanted)


def test_averaged_network_predicts_on_every_device() -> None:
    average = Average(*map(as_state, (3.0, 4.0)))
    state = STATE._replace(params=as_state(1.0), statistics=as_state(2.0))
    for copy in replicas(state._replace(average=average), jax.devices()):
        assert copy.average is None
        for part in ("params", "statistics"):
            found, wanted = getattr(copy, part), getattr(average, part)
            jax.tree.map(np.testing.assert_array_equal, found, wanted)


def as_state(value: float) -> nnx.State:
    return nnx.State({"a": nnx.Param(jnp.full(3, value))})


def test_without_one_checkpoints_hold_what_they_held() -> None:
    names = {"step", "params", "statistics", "centers", "optimizer"}
    assert STATE.saved().keys() == names and STATE.averaged() is STATE


def test_state_is_restored_with_its_average(
    config: Config, batch: Example, tmp_path: Path
) -> None:
    graph, begin = make_state(config, CLASSES, seed=0)
    step = make_step(graph, config)
    half, _ = step(jax.tree.map(jnp.copy, begin), batch)
    with Checkpoints(tmp_path, 0, "data") as checkpoints:
        checkpoints.save(half, 1.0)
    with Checkpoints(tmp_path, 0, "data") as checkpoints:
        restored = checkpoints.restore(abstract_state(config, CLASSES)[1])
    assert restored is not None
    wanted, _ = step(half, batch)
    found, _ = step(restored.state, batch)
    assert found.average is not None
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


def test_run_evaluates_loads_and_exports_its_average(
    folder: Path, tmp_path: Path, tiny: str
) -> None:
    run = tmp_path / "run"
    paths = ("--data", folder, "--prepared", tmp_path / "prepared", "--workdir", run)
    kinds = ("--backbone", tiny, "--ema", 0.9, "--keep-best", "--optimizer", "adam")
    rate = ("--learning-rate", 0.01, "--steps", 6, "--evaluation-batch", 2)
    done = call("main", "demo", *OPTIONS, *paths, *kinds, *rate)
    assert done.returncode == 0, done.stderr
    config = load_config(run / "config.json")
    for checkpoint in ("newest", "best"):
        graph, like = abstract_state(config, CLASSES)
        opened = Run(run)
        known = opened.described().fingerprint, ""
        is_best = checkpoint == "best"
        with opened.open_checkpoints(config, *known, best=is_best) as checkpoints:
            restored = checkpoints.restore(like)
        assert restored is not None
        *network, params, statistics = networks(restored.state)
        loaded = load_run(run, checkpoint)
        save_trained(loaded, tmp_path / "model.safetensors")
        for trained in (loaded, load_trained(tmp_path / "model.safetensors")):
            state = trained.state
            assert state.average is None
            for found, wanted, raw in zip(
                (state.params, state.statistics),
                (params, statistics),
                network,
                strict=True,
            ):
                for name, value in by_path(found).items():
                    np.testing.assert_array_equal(value, wanted[name], err_msg=name)
                    assert not np.array_equal(value, raw[name]), name
    assert call("evaluate", run).returncode == 0
    found, summary = (
        json.loads((run / f"{name}.json").read_text())
        for name in ("evaluation_val", "summary")
    )
    assert found["iou"] == summary["iou"]

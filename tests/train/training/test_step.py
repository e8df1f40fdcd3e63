"""The training step, against an update by hand."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import lal_jax
from train.data.images import Example
from train.data.preprocessing import PREPROCESSINGS
from train.training.held import HeldState
from train.training.network import make_model
from train.training.step import Kept, make_state, make_step

from ..conftest import CLASSES, MakeConfig


def test_step_is_the_update_by_hand(
    make_config: MakeConfig, batch: Example, tiny: str
) -> None:
    config = make_config(backbone=tiny, weight_decay=0.1, momentum=0.5)
    graph, state = make_state(config, CLASSES, seed=0)
    model = make_model(config.model, CLASSES, seed=0)

    def loss(params: nnx.State) -> jax.Array:
        _, _, statistics = nnx.split(model, nnx.Param, ...)  # type: ignore[misc]
        network = nnx.merge(graph, params, statistics, copy=True)
        images = PREPROCESSINGS["imagenet"](jnp.asarray(batch.image))
        logits = network(images, train=True)
        return lal_jax.locally_adaptive_loss(logits, jnp.asarray(batch.label)).mean()

    old = nnx.state(model, nnx.Param)
    value, slope = jax.jit(jax.value_and_grad(loss))(old)
    step = make_step(graph, config)
    first, metrics = step(state, batch)
    assert metrics["loss"] == pytest.approx(float(value), rel=1e-5)

    def expected(weight: jax.Array, gradient: jax.Array) -> jax.Array:
        decay = 0.1 if weight.ndim > 1 else 0.0
        return weight - config.optimizer.learning_rate * (gradient + decay * weight)

    new = jax.tree.map(expected, old, slope)
    for wanted, found in zip(
        jax.tree.leaves(new), jax.tree.leaves(first.params), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_state_in_a_list_takes_the_same_steps(
    make_config: MakeConfig, batch: Example, tiny: str
) -> None:
    config = make_config(backbone=tiny)
    graph, state = make_state(config, CLASSES, seed=0)
    step = make_step(graph, config)
    held = HeldState(step, jax.tree.map(jnp.array, state))
    for _ in range(2):
        state, metrics = step(state, batch)
        found = held.advance(batch)
    jax.tree.map(np.testing.assert_array_equal, found, metrics)
    jax.tree.map(np.testing.assert_array_equal, held.state, state)
    same: Any = jax.tree.structure(held.state)
    assert same == jax.tree.structure(state)


def test_no_container_of_flax_is_passed_from_step_to_step(
    make_config: MakeConfig,
    batch: Example,
    monkeypatch: pytest.MonkeyPatch,
    tiny: str,
) -> None:
    config = make_config(backbone=tiny)
    graph, state = make_state(config, CLASSES, seed=0)
    held = HeldState(make_step(graph, config), state)
    held.advance(batch)
    monkeypatch.setattr(jax.tree, "flatten", None)
    monkeypatch.setattr(jax.tree, "leaves", None)
    monkeypatch.setattr(jax.tree, "unflatten", None)
    held.advance(batch)


def test_gradients_are_laid_out_as_the_parameters(
    make_config: MakeConfig, batch: Example
) -> None:
    config = make_config()
    graph, state = make_state(config, CLASSES, seed=0)
    program = make_step(graph, config).lower(state, batch).as_text()
    assert program.count("@LayoutConstraint") == len(jax.tree.leaves(state.params))


def test_statistics_that_stay_are_not_looked_at(make_config: MakeConfig) -> None:
    frozen = make_config(batch_norm="frozen")
    trained = make_config(batch_norm="trained")
    for config, some in ((frozen, False), (trained, True)):
        _, state = make_state(config, CLASSES, seed=0)
        kept = Kept(state.statistics, state.centers).changed()
        assert bool(jax.tree.leaves(kept.statistics)) == some
        assert jax.tree.leaves(state.statistics)

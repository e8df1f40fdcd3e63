"""The update of a step, and the learning rate by step."""

import jax
import jax.numpy as jnp
import optax
import pytest
from flax import nnx

from train.training.optimizer import (
    kernels,
    learning_rate,
    make_optimizer,
)
from train.training.step import make_state

from ..conftest import CLASSES, MakeConfig


def test_kernels_decay_and_nothing_else(make_config: MakeConfig) -> None:
    _, state = make_state(make_config(), CLASSES, seed=0)
    flat = nnx.to_flat_state(kernels(state.params))
    decayed = {path[-1] for path, leaf in flat if leaf.get_value()}
    kept = {path[-1] for path, leaf in flat if not leaf.get_value()}
    assert decayed == {"kernel"} and kept == {"bias", "scale"}


def test_rate_falls_as_a_power(make_config: MakeConfig) -> None:
    config = make_config(steps=100, learning_rate=2.0, poly_power=0.9)
    schedule = learning_rate(config.optimizer)
    for step in (0, 10, 50, 99):
        expected = 2.0 * (1 - step / 100) ** 0.9
        assert float(schedule(step)) == pytest.approx(expected, rel=1e-5)


def test_long_gradients_are_cut(make_config: MakeConfig) -> None:
    config = make_config(
        max_gradient_norm=0.5, momentum=0.0, learning_rate=1.0, weight_decay=0.0
    )
    optimizer = make_optimizer(config.optimizer)
    params = nnx.State({"kernel": nnx.Param(jnp.zeros((2, 2)))})
    slope = jax.tree.map(lambda kernel: jnp.full_like(kernel, 3.0), params)
    update, _ = optimizer.update(slope, optimizer.init(params), params)
    assert float(optax.tree.norm(update)) == pytest.approx(0.5)

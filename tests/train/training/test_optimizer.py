"""The update of a step, and the learning rate by step."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from train.training.optimizer import (
    SCHEDULES,
    OptimizerOptions,
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


def rates(**options: Any) -> list[float]:
    """Returns the learning rate of every step, and of the one after the last."""
    asked = OptimizerOptions(**{"steps": 40, "learning_rate": 2.0, **options})
    schedule = learning_rate(asked)
    return [float(schedule(jnp.int32(step))) for step in range(asked.steps + 1)]


def test_power_without_warmup_is_optax_s_to_the_bit() -> None:
    expected = optax.polynomial_schedule(2.0, 0.0, 0.7, 40)
    assert rates(poly_power=0.7) == [float(expected(jnp.int32(s))) for s in range(41)]


def test_cosine_falls_by_half_a_wave() -> None:
    expected = 1 + np.cos(np.pi * np.arange(41) / 40)
    np.testing.assert_allclose(rates(schedule="cosine"), expected, rtol=1e-5, atol=1e-6)


def test_constant_stays() -> None:
    assert set(rates(schedule="constant")) == {2.0}


@pytest.mark.parametrize(
    ("schedule", "fallen"),
    [
        ("poly", lambda share: (1 - share) ** 0.9),
        ("cosine", lambda share: (1 + np.cos(np.pi * share)) / 2),
        ("constant", np.ones_like),
    ],
)
def test_warmup_rises_and_joins_the_schedule(
    schedule: str, fallen: Callable[[np.ndarray], np.ndarray]
) -> None:
    found = np.array(rates(schedule=schedule, warmup=8))
    rise = 2 * np.arange(1, 10) / 9  # above 0 at the first step, the highest at step 8
    np.testing.assert_allclose(found[:9], rise, rtol=1e-6)
    after = np.arange(33) / 32
    np.testing.assert_allclose(found[8:], 2 * fallen(after), rtol=1e-5, atol=1e-6)
    assert found.argmax() == 8 and found.max() == 2


def test_every_schedule_is_tested() -> None:
    assert list(SCHEDULES) == ["poly", "cosine", "constant"]


def test_updates_follow_the_warmup() -> None:
    options = OptimizerOptions(
        steps=9, warmup=3, schedule="cosine", momentum=0.0, weight_decay=0.0
    )
    optimizer, schedule = make_optimizer(options), learning_rate(options)
    params = nnx.State({"kernel": nnx.Param(jnp.zeros((2, 2)))})
    memory, slope = optimizer.init(params), jax.tree.map(jnp.ones_like, params)
    for step in range(6):
        update, memory = optimizer.update(slope, memory, params)
        (found,) = jax.tree.leaves(update)
        np.testing.assert_allclose(found, -float(schedule(step)), rtol=1e-6)

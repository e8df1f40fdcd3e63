"""The step: what it updates, by how much, and when it stops."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import lal_jax
from train.common.errors import UserError
from train.config import Config
from train.data.images import Example
from train.data.preprocessing import PREPROCESSINGS
from train.training.loop import Stopwatch, train
from train.training.losses import LOSSES
from train.training.network import make_model
from train.training.optimizer import kernels, learning_rate, make_optimizer
from train.training.step import TrainState, make_state, make_step

from ..conftest import CLASSES, MakeConfig


def test_step_is_the_update_by_hand(make_config: MakeConfig, batch: Example) -> None:
    config = make_config(weight_decay=0.1, momentum=0.5)
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


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_learns_one_batch(
    name: str, make_config: MakeConfig, batch: Example
) -> None:
    config = make_config(
        loss=name, steps=12, learning_rate=0.3, max_gradient_norm=0.1, kernel_size=3
    )
    # Striped labels that the image shows, so that there is something to learn.
    image = np.broadcast_to(batch.label[..., None] % 4 * 60, batch.image.shape)
    shown = Example(image.astype(np.uint8), batch.label)
    graph, state = make_state(config, CLASSES, seed=0)
    step = make_step(graph, config)
    losses = []
    for _ in range(12):
        state, metrics = step(state, shown)
        losses.append(float(metrics["loss"]))
    assert losses[-1] < losses[0]
    assert int(state.step) == 12


def run_loop(config: Config, losses: list[float]) -> list[tuple[int, str]]:
    """Runs the loop on a step that reports the given losses; returns what it logged."""
    logged: list[tuple[int, str]] = []
    state = TrainState(
        jnp.int32(0), nnx.State({}), nnx.State({}), jnp.zeros((3, 3)), ()
    )
    values = iter(losses)

    def step(
        state: TrainState, batch: Example
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        return state._replace(step=state.step + 1), {"loss": jnp.array(next(values))}

    def log(step: int, split: str, **metrics: float) -> None:
        logged.append((step, split))

    def save(state: TrainState, seconds: float) -> None:
        logged.append((int(state.step), "saved"))

    blank = Example(np.zeros(1, np.uint8), np.zeros(1, np.uint8))
    batches = iter([blank] * config.optimizer.steps)
    train(
        state,
        step,
        batches,
        config.optimizer,
        config.run,
        log=log,
        evaluate=lambda state: {"mean_iou": 0.5},
        save=save,
    )
    return logged


def test_loop_logs_evaluates_and_saves_in_time(make_config: MakeConfig) -> None:
    config = make_config(log_every=2, evaluate_every=2, checkpoint_every=3, steps=5)
    assert run_loop(config, [1.0] * 5) == [
        (2, "train"),
        (2, "val"),
        (3, "saved"),
        (4, "train"),
        (4, "val"),
        (5, "train"),
        (5, "saved"),
    ]


@pytest.mark.parametrize("bad", [0, 3, 5])
def test_loss_that_is_not_finite_stops_the_run(
    make_config: MakeConfig, bad: int
) -> None:
    config = make_config(log_every=100, checkpoint_every=100, evaluate_every=100)
    losses = [1.0] * 6
    losses[bad] = float("nan")
    with pytest.raises(UserError, match=f"nan at step {bad + 1}.*--learning-rate"):
        run_loop(dataclasses.replace(config), losses)


def test_stopwatch_leaves_pauses_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    watch = Stopwatch(seconds=10.0)
    now[0] = 2.0
    assert watch.lap(4) == 0.0  # the first lap compiles
    with watch.paused():
        now[0] = 7.0
    now[0] = 9.0
    assert watch.seconds() == 14.0
    assert watch.lap(8) == 2.0

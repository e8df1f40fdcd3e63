"""The step: what it updates, by how much, and when it stops."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from train.common.errors import UserError
from train.config import Config
from train.data.images import Example
from train.training.finiteness import FAULT
from train.training.loop import Stopwatch, train
from train.training.step import TrainState

from ..conftest import MakeConfig


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
        value = next(values)
        fault = jnp.array(0 if np.isfinite(value) else 1)
        metrics = {"loss": jnp.array(value), FAULT: fault}
        return state._replace(step=state.step + 1), metrics

    def log(step: int, split: str, **metrics: float) -> None:
        logged.append((step, split))

    def save(state: TrainState, seconds: float, skipped: int) -> None:
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
        batch_told=lambda step: f"Batch {step}.",
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


def test_last_step_is_left_to_the_final_evaluation(make_config: MakeConfig) -> None:
    config = make_config(log_every=4, evaluate_every=2, checkpoint_every=4, steps=4)
    logged = run_loop(config, [1.0] * 4)
    assert logged == [(2, "val"), (4, "train"), (4, "saved")]


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

"""Stops of the loop: what is saved, and what the next start owes."""

import signal
from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from train.common.signals import Terminated
from train.config import Config
from train.data.images import Example
from train.training.finiteness import FAULT
from train.training.loop import train
from train.training.step import TrainState

from ..common.test_signals import handlers
from ..conftest import MakeConfig
from ..standins import STATE

__all__ = ["handlers"]  # a fixture

Told = list[tuple[int, str]]


def no_signal(done: int) -> None:
    """Leaves a run alone."""


def run(
    config: Config,
    start: int = 0,
    *,
    at_step: Callable[[int], None] = no_signal,
    at_batch: Callable[[int], None] = no_signal,
    at_evaluation: Callable[[int], None] = no_signal,
    losses: dict[int, float] | None = None,
    **options: Any,
) -> Told:
    """Runs the loop from a step on and returns what it did, also where it stops."""
    told: Told = []
    steps = config.optimizer.steps

    def step(state: TrainState, batch: Example) -> tuple[TrainState, dict[str, Any]]:
        done = int(state.step) + 1
        at_step(done)
        loss = (losses or {}).get(done, 1.0)
        fault = jnp.int32(0 if np.isfinite(loss) else 1)
        metrics = {"loss": jnp.float32(loss), FAULT: fault}
        return state._replace(step=jnp.int32(done)), metrics

    def batches() -> Iterator[Example]:
        for done in range(start + 1, steps + 1):
            at_batch(done)
            yield Example(np.zeros(1, np.uint8), np.zeros(1, np.uint8))

    def evaluate(state: TrainState) -> dict[str, float]:
        at_evaluation(int(state.step))
        return {"mean_iou": 0.5}

    def save(state: TrainState, seconds: float, skipped: int) -> None:
        told.append((int(state.step), f"saved {skipped}"))

    begin = STATE._replace(step=jnp.int32(start))
    try:
        train(
            begin,
            step,
            batches(),
            config.optimizer,
            config.run,
            log=lambda step, split, **metrics: told.append((step, split)),
            evaluate=evaluate,
            save=save,
            batch_told=lambda step: "",
            **options,
        )
    except BaseException as error:
        told.append((-1, type(error).__name__))
    return told


def on(wanted: int, number: signal.Signals = signal.SIGTERM) -> Callable[[int], None]:
    """Returns what raises a signal at a step."""
    return lambda done: signal.raise_signal(number) if done == wanted else None


@pytest.fixture
def config(make_config: MakeConfig) -> Config:
    return make_config(log_every=100, evaluate_every=3, checkpoint_every=4, steps=8)


def test_stop_saves_the_step_in_flight(config: Config) -> None:
    stopped = (2, "saved 0"), (-1, "Terminated")
    assert run(config, at_step=on(2)) == [*stopped]
    assert run(config, at_batch=on(2)) == [*stopped]
    told = run(config, at_step=on(2, signal.SIGINT))
    assert told == [(2, "saved 0"), (-1, "KeyboardInterrupt")]


def test_stop_at_a_checkpoint_saves_once(config: Config) -> None:
    told = run(config, at_step=on(4))
    assert told == [(3, "val"), (4, "saved 0"), (-1, "Terminated")]
    told = run(config, start=6, at_step=on(8))
    assert told == [(8, "train"), (8, "saved 0"), (-1, "Terminated")]


def test_stop_during_an_evaluation_saves_and_the_next_start_evaluates(
    config: Config,
) -> None:
    told = run(config, at_evaluation=on(3))
    assert told == [(3, "saved 0"), (-1, "Terminated")]
    told = run(config, start=3, evaluated=False, at_step=on(4))
    assert told == [(3, "val"), (4, "saved 0"), (-1, "Terminated")]
    told = run(config, start=3, evaluated=False, at_evaluation=on(3))
    assert told == [(-1, "Terminated")]
    told = run(config, start=3, evaluated=True, at_step=on(4))
    assert told == [(4, "saved 0"), (-1, "Terminated")]
    told = run(config, start=4, evaluated=False, at_step=on(5))  # none was due
    assert told == [(5, "saved 0"), (-1, "Terminated")]


def test_interruption_of_another_s_making_is_not_swallowed(config: Config) -> None:
    def interrupted(done: int) -> None:
        raise KeyboardInterrupt

    assert run(config, at_evaluation=interrupted) == [(-1, "KeyboardInterrupt")]


def test_step_that_is_not_finite_is_neither_saved_nor_evaluated(
    make_config: MakeConfig,
) -> None:
    often = make_config(log_every=100, evaluate_every=2, checkpoint_every=1, steps=6)
    told = run(often, losses={2: np.nan})
    assert told == [(1, "saved 0"), (-1, "Diverged")]
    rarely = make_config(log_every=100, evaluate_every=2, checkpoint_every=100, steps=6)
    assert run(rarely, losses={2: np.nan}) == [(-1, "Diverged")]
    told = run(rarely, losses={3: np.nan}, at_step=on(3))
    assert told == [(2, "val"), (-1, "Diverged")]


def test_skipped_steps_are_counted_through_a_resume(make_config: MakeConfig) -> None:
    config = make_config(
        log_every=100, evaluate_every=100, checkpoint_every=2, steps=6, skip_nonfinite=2
    )
    losses = {2: np.inf, 4: np.nan}
    told = run(config, losses=losses)
    saved = [(2, "saved 1"), (4, "saved 2"), (6, "train"), (6, "saved 2")]
    assert told == saved
    assert run(config, start=2, losses=losses, skipped=1) == saved[1:]
    assert run(config, start=2, losses=losses, skipped=2) == [(-1, "Diverged")]


def test_terminated_is_a_kind_of_interruption() -> None:
    assert issubclass(Terminated, KeyboardInterrupt)

"""Every loss in a training step, which is compiled once for all that it must do."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from train.config import Config
from train.data.dataset import load_dataset
from train.data.images import Example
from train.training.checkpoint import Checkpoints
from train.training.finiteness import FAULT, all_finite
from train.training.losses import LOSSES
from train.training.step import Step, TrainState, make_state, make_step

from ..conftest import CLASSES, MakeConfig, batches_of

STEPS = 12


class Training(NamedTuple):
    """A loss's step, and the state before the first."""

    step: Step
    begin: TrainState


@pytest.fixture(scope="module", params=LOSSES)
def training(request: pytest.FixtureRequest, tiny: str) -> Training:
    config = Config().replace(
        backbone=tiny,
        dilations=(1, 2),
        crop=(32, 32),
        batch_size=2,
        loss=request.param,
        steps=STEPS,
        learning_rate=0.3,
        max_gradient_norm=0.1,
        kernel_size=3,
    )
    graph, begin = make_state(config, CLASSES, seed=0)
    return Training(make_step(graph, config), begin)


def floats(batch: Example) -> Example:
    """The same in float32, which can be NaN, so that one program takes all."""
    return Example(batch.image.astype(np.float32), batch.label)


def run(step: Step, state: TrainState, batches: Sequence[Example]) -> TrainState:
    state = jax.tree.map(jnp.copy, state)
    for batch in batches:
        state, _ = step(state, batch)
    return state


def test_it_learns_one_batch(training: Training, batch: Example) -> None:
    # Striped labels that the image shows, so that there is something to learn.
    image = np.broadcast_to(batch.label[..., None] % 4 * 60, batch.image.shape)
    shown = Example(image.astype(np.float32), batch.label)
    state = jax.tree.map(jnp.copy, training.begin)
    losses = []
    for _ in range(STEPS):
        state, metrics = training.step(state, shown)
        losses.append(float(metrics["loss"]))
    assert losses[-1] < losses[0]
    assert int(state.step) == STEPS


def test_it_resumes_exactly_and_survives_void_and_nan(
    training: Training, make_config: MakeConfig, tmp_path: Path
) -> None:
    step, begin = training
    config = make_config(steps=4)
    source = load_dataset(config.data).train
    batches = [floats(batch) for batch in batches_of(source, config)]
    wanted = run(step, begin, batches)
    half = run(step, begin, batches[:2])
    with Checkpoints(tmp_path / "kept", 0, "data") as checkpoints:
        checkpoints.save(half, 1.0)
    with Checkpoints(tmp_path / "kept", 0, "data") as checkpoints:
        restored = checkpoints.restore(begin)
    assert restored is not None
    again = batches_of(load_dataset(config.data).train, config, start=2)
    found = run(step, restored.state, [floats(batch) for batch in again])
    jax.tree.map(np.testing.assert_array_equal, found, wanted)

    void = Example(batches[0].image, np.full_like(batches[0].label, 255))
    after, metrics = step(jax.tree.map(jnp.copy, half), void)
    assert int(metrics[FAULT]) == 0 and all_finite(after)
    bad = floats(batches[0])
    bad.image[0] = np.nan
    after, metrics = step(jax.tree.map(jnp.copy, half), bad)
    assert int(metrics[FAULT]) > 0
    for new, old in zip(jax.tree.leaves(after), jax.tree.leaves(half), strict=True):
        counts = jnp.issubdtype(old.dtype, jnp.integer)
        np.testing.assert_array_equal(new, old + 1 if counts else old)

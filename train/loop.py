"""The training loop: a pure step, compiled once, and what surrounds it."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from tqdm import tqdm

from models.deeplab import DeepLab
from train.config import Config
from train.data import Example
from train.errors import Diverged
from train.losses import LOSSES, initial_centers, shrink_labels
from train.network import make_model, split_model, training_outputs
from train.optimizer import learning_rate, make_optimizer
from train.preprocessing import PREPROCESSINGS

Step = Callable[["TrainState", Example], tuple["TrainState", dict[str, jax.Array]]]


class TrainState(NamedTuple):
    """Everything a step changes."""

    step: jax.Array  # int32 []
    params: nnx.State
    statistics: nnx.State  # running means and variances of batch norm
    centers: jax.Array  # of the classes [classes, depth], for the center loss
    optimizer: optax.OptState


def make_state(
    config: Config, classes: int
) -> tuple[nnx.GraphDef[DeepLab], TrainState]:
    """Returns the network's structure and the state of step 0."""
    model = make_model(config, classes)
    graph, params, statistics = split_model(model)
    optimizer = make_optimizer(config).init(params)
    centers = initial_centers(config, model)
    return graph, TrainState(jnp.int32(0), params, statistics, centers, optimizer)


def abstract_state(
    config: Config, classes: int
) -> tuple[nnx.GraphDef[DeepLab], TrainState]:
    """Returns what `make_state` does with shapes in place of arrays, at no cost."""
    model = nnx.eval_shape(lambda: make_model(config, classes))
    graph, params, statistics = split_model(model)
    optimizer = jax.eval_shape(make_optimizer(config).init, params)
    centers = jax.eval_shape(lambda: initial_centers(config, model))
    step = jax.eval_shape(lambda: jnp.int32(0))
    return graph, TrainState(step, params, statistics, centers, optimizer)


def make_step(graph: nnx.GraphDef[DeepLab], config: Config) -> Step:
    """Returns the compiled step `(state, batch) → (state, metrics)`.

    It consumes the state it is given.
    """
    loss = LOSSES[config.loss](config)
    preprocess = PREPROCESSINGS[config.preprocessing]
    optimizer, schedule = make_optimizer(config), learning_rate(config)

    def batch_loss(
        params: nnx.State, kept: Kept, batch: Example
    ) -> tuple[jax.Array, Kept]:
        model = nnx.merge(graph, params, kept.statistics, copy=True)
        images = preprocess(jnp.asarray(batch.image))
        total, centers = jnp.float32(0), kept.centers
        for outputs in training_outputs(model, images, config):
            labels = shrink_labels(jnp.asarray(batch.label), outputs.logits.shape[1:3])
            losses, centers = loss(outputs, labels, centers)
            total += jnp.mean(losses)
        return total, Kept(nnx.state(model, nnx.BatchStat), centers)

    gradient = _in_parts(
        jax.value_and_grad(batch_loss, has_aux=True), config.accumulation
    )

    def step(
        state: TrainState, batch: Example
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        kept = Kept(state.statistics, state.centers)
        (value, kept), slope = gradient(state.params, kept, batch)
        update, memory = optimizer.update(slope, state.optimizer, state.params)
        params = optax.apply_updates(state.params, update)
        metrics = {"loss": value, "learning_rate": schedule(state.step)}
        return TrainState(state.step + 1, params, *kept, memory), metrics

    return jax.jit(step, donate_argnums=0)


class Kept(NamedTuple):
    """What a step changes beside parameters."""

    statistics: nnx.State
    centers: jax.Array


Gradient = Callable[
    [nnx.State, Kept, Example], tuple[tuple[jax.Array, Kept], nnx.State]
]


def _in_parts(gradient: Gradient, parts: int) -> Gradient:
    """Returns the mean gradient over equal parts of a batch, taken one after the other.

    Losses are means over images, so this is the gradient of the whole batch, but for
    batch norm, which sees a part at a time.
    """
    if parts == 1:
        return gradient

    def mean(
        params: nnx.State, kept: Kept, batch: Example
    ) -> tuple[tuple[jax.Array, Kept], nnx.State]:
        def add(carry: tuple, part: Example) -> tuple[tuple, None]:
            total, slopes, kept = carry
            (value, kept), slope = gradient(params, kept, part)
            return (total + value, jax.tree.map(jnp.add, slopes, slope), kept), None

        pieces = jax.tree.map(lambda x: x.reshape(parts, -1, *x.shape[1:]), batch)
        start = (jnp.float32(0), jax.tree.map(jnp.zeros_like, params), kept)
        (total, slopes, kept), _ = jax.lax.scan(add, start, pieces)
        slopes = jax.tree.map(lambda slope: slope / parts, slopes)
        return (total / parts, kept), slopes

    return mean


class Log(Protocol):
    """Records figures of a step, fractions and seconds."""

    def __call__(self, step: int, split: str, **figures: float) -> None: ...  # noqa: D102


def train(
    state: TrainState,
    step: Step,
    batches: Iterator[Example],
    config: Config,
    *,
    log: Log,
    evaluate: Callable[[TrainState], dict[str, float]],
    save: Callable[[TrainState, float], None],
    seconds: float = 0.0,
) -> tuple[TrainState, float]:
    """Runs the remaining steps.

    Args:
      state: where to begin.
      step: the compiled step; it consumes the state it is given.
      batches: one for each remaining step.
      config: the run's configuration.
      log: called every `log_every` steps and with each evaluation.
      evaluate: the figures of the validation split, `mean_iou` among them.
      save: takes the state and the seconds of training so far.
      seconds: of training before this call.

    Returns:
      The last state, and the seconds of training in all, evaluations left out.

    Raises:
      Diverged: the loss is no longer finite.
    """
    watch = Stopwatch(seconds)
    start = int(state.step)
    pending: tuple[int, jax.Array] | None = None
    progress = tqdm(total=config.steps, initial=start, unit="step", dynamic_ncols=True)
    for done, batch in enumerate(batches, start + 1):
        state, metrics = step(state, jax.device_put(batch))
        if pending is not None:  # of the step before, while this one runs
            _check_finite(*pending, config)
        pending = done, metrics["loss"]
        progress.update()
        if done % config.log_every == 0 or done == config.steps:
            _check_finite(*pending, config)
            figures = {name: float(value) for name, value in metrics.items()}
            postfix = f"loss {figures['loss']:.4f}"
            if rate := watch.lap(done) * config.batch_size:
                figures["images_per_second"] = rate
                postfix += f", {rate:.1f} images/s"
            log(done, "train", **figures)
            progress.set_postfix_str(postfix)
        if done % config.evaluate_every == 0 and done < config.steps:
            with watch.paused():
                result = evaluate(state)
            log(done, "val", **result)
            progress.write(f"step {done}: mean IoU {100 * result['mean_iou']:.1f} %")
        if done % config.checkpoint_every == 0 or done == config.steps:
            save(state, watch.seconds())
    progress.close()
    if config.steps == 0:
        save(state, watch.seconds())
    return state, watch.seconds()


def _check_finite(done: int, loss: jax.Array, config: Config) -> None:
    if not math.isfinite(float(loss)):
        raise Diverged(
            f"the loss is {float(loss)} at step {done}. Lower --learning-rate (now "
            f"{config.learning_rate:g}); checkpoints up to the last are kept.",
            step=done,
        )


class Stopwatch:
    """Measures seconds of training and leaves pauses out.

    Args:
      seconds: measured before.
    """

    def __init__(self, seconds: float = 0.0):
        self._origin = time.perf_counter() - seconds
        self._lap: tuple[int, float] | None = None

    def seconds(self) -> float:
        """Returns the seconds so far."""
        return time.perf_counter() - self._origin

    def lap(self, count: int) -> float:
        """Returns the counts per second since the last lap, or 0 at the first."""
        before, self._lap = self._lap, (count, self.seconds())
        if before is None:  # the first steps compile
            return 0.0
        return (count - before[0]) / (self._lap[1] - before[1])

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stops the watch within the block."""
        began = time.perf_counter()
        yield
        self._origin += time.perf_counter() - began

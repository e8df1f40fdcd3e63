"""The training loop: a pure step, compiled once, and what surrounds it."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from tqdm import tqdm

from models import DeepLab
from train.config import Config
from train.data import Example
from train.errors import UserError
from train.losses import LOSSES, Loss, initial_centers

# ImageNet's mean and standard deviation in RGB, of 255.
_MEAN = (123.675, 116.28, 103.53)
_DEVIATION = (58.395, 57.12, 57.375)

Step = Callable[["TrainState", Example], tuple["TrainState", dict[str, jax.Array]]]


class TrainState(NamedTuple):
    """Everything a step changes."""

    step: jax.Array  # int32 []
    params: nnx.State
    statistics: nnx.State  # running means and variances of batch norm
    centers: jax.Array  # of the classes [classes, depth], for the center loss
    optimizer: optax.OptState


def make_model(config: Config, classes: int) -> DeepLab:
    """Returns the run's network with its initial weights."""
    return DeepLab(
        classes=classes,
        backbone=config.backbone,
        output_stride=config.output_stride,
        rates=config.rates,
        upsampling="learned" if config.upsampling == "learned" else "bilinear",
        rngs=nnx.Rngs(config.seed),
    )


def make_optimizer(config: Config) -> optax.GradientTransformation:
    """Returns SGD with momentum; only kernels decay, through their gradient."""
    return optax.chain(
        optax.identity()
        if config.max_gradient_norm is None
        else optax.clip_by_global_norm(config.max_gradient_norm),
        optax.add_decayed_weights(config.weight_decay, mask=kernels),
        optax.sgd(learning_rate(config), momentum=config.momentum),
    )


def learning_rate(config: Config) -> optax.Schedule:
    """Returns the poly schedule, (1 − step/steps)^power."""
    return optax.polynomial_schedule(
        config.learning_rate, 0.0, config.poly_power, config.steps
    )


def kernels(params: nnx.State) -> Any:
    """Returns True for convolution kernels, False for biases and norms."""
    return jax.tree.map(lambda leaf: jnp.ndim(leaf) > 1, params)


def make_state(
    config: Config, classes: int
) -> tuple[nnx.GraphDef[DeepLab], TrainState]:
    """Returns the network's structure and the state of step 0."""
    model = make_model(config, classes)
    graph, params, statistics = nnx.split(  # type: ignore[misc]  # its overloads
        model, nnx.Param, ...
    )
    optimizer = make_optimizer(config).init(params)
    centers = initial_centers(config, model)
    return graph, TrainState(jnp.int32(0), params, statistics, centers, optimizer)


def normalize(images: jax.Array) -> jax.Array:
    """Returns uint8 images `[..., 3]` as float32 of about zero mean and unit spread."""
    mean, deviation = jnp.array(_MEAN), jnp.array(_DEVIATION)
    return (images.astype(jnp.float32) - mean) / deviation


def make_step(graph: nnx.GraphDef[DeepLab], config: Config) -> Step:
    """Returns the compiled step `(state, batch) → (state, metrics)`."""
    loss: Loss = LOSSES[config.loss](config)
    optimizer, schedule = make_optimizer(config), learning_rate(config)

    def batch_loss(
        params: nnx.State, state: TrainState, batch: Example
    ) -> tuple[jax.Array, tuple[nnx.State, jax.Array]]:
        model = nnx.merge(graph, params, state.statistics, copy=True)
        outputs = model.outputs(normalize(jnp.asarray(batch.image)), train=True)
        losses, centers = loss(outputs, jnp.asarray(batch.label), state.centers)
        return jnp.mean(losses), (nnx.state(model, nnx.BatchStat), centers)

    def step(
        state: TrainState, batch: Example
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        gradient = jax.value_and_grad(batch_loss, has_aux=True)
        (value, (statistics, centers)), slope = gradient(state.params, state, batch)
        update, memory = optimizer.update(slope, state.optimizer, state.params)
        params = optax.apply_updates(state.params, update)
        metrics = {"loss": value, "learning_rate": schedule(state.step)}
        advanced = TrainState(state.step + 1, params, statistics, centers, memory)
        return advanced, metrics

    return jax.jit(step, donate_argnums=0)


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
      UserError: the loss is no longer finite.
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
    return state, watch.seconds()


def _check_finite(done: int, loss: jax.Array, config: Config) -> None:
    if not math.isfinite(float(loss)):
        raise UserError(
            f"the loss is {float(loss)} at step {done}. Lower --learning-rate (now "
            f"{config.learning_rate:g}); checkpoints up to the last are kept."
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

"""The optimizers, and the schedules of their learning rates.

JAX is imported where it is used, so that the options load without it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from models.registry import Registry
from train.common.options import (
    BELOW_ONE,
    NOT_NEGATIVE,
    POSITIVE,
    Group,
    Limit,
    Rule,
    choice,
    option,
)

if TYPE_CHECKING:
    import jax
    import optax
    from flax import nnx

# Given the options and the number of steps after the warmup, counted from there.
MakeSchedule = Callable[["OptimizerOptions", int], "optax.Schedule"]
SCHEDULES: Registry[MakeSchedule] = Registry("schedule")


@SCHEDULES.register("poly", "(1 − step/steps)^poly_power, DeepLab's")
def _poly(options: OptimizerOptions, decay_steps: int) -> optax.Schedule:
    import optax

    return optax.polynomial_schedule(
        options.learning_rate, 0.0, options.poly_power, decay_steps
    )


@SCHEDULES.register("cosine", "half a period of a cosine, to 0")
def _cosine(options: OptimizerOptions, decay_steps: int) -> optax.Schedule:
    import optax

    return optax.cosine_decay_schedule(options.learning_rate, max(1, decay_steps))


@SCHEDULES.register("constant", "no decay")
def _constant(options: OptimizerOptions, decay_steps: int) -> optax.Schedule:
    import optax

    return optax.constant_schedule(options.learning_rate)


# Given the options: what turns a gradient into an update, in this order.
MakeOptimizer = Callable[
    ["OptimizerOptions"], "tuple[optax.GradientTransformation, ...]"
]
OPTIMIZERS: Registry[MakeOptimizer] = Registry("optimizer")


@OPTIMIZERS.register("sgd", "with momentum, DeepLab's")
def _sgd(options: OptimizerOptions) -> tuple[optax.GradientTransformation, ...]:
    import optax

    return (
        _decay_by_gradient(options),
        optax.sgd(learning_rate(options), momentum=options.momentum),
    )


@OPTIMIZERS.register("adam", "weight decay through the gradient")
def _adam(options: OptimizerOptions) -> tuple[optax.GradientTransformation, ...]:
    import optax

    update = optax.adam(learning_rate(options), **_moments(options))
    return _decay_by_gradient(options), update


@OPTIMIZERS.register("adamw", "weight decay beside the gradient, by the learning rate")
def _adamw(options: OptimizerOptions) -> tuple[optax.GradientTransformation, ...]:
    import optax

    decay = options.weight_decay
    update = optax.adamw(
        learning_rate(options), weight_decay=decay, mask=kernels, **_moments(options)
    )
    return (update,)


def _moments(options: OptimizerOptions) -> dict[str, Any]:
    """Returns what Adam and AdamW take from the options, by Optax's names."""
    return {
        "b1": options.adam_beta1,
        "b2": options.adam_beta2,
        "eps": options.adam_epsilon,
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerOptions(Group):
    """Number and size of the steps, and the optimizer."""

    steps: int = option(
        20_000, "Training steps; 0 evaluates the initial weights.", NOT_NEGATIVE
    )
    batch_size: int = option(2, "Images per step.", POSITIVE)
    accumulation: int = option(
        1,
        "Parts in which a step's images pass through the network, one after the other, "
        "to save memory; divides the batch size.",
        POSITIVE,
    )
    name: str = choice("sgd", "Optimizer", OPTIMIZERS, name="optimizer")
    learning_rate: float = option(
        2.5e-4, "Highest learning rate; those of the presets are for sgd.", POSITIVE
    )
    schedule: str = choice("poly", "Decay of the learning rate", SCHEDULES)
    warmup: int = option(
        0,
        "Steps in which the learning rate rises linearly, before the schedule begins.",
        NOT_NEGATIVE,
    )
    poly_power: float = option(0.9, "Power of the schedule poly.", POSITIVE)
    head_kernel_rate: float = option(
        1.0, "Factor of the learning rate for the head's weights.", POSITIVE
    )
    head_bias_rate: float = option(
        1.0, "Factor of the learning rate for the head's biases.", POSITIVE
    )
    momentum: float = option(0.9, "Momentum of sgd.", BELOW_ONE)
    adam_beta1: float = option(
        0.9, "Decay of adam's and adamw's mean of the gradients.", BELOW_ONE
    )
    adam_beta2: float = option(
        0.999, "Decay of their mean of the squared gradients.", BELOW_ONE
    )
    adam_epsilon: float = option(
        1e-8, "Added to the root of the latter, which divides the step.", POSITIVE
    )
    weight_decay: float = option(
        5e-4,
        "Decay of convolution kernels: added to their gradient, by adamw to the "
        "update before the learning rate multiplies it.",
        NOT_NEGATIVE,
    )
    max_gradient_norm: float | None = option(
        None,
        "Clips a longer gradient to this norm over all parameters; None never clips.",
        Limit(lambda norm: norm is None or norm > 0, "must be above 0"),
    )
    ema: float = option(
        0.0,
        "Decay per step of a moving average of the network, in [0, 1); 0 keeps none. "
        "With one it is the averaged network that is evaluated, predicts and is "
        "exported.",
        BELOW_ONE,
    )
    skip_nonfinite: int = option(
        0,
        "Steps whose update may be left out because loss or gradient is not finite; "
        "one more stops the run.",
        NOT_NEGATIVE,
        free=True,
    )

    rules = (
        Rule(
            "accumulation",
            lambda options: options.batch_size % options.accumulation == 0,
            "must divide --batch-size",
        ),
        Rule(
            "warmup",
            lambda options: options.warmup < max(1, options.steps),
            "must be below --steps",
        ),
    )


# Options that not all optimizers read, and those that do.
_READERS = {
    "momentum": ("sgd",),
    **dict.fromkeys(("adam_beta1", "adam_beta2", "adam_epsilon"), ("adam", "adamw")),
}


def unread_options() -> Iterator[tuple[str, Callable[[Any], bool], str]]:
    """Yields options, whether a configuration's optimizer leaves each unread, and why.

    Those that every optimizer reads are not among them.
    """
    for name, readers in _READERS.items():
        unread = functools.partial(_is_of_another, readers)
        yield name, unread, f"needs --optimizer {' or '.join(readers)}"


def _is_of_another(optimizers: tuple[str, ...], config: Any) -> bool:
    return config.optimizer.name not in optimizers


def learning_rate(options: OptimizerOptions) -> optax.Schedule:
    """Returns the learning rate by step."""
    import optax

    schedule = SCHEDULES[options.schedule](options, options.steps - options.warmup)
    if not options.warmup:
        return schedule
    highest = options.learning_rate
    rise = optax.linear_schedule(  # from above 0, so that no step is wasted
        highest / (options.warmup + 1), highest, options.warmup
    )
    return optax.join_schedules([rise, schedule], [options.warmup])


def make_optimizer(options: OptimizerOptions) -> optax.GradientTransformation:
    """Returns the update of a step.

    In this order: long gradients are clipped, the optimizer takes them up, with the
    decay of kernels, and the learning rate, by step and group, scales what it gives.
    """
    import optax

    return optax.chain(
        optax.identity()
        if options.max_gradient_norm is None
        else optax.clip_by_global_norm(options.max_gradient_norm),
        *OPTIMIZERS[options.name](options),
        _scale_head(options),
    )


def _decay_by_gradient(options: OptimizerOptions) -> optax.GradientTransformation:
    """Adds to the gradient of each kernel its part of the kernel."""
    import optax

    return optax.add_decayed_weights(options.weight_decay, mask=kernels)


def kernels(params: nnx.State) -> Any:
    """Returns True for convolution kernels, False for biases and norms."""
    import jax

    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def _scale_head(options: OptimizerOptions) -> optax.GradientTransformation:
    """Scales the updates of the head; backbone and deconvolution keep theirs."""
    import jax
    import optax

    def scale(path: tuple[Any, ...], update: jax.Array) -> jax.Array:
        names = [getattr(key, "key", None) for key in path]
        if names[0] != "head":
            return update
        bias = "bias" in names
        return (options.head_bias_rate if bias else options.head_kernel_rate) * update

    return optax.stateless(
        lambda updates, _: jax.tree_util.tree_map_with_path(scale, updates)
    )

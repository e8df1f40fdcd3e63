"""SGD with momentum as DeepLab's recipe has it, and the schedules of its learning rate.

JAX is imported where it is used, so that the options load without it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
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
    learning_rate: float = option(2.5e-4, "Highest learning rate.", POSITIVE)
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
    momentum: float = option(0.9, "Momentum of SGD.", BELOW_ONE)
    weight_decay: float = option(
        5e-4, "Decay of convolution kernels, added to their gradient.", NOT_NEGATIVE
    )
    max_gradient_norm: float | None = option(
        None,
        "Clips a longer gradient to this norm over all parameters; None never clips.",
        Limit(lambda norm: norm is None or norm > 0, "must be above 0"),
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

    In this order: long gradients are clipped, kernels decay through their gradient,
    momentum takes it up, and the learning rate, by step and group, scales it.
    """
    import optax

    return optax.chain(
        optax.identity()
        if options.max_gradient_norm is None
        else optax.clip_by_global_norm(options.max_gradient_norm),
        optax.add_decayed_weights(options.weight_decay, mask=kernels),
        optax.sgd(learning_rate(options), momentum=options.momentum),
        _scale_head(options),
    )


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

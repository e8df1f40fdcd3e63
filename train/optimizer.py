"""SGD with momentum as DeepLab's recipe has it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from train.config import Config


def make_optimizer(config: Config) -> optax.GradientTransformation:
    """Returns the update of a step.

    In this order: long gradients are cut, kernels decay through their gradient,
    momentum takes it up, and the learning rate, by step and group, scales it.
    """
    return optax.chain(
        optax.identity()
        if config.max_gradient_norm is None
        else optax.clip_by_global_norm(config.max_gradient_norm),
        optax.add_decayed_weights(config.weight_decay, mask=kernels),
        optax.sgd(learning_rate(config), momentum=config.momentum),
        _group_rates(config),
    )


def learning_rate(config: Config) -> optax.Schedule:
    """Returns the poly schedule, (1 − step/steps)^power."""
    return optax.polynomial_schedule(
        config.learning_rate, 0.0, config.poly_power, config.steps
    )


def kernels(params: nnx.State) -> Any:
    """Returns True for convolution kernels, False for biases and norms."""
    return jax.tree.map(lambda leaf: jnp.ndim(leaf) > 1, params)


def _group_rates(config: Config) -> optax.GradientTransformation:
    """Scales the updates of the head; backbone and deconvolution keep theirs."""

    def scale(path: tuple[Any, ...], update: jax.Array) -> jax.Array:
        names = [getattr(key, "key", None) for key in path]
        if names[0] != "head":
            return update
        rate = config.head_bias_rate if "bias" in names else config.head_kernel_rate
        return rate * update

    return optax.stateless(
        lambda updates, _: jax.tree_util.tree_map_with_path(scale, updates)
    )

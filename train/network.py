"""The network of a run, and what it gives at one scale or at several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from models.deeplab import DeepLab, NetworkOutputs
from train.config import Config


def make_model(config: Config, classes: int) -> DeepLab:
    """Returns the run's network with random weights."""
    options: Any = {
        name: getattr(config, name)
        for name in (
            "backbone",
            "style",
            "head",
            "output_stride",
            "upsampling",
            "norm_epsilon",
            "remat",
        )
    }
    return DeepLab(
        classes=classes,
        dilations=config.rates,
        frozen_norm=config.batch_norm == "frozen",
        dtype=jnp.dtype(config.precision),
        rngs=nnx.Rngs(config.seed),
        **options,
    )


def split_model(
    model: DeepLab,
) -> tuple[nnx.GraphDef[DeepLab], nnx.State, nnx.State]:
    """Returns a network's structure, what is trained of it, and the rest."""
    return nnx.split(model, nnx.Param, ...)  # type: ignore[return-value]


def training_outputs(
    model: DeepLab, images: jax.Array, config: Config
) -> list[NetworkOutputs]:
    """Returns what the losses look at: each scale's outputs and their maximum.

    Multi-scale-input training of Chen et al. 2016 (arXiv:1606.00915), section 3.1: a
    loss at every scale and one on the largest logit over all scales. `logits` are those
    of full resolution or of the network's, as `config.loss_resolution` says.

    Args:
      model: the network, which notes its statistics.
      images: `[batch, height, width, 3]` float.
      config: without `input_scales` there is one entry.
    """
    whole = model.outputs(images, train=True)
    found = [whole]
    if config.input_scales:
        for scale in config.input_scales:
            smaller = resize(images, scaled_size(images.shape[1:3], scale))
            found.append(model.outputs(smaller, train=True))
        size = whole.coarse.shape[1:3]
        coarse = jnp.stack([resize(outputs.coarse, size) for outputs in found])
        largest = jnp.max(coarse, axis=0)
        _, height, width, _ = images.shape
        logits = model.upsample(largest, size=(height, width))
        found.append(NetworkOutputs(logits, largest, whole.features))
    if config.loss_resolution == "network":
        found = [outputs._replace(logits=outputs.coarse) for outputs in found]
    return found


def resize(
    images: jax.Array, size: Sequence[int], *, antialias: bool = False
) -> jax.Array:
    """Returns `[batch, *size, channels]`, interpolated linearly between centres."""
    batch, *old, channels = images.shape
    if tuple(old) == tuple(size):
        return images
    shape = (batch, *size, channels)
    return jax.image.resize(images, shape, "linear", antialias=antialias)


def scaled_size(size: Sequence[int], scale: float) -> tuple[int, ...]:
    """Returns a height and width times a scale, rounded down, at least 1."""
    return tuple(max(1, int(side * scale)) for side in size)

"""Networks for tests, with NumPy's random weights: JAX would compile every shape."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np
from flax import nnx

from models.backbones import BackboneEntry
from models.deeplab import DeepLab
from models.resnet import BasicBlock, ResNet

# The small backbone without its last stage.
SMALL_C4 = BackboneEntry(
    lambda **options: ResNet(
        BasicBlock,
        (1, 1, 1),
        widths=(32, 64, 96),
        stem_width=24,
        stem_kernel=3,
        pool=False,
        **options,
    ),
    (8, 16),
)

Network = TypeVar("Network", bound=nnx.Module)


def filled(make: Callable[[], Network], seed: int = 0) -> Network:
    """Returns what `make` makes, with random weights, affine and statistics."""
    network = nnx.eval_shape(make)
    rng = np.random.default_rng(seed)
    filled = [
        (path, leaf.replace(jnp.asarray(draw(str(path[-1]), leaf.shape, rng))))
        for path, leaf in nnx.to_flat_state(nnx.state(network))
    ]
    nnx.update(network, nnx.from_flat_state(filled))
    return network


def draw(leaf: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Returns random numbers that keep activations near those of a trained network."""
    if leaf == "kernel":
        array = rng.normal(0, math.sqrt(2 / math.prod(shape[:3])), shape)
    elif leaf in ("scale", "var"):
        array = rng.uniform(0.5, 1.5, shape)
    else:
        array = rng.normal(0, 0.1, shape)
    return array.astype(np.float32)


def make_model(
    classes: int = 5, head: str = "v2", seed: int = 0, **options: Any
) -> DeepLab:
    """Returns a small DeepLab with learned upsampling."""
    options = {
        "backbone": "resnet_small",
        "dilations": (1, 2),
        "upsampling": "learned",
        **options,
    }
    return filled(
        lambda: DeepLab(classes=classes, head=head, rngs=nnx.Rngs(0), **options), seed
    )

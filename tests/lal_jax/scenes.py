"""Small inputs, and the options under which the losses are checked."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

# One shape nearly everywhere, so that JAX compiles an operation once for many tests.
SHAPE = (2, 6, 7)
KERNELS = [1, 3, 5, 7, (3, 5)]
DTYPES = ["float64", "float32"]

TARGETS: dict[str, dict[str, Any]] = {
    "plain": {},
    "class_weights": {"class_weights": np.array([0.5, 2.0, 1.0, 3.0, 0.1])},
    "label_smoothing": {"label_smoothing": 0.1},
}
# Not symmetric in any way, so that a flipped or transposed window shows.
LOPSIDED = np.array([[0.3, 1.0, 0.0], [0.7, 2.0, 0.1], [0.2, 0.4, 1.5]])
OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "stride": {"kernel_size": (3, 5), "stride": 2},
    "raw_logits": {"normalization": "none"},
    "neighbor_weights": {"kernel_size": 3, "neighbor_weights": LOPSIDED},
    "normalizer": {"kernel_size": 3, "normalizer": "weights"},
    "class_weights": {"kernel_size": 3, **TARGETS["class_weights"]},
    "label_smoothing": {"kernel_size": 3, **TARGETS["label_smoothing"]},
    "image_score": {"kernel_size": 3, "normalization": "image_score"},
    "score_scale": {"kernel_size": 3, "score_scale": 2.5},
    "dilation": {"kernel_size": (3, 5), "dilation": (1, 2), "stride": 2},
    "dilation beyond the image": {"dilation": 4, "normalizer": "weights"},
    "together": {
        "kernel_size": 3,
        "stride": 2,
        "neighbor_weights": LOPSIDED,
        "normalizer": "weights",
        **TARGETS["class_weights"],
        **TARGETS["label_smoothing"],
    },
    "all together": {
        "kernel_size": 3,
        "stride": 2,
        "dilation": (2, 3),
        "normalization": "image_score",
        "score_scale": 4.0,
        "neighbor_weights": LOPSIDED,
        **TARGETS["class_weights"],
    },
}


def random_scene(
    rng: np.random.Generator,
    shape: tuple[int, ...] = SHAPE,
    *,
    classes: int = 5,
    dtype: DTypeLike = "float64",
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Logits `[*shape, C]`, labels `[*shape]` some of them 255, and a `where`.

    Only three labels occur, so that most windows hold several matches.
    """
    logits = 3 * rng.normal(size=(*shape, classes))
    labels = rng.integers(3, size=shape)
    labels[rng.uniform(size=shape) < 0.1] = 255
    where = rng.uniform(size=shape) < 0.9
    return jnp.asarray(logits, dtype), jnp.asarray(labels), jnp.asarray(where)


def random_losses(
    rng: np.random.Generator, dtype: DTypeLike = "float64"
) -> tuple[jax.Array, jax.Array]:
    """Positive losses of `SHAPE`, and a `where`."""
    losses, where = rng.exponential(size=SHAPE), rng.uniform(size=SHAPE) < 0.8
    return jnp.asarray(losses, dtype), jnp.asarray(where)

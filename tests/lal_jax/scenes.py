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

# Not symmetric in any way, so that a flipped or transposed window shows.
LOPSIDED = np.array([[0.3, 1.0, 0.0], [0.7, 2.0, 0.1], [0.2, 0.4, 1.5]])
OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "stride": {"stride": 2, "kernel_size": (3, 5)},
    "raw_logits": {"normalization": "none"},
    "neighbor_weights": {"kernel_size": 3, "neighbor_weights": LOPSIDED},
    "normalizer": {"normalizer": "weights"},
    "class_weights": {"class_weights": np.array([0.5, 2.0, 1.0, 3.0, 0.1])},
    "label_smoothing": {"label_smoothing": 0.1},
}
OPTIONS["together"] = {
    name: value
    for options in OPTIONS.values()
    for name, value in options.items()
    if name != "normalization"
}


def random_scene(
    key: jax.Array,
    shape: tuple[int, ...] = SHAPE,
    *,
    classes: int = 5,
    dtype: DTypeLike = "float64",
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Logits `[*shape, C]`, labels `[*shape]` some of them 255, and a `where`.

    Only three labels occur, so that most windows hold several matches.
    """
    keys = jax.random.split(key, 4)
    logits = jax.random.normal(keys[0], (*shape, classes), dtype)
    labels = jax.random.randint(keys[1], shape, 0, 3)
    void = jax.random.bernoulli(keys[2], 0.1, shape)
    where = jax.random.bernoulli(keys[3], 0.9, shape)
    return 3 * logits, jnp.where(void, 255, labels), where

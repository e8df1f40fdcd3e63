"""Hypothesis strategies for the tests of properties: seeds, and scenes from them.

There is one shape and the settings are few, so that JAX compiles little.
"""

import numpy as np
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from tests.lal_jax.scenes import random_scene

# Odd sizes, so that a stride of 2 has the same centers from either side.
SHAPE = (3, 5, 7)
CLASSES = 4
seeds = st.integers(0, 2**32 - 1)


def repeatable(examples: int) -> settings:
    """Settings with the same examples in every run and no deadline.

    They are not shrunk, as a smaller seed is no simpler.
    """
    return settings(
        derandomize=True,
        deadline=None,
        database=None,
        max_examples=examples,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )


def scene(seed: int) -> tuple[np.random.Generator, np.ndarray, np.ndarray, np.ndarray]:
    """A generator, and logits, labels and `where` in NumPy."""
    rng = np.random.default_rng(seed)
    logits, labels, where = map(np.asarray, random_scene(rng, SHAPE, classes=CLASSES))
    return rng, logits, labels, where

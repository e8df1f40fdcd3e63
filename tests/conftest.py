"""What all tests share: reproducible random numbers, and four devices."""

import jax
import numpy as np
import pytest

# Divides the CPU for the tests of sharding; too late once an array exists.
jax.config.update("jax_num_cpu_devices", 4)


@pytest.fixture
def rng() -> np.random.Generator:
    """The same sequence in every test; NumPy's, since JAX compiles for every shape."""
    return np.random.default_rng(0)

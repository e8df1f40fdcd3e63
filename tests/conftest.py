"""What all tests share: reproducible random numbers."""

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    """The same sequence in every test; NumPy's, since JAX compiles for every shape."""
    return np.random.default_rng(0)

"""What all tests share: reproducible random keys."""

import itertools
from collections.abc import Callable

import jax
import pytest


@pytest.fixture
def getkey() -> Callable[[], jax.Array]:
    """A new PRNG key at every call, the same sequence in every test."""
    seeds = itertools.count()
    return lambda: jax.random.key(next(seeds))

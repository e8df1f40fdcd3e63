"""What all tests share: reproducible random numbers, and four devices."""

from collections.abc import Iterator

import jax
import numpy as np
import pytest

# Divides the CPU for the tests of sharding; too late once an array exists.
jax.config.update("jax_num_cpu_devices", 4)


# Minutes each: begun first, so that no worker is left alone with one at the end.
LONGEST = (
    "test_voc_preset",
    "test_reproduce",
    "test_programs",
    "test_recipe",
    "test_parity",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest files first; the others keep their order."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture(autouse=True, scope="module")
def effort(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compiles networks with less effort: their tests run a program once or twice.

    The losses are compiled as users compile them, and so are the programs that tests
    start.
    """
    networks = request.path.parent.name in ("models", "train")
    jax.config.update("jax_disable_most_optimizations", networks)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def rng() -> np.random.Generator:
    """The same sequence in every test; NumPy's, since JAX compiles for every shape."""
    return np.random.default_rng(0)

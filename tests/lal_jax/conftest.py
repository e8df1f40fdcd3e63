"""The library's tests run in float64 and forgive no implicit conversion."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(autouse=True)
def strict_numerics() -> Iterator[None]:
    """float64 on; dtypes and ranks never promoted behind our back."""
    with (
        jax.enable_x64(True),
        jax.numpy_dtype_promotion("strict"),
        jax.numpy_rank_promotion("raise"),
    ):
        yield

"""ReLU: its values, its gradient, and what is kept for that."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.activations import relu
from models.pointwise import rows_divided


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_values_and_gradients_are_those_of_jax(
    dtype: str, rng: np.random.Generator
) -> None:
    x = jnp.asarray(rng.normal(size=(3, 50)), dtype)
    x = x.at[0, :4].set(jnp.array([0.0, jnp.inf, -jnp.inf, jnp.nan], dtype))
    slope = jnp.asarray(rng.normal(size=x.shape), dtype)
    expected, pull_expected = jax.vjp(jax.nn.relu, x)
    found, pull = jax.vjp(relu, x)
    pairs = (
        (found, expected),
        (relu(x), expected),
        (*pull(slope), *pull_expected(slope)),
    )
    for ours, known in pairs:
        assert ours.dtype == x.dtype
        np.testing.assert_array_equal(ours.astype("float32"), known.astype("float32"))


@pytest.mark.parametrize("divided", [False, True])
def test_sum_of_terms(divided: bool, rng: np.random.Generator) -> None:
    """On two axes, but where rows are on several devices, which that would move."""
    terms = [jnp.asarray(rng.normal(size=(2, 3, 4, 5)), jnp.float32) for _ in range(2)]
    slope = jnp.asarray(rng.normal(size=(2, 3, 4, 5)), jnp.float32)
    expected, pull_expected = jax.vjp(lambda x, y: jax.nn.relu(x + y), *terms)
    with rows_divided(divided):
        found, pull = jax.vjp(relu, *terms)
        program = str(jax.make_jaxpr(lambda *xs: relu(*xs))(*terms))
    assert ("24,5] = add" in program) != divided
    np.testing.assert_array_equal(found, expected)
    for ours, known in zip(pull(slope), pull_expected(slope), strict=True):
        np.testing.assert_array_equal(ours, known)


def test_result_is_all_that_is_kept(rng: np.random.Generator) -> None:
    x = jnp.asarray(rng.normal(size=(4, 5)), jnp.float32)
    result, pull = jax.vjp(relu, x)
    (kept,) = jax.tree.leaves(pull)
    np.testing.assert_array_equal(kept, result)


def test_maps_over_a_batch(rng: np.random.Generator) -> None:
    x = jnp.asarray(rng.normal(size=(4, 5)), jnp.float32)
    slopes = jax.vmap(jax.grad(lambda row: relu(row).sum()))(x)
    np.testing.assert_array_equal(slopes, x > 0)

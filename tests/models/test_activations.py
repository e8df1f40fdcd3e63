"""ReLU: its values, its gradient, and what is kept for that."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.activations import relu


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


def test_result_is_all_that_is_kept(rng: np.random.Generator) -> None:
    x = jnp.asarray(rng.normal(size=(4, 5)), jnp.float32)
    result, pull = jax.vjp(relu, x)
    (kept,) = jax.tree.leaves(pull)
    np.testing.assert_array_equal(kept, result)


def test_maps_over_a_batch(rng: np.random.Generator) -> None:
    x = jnp.asarray(rng.normal(size=(4, 5)), jnp.float32)
    slopes = jax.vmap(jax.grad(lambda row: relu(row).sum()))(x)
    np.testing.assert_array_equal(slopes, x > 0)

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import masked_mean, minkowski_mean
from lal_jax.gradients import minkowski_gradient
from tests import reference_means
from tests.lal_jax.effort import full_jit
from tests.lal_jax.scenes import DTYPES, SHAPE, random_losses
from tests.tolerances import assert_close


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("power", [0.5, 1, 2, 3.0, 5.5])
def test_minkowski_equals_reference(rng, power, dtype):
    losses, where = random_losses(rng, dtype)
    actual = minkowski_mean(losses, power=power, where=where)
    assert actual.dtype == dtype
    expected = reference_means.minkowski_mean(
        np.asarray(losses), power=power, where=np.asarray(where)
    )
    assert_close(actual, expected, length=42)


@pytest.mark.parametrize("dtype", DTYPES)
def test_masked_mean_equals_reference(rng, dtype):
    losses, where = random_losses(rng, dtype)
    actual = masked_mean(losses, where=where)
    assert actual.dtype == dtype
    expected = reference_means.masked_mean(np.asarray(losses), where=np.asarray(where))
    assert_close(actual, expected, length=42)


@pytest.mark.parametrize("mean", [minkowski_mean, masked_mean])
@pytest.mark.parametrize("axis", [-1, 0, (0, 1), (0, 1, 2)])
def test_axes(rng, mean, axis):
    """Any axes reduce as the last two of an array turned that way."""
    losses, where = random_losses(rng)
    axes = (axis,) if isinstance(axis, int) else axis
    turned = [
        np.moveaxis(np.asarray(x), axes, range(-len(axes), 0)) for x in (losses, where)
    ]
    flat = [x.reshape(*x.shape[: x.ndim - len(axes)], 1, -1) for x in turned]
    expected = getattr(reference_means, mean.__name__)(flat[0], where=flat[1])
    reduce = full_jit(functools.partial(mean, axis=axis))
    assert_close(reduce(losses, where=where), expected, length=84)
    without = getattr(reference_means, mean.__name__)(flat[0])
    assert_close(reduce(losses), without, length=84)


def test_power_one_is_the_mean(rng):
    losses, where = random_losses(rng)
    actual = minkowski_mean(losses, power=1.0, where=where)
    assert_close(actual, masked_mean(losses, where=where), length=42)


def test_large_power_tends_to_the_maximum(rng):
    """max · N^(−1/k) ≤ L ≤ max."""
    losses, _ = random_losses(rng)
    largest = losses.max((-2, -1))
    actual = minkowski_mean(losses, power=1e4)
    assert (actual <= largest).all()
    assert (actual >= largest * 42 ** (-1 / 1e4) * (1 - 1e-12)).all()


@pytest.mark.parametrize("scale", [1e13, 1e-16, 1e30, 1e-30])
def test_neither_overflows_nor_underflows(rng, scale):
    losses, where = random_losses(rng, "float32")
    losses = losses * jnp.float32(scale)
    value, pullback = jax.vjp(lambda x: minkowski_mean(x, where=where), losses)
    wide = np.asarray(losses, np.float64), np.asarray(where)
    assert_close(
        value, reference_means.minkowski_mean(wide[0], where=wide[1]), length=42
    )
    (gradient,) = pullback(jnp.ones_like(value))
    expected = reference_means.minkowski_gradient(wide[0], power=3.0, where=wide[1])
    assert_close(gradient, expected, length=42)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_largest_losses_have_a_mean(dtype):
    """The inverse of their maximum is subnormal."""
    losses = jnp.full((2, 3), 0.9 * jnp.finfo(dtype).max, dtype)
    assert_close(minkowski_mean(losses), losses[0, 0], length=6)
    assert_close(minkowski_gradient(losses), jnp.full((2, 3), 1 / 6), length=6)


@pytest.mark.parametrize("mean", [minkowski_mean, masked_mean])
def test_nothing_valid_is_zero(mean):
    losses = jnp.full((2, 3, 4), jnp.nan).at[0].set(1.0)
    where = jnp.zeros((2, 3, 4), bool).at[0].set(True)
    value, pullback = jax.vjp(lambda x: mean(x, where=where), losses)
    np.testing.assert_allclose(value, [1.0, 0.0], rtol=1e-15)
    (gradient,) = pullback(jnp.ones_like(value))
    np.testing.assert_allclose(gradient[0], 1 / 12, rtol=1e-14)
    assert not gradient[1].any()


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4)])
@pytest.mark.parametrize("mean", [minkowski_mean, masked_mean])
def test_empty_is_zero(mean, shape):
    value = mean(jnp.zeros(shape))
    assert value.shape == shape[:1]
    assert not value.any()


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0, 5.5])
def test_gradient_is_bounded(rng, power):
    """∂L/∂L_q ≤ N^(−1/k), reached where all other losses are zero."""
    losses, _ = random_losses(rng)
    gradient = jax.grad(lambda x: minkowski_mean(x, power=power).sum())
    bound = 42 ** (-1 / power)
    assert gradient(losses).max() <= bound * (1 + 1e-12)
    lone = jnp.zeros(SHAPE).at[:, 2, 3].set(7.0)
    np.testing.assert_allclose(gradient(lone)[:, 2, 3], bound, rtol=1e-12)


@pytest.mark.parametrize("power", [2.0, 3.0, 5.5])
def test_gradient_of_zero_losses_is_zero(power):
    gradient = jax.grad(lambda x: minkowski_mean(x, power=power))(jnp.zeros((3, 4)))
    assert not gradient.any()


@pytest.mark.parametrize("power", [0.5, 1.0, 3.0])
def test_gradient_ignores_void(rng, power):
    losses, where = random_losses(rng)
    poisoned = jnp.where(where, losses, jnp.nan)
    gradient = jax.grad(lambda x: minkowski_mean(x, power=power, where=where).sum())
    np.testing.assert_array_equal(gradient(poisoned), gradient(losses))
    assert not gradient(poisoned)[~where].any()


@pytest.mark.parametrize("mean", [minkowski_mean, masked_mean])
def test_half_precision_is_computed_in_float32(rng, mean):
    losses, where = random_losses(rng, "bfloat16")
    actual = mean(losses, where=where)
    assert actual.dtype == "float32"
    assert_close(actual, mean(losses.astype("float32"), where=where))


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf])
@pytest.mark.parametrize("power", [0.5, 1.0, 3.0])
def test_minkowski_does_not_hide_a_loss_that_is_not_finite(power, bad):
    losses = jnp.ones((2, 3, 4)).at[0, 1, 2].set(bad)
    pooled = minkowski_mean(losses, power=power)
    assert jnp.isnan(pooled[0]) and pooled[1] == 1


@pytest.mark.parametrize("power", [0, -1.0, float("nan"), float("inf")])
def test_refuses_powers_that_are_not_positive(power):
    with pytest.raises(ValueError, match=f"got {power}"):
        minkowski_mean(jnp.ones((3, 4)), power=power)


@pytest.mark.parametrize("mean", [minkowski_mean, masked_mean])
def test_refuses_a_where_of_another_shape(mean):
    with pytest.raises(ValueError, match="got .*3, 3"):
        mean(jnp.ones((3, 4)), where=jnp.ones((3, 3), bool))

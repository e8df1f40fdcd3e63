from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import (
    hard_pixel_mean,
    locally_adaptive_loss,
    loss_max_pooling,
    masked_mean,
    selective_cross_entropy,
    valid_mask,
)
from tests import reference_counterparts
from tests.lal_jax.effort import full_jit
from tests.lal_jax.scenes import DTYPES, random_losses, random_scene
from tests.tolerances import assert_close

POOLS = [hard_pixel_mean, loss_max_pooling]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fraction", [0.01, 0.25, 0.29, 1.0])
def test_hard_pixel_mean_equals_reference(rng, fraction, dtype):
    losses, where = random_losses(rng, dtype)
    actual = hard_pixel_mean(losses, fraction=fraction, where=where)
    assert actual.dtype == dtype
    expected = reference_counterparts.hard_pixel_mean(
        np.asarray(losses), fraction=fraction, where=np.asarray(where)
    )
    assert_close(actual, expected, length=42)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("minimum", [1, 7, 10**6])
@pytest.mark.parametrize("threshold", [0.0, 1.0, 9e9])
def test_threshold_equals_reference(rng, threshold, minimum, dtype):
    losses, where = random_losses(rng, dtype)
    options = {"threshold": threshold, "minimum": minimum}
    actual = hard_pixel_mean(losses, where=where, **options)
    expected = reference_counterparts.hard_pixel_mean(
        np.asarray(losses), where=np.asarray(where), **options
    )
    assert_close(actual, expected, length=42)


def test_threshold_is_no_loss_of_its_own():
    """Of losses that equal it none is above, and the least number shares them."""
    losses = jnp.array([[2.0, 2.0, 2.0, 5.0]])
    grad = jax.grad(lambda x: hard_pixel_mean(x, threshold=2.0, minimum=2))(losses)
    np.testing.assert_allclose(grad, [[1 / 6, 1 / 6, 1 / 6, 1 / 2]])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threshold": -1.0}, "threshold .*-1"),
        ({"threshold": "hard"}, "threshold .*'hard'"),
        ({"threshold": 1.0, "minimum": 0}, "minimum .*0"),
        ({"minimum": 5}, "minimum=5 needs a threshold"),
    ],
)
def test_threshold_that_cannot_be_is_named(options, words):
    with pytest.raises(ValueError, match=words):
        hard_pixel_mean(jnp.ones((2, 3)), **options)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("norm", [1.2, 1.7, 2.0, 9.0])
@pytest.mark.parametrize("minimal_fraction", [0.01, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("zeros", [0.0, 0.5, 0.9])
def test_loss_max_pooling_equals_bisection(rng, zeros, minimal_fraction, norm, dtype):
    """Also where so many losses are 0 that all the others reach the bound."""
    losses, where = random_losses(rng, dtype)
    losses = jnp.where(jnp.asarray(rng.uniform(size=losses.shape)) < zeros, 0, losses)
    options = {"norm": norm, "minimal_fraction": minimal_fraction}
    actual = loss_max_pooling(losses, where=where, **options)
    assert actual.dtype == dtype
    expected = reference_counterparts.loss_max_pooling(
        np.asarray(losses), where=np.asarray(where), **options
    )
    assert_close(actual, expected, length=42 * 42)


@pytest.mark.parametrize("norm", [1.01, 1.05, 1.2])
def test_a_norm_near_one_keeps_small_losses_small(rng, norm):
    """Their powers would vanish in float32 and leave them the weight of large ones."""
    losses = 10 ** rng.uniform(-7, -5, size=(1, 400))
    losses[0, :10] = 8
    value_and_weights = jax.value_and_grad(lambda x: loss_max_pooling(x, norm=norm))
    pooled, weights = full_jit(value_and_weights)(jnp.asarray(losses, "float32"))
    expected = reference_counterparts.loss_max_pooling(losses, norm=norm)
    np.testing.assert_allclose(pooled, expected, rtol=1e-5)
    conjugate = norm / (norm - 1)
    length = (weights.astype("float64") ** norm).sum() ** (1 / norm)
    np.testing.assert_allclose(length, 400 ** (-1 / conjugate), rtol=1e-4)


@pytest.mark.parametrize("pool", POOLS)
def test_gradient_equals_finite_differences(rng, pool):
    """The weights are constants at an optimum, so that their gradient is exact."""
    losses, where = random_losses(rng)
    step = 1e-6 * jnp.asarray(rng.normal(size=losses.shape))
    rise = pool(losses + step, where=where) - pool(losses - step, where=where)
    slope = full_jit(jax.grad(lambda x: pool(x, where=where).sum()))(losses)
    np.testing.assert_allclose(rise.sum(), 2 * (slope * step).sum(), rtol=1e-6)


@pytest.mark.parametrize("pool", POOLS)
def test_pool_lies_between_mean_and_maximum(rng, pool):
    losses, where = random_losses(rng)
    actual = pool(losses, where=where)
    assert (masked_mean(losses, where=where) <= actual).all()
    assert (actual <= jnp.where(where, losses, 0).max((-2, -1)) * (1 + 1e-12)).all()


def test_all_pixels_are_the_mean(rng):
    losses, where = random_losses(rng)
    expected = masked_mean(losses, where=where)
    assert_close(
        hard_pixel_mean(losses, fraction=1.0, where=where), expected, length=42
    )
    equal = jnp.full_like(losses, 0.7)
    assert_close(loss_max_pooling(equal), masked_mean(equal), length=42)


@pytest.mark.parametrize("pool", POOLS)
def test_all_of_a_large_image_are_no_more_than_there_are(pool):
    """2²⁰ pixels: a rounding share of them is more than one pixel."""
    losses = jnp.ones((1024, 1024), "float32")
    option = "fraction" if pool is hard_pixel_mean else "minimal_fraction"
    pooled = full_jit(partial(pool, **{option: 1.0}))(losses)
    np.testing.assert_allclose(pooled, 1.0, rtol=1e-5)


def test_equal_losses_share_the_gradient():
    losses = jnp.array([[3.0, 1.0, 2.0, 2.0, 2.0, 0.0]])
    slope = full_jit(jax.grad(partial(hard_pixel_mean, fraction=0.5)))(losses)
    np.testing.assert_allclose(slope, [[1 / 3, 0, 2 / 9, 2 / 9, 2 / 9, 0]], rtol=1e-12)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("axis", [None, -1, (0, 2)])
def test_axes(rng, pool, axis):
    losses, where = random_losses(rng)
    axes = (0, 1, 2) if axis is None else (axis,) if axis == -1 else axis
    flat = [
        np.moveaxis(np.asarray(x), axes, range(-len(axes), 0)) for x in (losses, where)
    ]
    flat = [x.reshape(*x.shape[: x.ndim - len(axes)], 1, -1) for x in flat]
    expected = getattr(reference_counterparts, pool.__name__)(flat[0], where=flat[1])
    actual = full_jit(partial(pool, axis=axis))(losses, where=where)
    assert_close(actual, expected, length=84 * 84)


@pytest.mark.parametrize("pool", POOLS)
def test_void_and_zero_images_have_no_loss_and_no_gradient(pool):
    losses = jnp.full((3, 4, 5), jnp.nan).at[0].set(1.0).at[1].set(0.0)
    where = jnp.ones((3, 4, 5), bool).at[2].set(False)
    both = jax.vmap(jax.value_and_grad(lambda x, w: pool(x, where=w)))
    value, slope = full_jit(both)(losses, where)
    np.testing.assert_allclose(value, [1, 0, 0], rtol=1e-12)
    assert jnp.isfinite(slope).all() and not slope[2].any()


@pytest.mark.parametrize("pool", POOLS)
def test_pools_the_locally_adaptive_loss(rng, pool):
    logits, labels, where = random_scene(rng)
    losses = selective_cross_entropy(logits, labels, where=where)
    expected = pool(losses, where=valid_mask(labels, where=where))
    actual = locally_adaptive_loss(logits, labels, where=where, pool=pool)
    assert_close(actual, expected, length=42)


@pytest.mark.parametrize("share", [0, -0.1, 1.5, float("nan")])
def test_share_outside_its_range_is_refused(share):
    with pytest.raises(ValueError, match=r"fraction must lie in \(0, 1\], got"):
        hard_pixel_mean(jnp.ones((2, 2)), fraction=share)
    with pytest.raises(ValueError, match="minimal_fraction must lie in"):
        loss_max_pooling(jnp.ones((2, 2)), minimal_fraction=share)


@pytest.mark.parametrize("norm", [1, 0.5, float("inf"), float("nan")])
def test_norm_not_above_one_is_refused(norm):
    with pytest.raises(ValueError, match="norm must be a finite number above 1"):
        loss_max_pooling(jnp.ones((2, 2)), norm=norm)

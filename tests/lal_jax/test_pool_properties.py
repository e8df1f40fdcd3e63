"""Properties of the reductions and of the focal loss for any input."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lal_jax import (
    focal_loss,
    hard_pixel_mean,
    loss_max_pooling,
    minkowski_mean,
    softmax_cross_entropy,
)
from tests.lal_jax.drawn import SHAPE, repeatable, scene, seeds


def losses_of(seed: int) -> tuple[jax.Array, jax.Array, np.ndarray, np.ndarray]:
    """Losses, some of them 0 or equal, and a `where`; their means and maxima."""
    rng = np.random.default_rng(seed)
    losses = rng.exponential(size=SHAPE) ** rng.integers(1, 4)
    losses[rng.uniform(size=SHAPE) < 0.1] = 0.0
    losses[rng.uniform(size=SHAPE) < 0.1] = 0.5
    where = rng.uniform(size=SHAPE) < 0.8
    where[2] = False
    inside = np.where(where, losses, 0.0)
    means = inside.sum((1, 2)) / np.maximum(where.sum((1, 2)), 1)
    return jnp.asarray(losses), jnp.asarray(where), means, inside.max((1, 2))


def lies_between(lower: np.ndarray, value: jax.Array, upper: np.ndarray) -> bool:
    """Up to rounding."""
    return bool(
        (lower * (1 - 1e-12) <= value).all() and (value <= upper * (1 + 1e-12)).all()
    )


@repeatable(25)
@given(
    seed=seeds,
    powers=st.tuples(*[st.just(1.0) | st.floats(0.2, 60)] * 2).map(sorted),
    factor=st.floats(1e-30, 1e30),
)
def test_power_means_are_ordered_and_homogeneous(seed, powers, factor):
    losses, where, mean, maximum = losses_of(seed)
    low, high = (minkowski_mean(losses, power=k, where=where) for k in powers)
    np.testing.assert_array_equal(low <= high * (1 + 1e-12), True)
    for power, pooled in zip(powers, (low, high), strict=True):
        above = mean if power >= 1 else np.zeros(3)
        below = mean if power <= 1 else maximum
        assert lies_between(above, pooled, below)
    scaled = minkowski_mean(factor * losses, power=powers[0], where=where)
    np.testing.assert_allclose(scaled, factor * low, rtol=1e-11)


@repeatable(15)
@given(seed=seeds, fraction=st.floats(1e-3, 1.0), norm=st.floats(1.001, 50.0))
def test_hard_pixels_lie_between_mean_and_maximum(seed, fraction, norm):
    losses, where, mean, maximum = losses_of(seed)
    hard = hard_pixel_mean(losses, fraction=fraction, where=where)
    assert lies_between(mean, hard, maximum)
    soft = loss_max_pooling(losses, norm=norm, minimal_fraction=fraction, where=where)
    assert lies_between(mean, soft, np.asarray(hard))


@repeatable(10)
@given(seed=seeds, fraction=st.floats(1e-3, 1.0))
def test_loss_max_pooling_tends_to_the_hardest_and_to_the_mean(seed, fraction):
    """At p = 1 + 1e-6 and 1e6 the factors of τ are within 1e-4 of their limits."""
    losses, where, mean, _ = losses_of(seed)
    pool = functools.partial(loss_max_pooling, minimal_fraction=fraction, where=where)
    hardest = hard_pixel_mean(losses, fraction=fraction, where=where)
    np.testing.assert_allclose(pool(losses, norm=1 + 1e-6), hardest, rtol=1e-4)
    np.testing.assert_allclose(pool(losses, norm=1e6), mean, rtol=1e-4)


@repeatable(15)
@given(
    seed=seeds,
    alpha=st.floats(0.1, 2.0),
    gamma=st.sampled_from([0.0, 0.5, 1.0, 2.0, 4.5]),
)
def test_focal_gradient_is_that_of_cross_entropy_times_a_factor(seed, alpha, gamma):
    """α [(1 − p)^γ − γ p (1 − p)^(γ−1) log p]."""
    _, *arrays = scene(seed)
    logits, labels, where = map(jnp.asarray, arrays)
    slope, plain = (
        jax.grad(lambda x, f=loss: f(x, labels, where=where).sum())(logits)
        for loss in (
            functools.partial(focal_loss, alpha=alpha, gamma=gamma),
            softmax_cross_entropy,
        )
    )
    p = np.exp(-np.asarray(softmax_cross_entropy(logits, labels)))  # 1 at void
    miss = np.where(p < 1, 1 - p, 1.0)
    factor = alpha * (miss**gamma - gamma * p * miss ** (gamma - 1) * np.log(p))
    np.testing.assert_allclose(slope, factor[..., None] * plain, rtol=1e-9, atol=1e-13)

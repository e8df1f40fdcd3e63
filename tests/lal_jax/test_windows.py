"""Windows over sequences and volumes, and the neighbor weights."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import (
    chessboard_weights,
    gaussian_weights,
    hard_pixel_mean,
    locally_adaptive_loss,
    selective_pool,
    uniform_weights,
)
from lal_jax.gradients import locally_adaptive_gradient
from tests import reference
from tests.lal_jax.scenes import random_scene
from tests.tolerances import assert_close

SHAPES = {(3,): (2, 9), (5,): (7,), (3, 3, 3): (2, 3, 4, 5), (1, 3, 5): (3, 4, 5)}


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 2)])
@pytest.mark.parametrize("kernel_size", SHAPES)
def test_sequences_and_volumes_equal_reference(rng, kernel_size, stride, dilation):
    logits, labels, where = random_scene(rng, SHAPES[kernel_size])
    options: dict[str, Any] = {
        "kernel_size": kernel_size,
        "stride": stride,
        "dilation": dilation,
        "where": where,
    }

    @jax.jit
    def everything(x):
        loss = functools.partial(locally_adaptive_loss, labels=labels, **options)
        losses, pullback = jax.vjp(loss, x)
        (gradient,) = pullback(jnp.ones_like(losses))
        closed = locally_adaptive_gradient(x, labels, **options)
        return selective_pool(x, labels, **options), losses, gradient, closed

    arrays = np.asarray(logits), np.asarray(labels)
    options["where"] = np.asarray(where)
    pooled, losses, gradient, closed = everything(logits)
    assert_close(pooled, reference.selective_pool(*arrays, **options), length=27)
    expected = reference.locally_adaptive_loss(*arrays, **options)
    assert_close(losses, expected, length=135)
    expected = reference.locally_adaptive_gradient(*arrays, **options)
    assert_close(gradient, expected, length=135)
    assert_close(closed, expected, length=135)


def compiled(**options):
    return jax.jit(functools.partial(locally_adaptive_loss, **options))


def test_a_sequence_is_an_image_of_one_row(rng):
    logits, labels, _ = random_scene(rng, (2, 9))
    sequence = compiled(kernel_size=(5,))(logits, labels)
    row = compiled(kernel_size=(1, 5))(logits[:, None], labels[:, None])
    assert_close(sequence, row, length=25)


def test_a_flat_volume_is_an_image(rng):
    logits, labels, _ = random_scene(rng)
    volume = compiled(kernel_size=(3, 3, 5))(logits[:, None], labels[:, None])
    image = compiled(kernel_size=(3, 5))(logits, labels)
    assert_close(volume, image, length=75)


def test_a_pool_of_volumes_is_told_the_axes(rng):
    logits, labels, _ = random_scene(rng, (2, 3, 4, 5))
    loss = functools.partial(
        locally_adaptive_loss, logits, labels, kernel_size=(3, 3, 3)
    )
    pool = functools.partial(hard_pixel_mean, axis=(-3, -2, -1))
    assert jax.eval_shape(functools.partial(loss, pool=pool)).shape == (2,)
    with pytest.raises(ValueError, match=r"\(2,\), got \(2, 3\).*axis=\(-3, -2, -1\)"):
        jax.eval_shape(functools.partial(loss, pool=hard_pixel_mean))


def test_a_kernel_of_another_rank_is_refused(rng):
    logits, labels, _ = random_scene(rng, (4, 5))
    for function in (locally_adaptive_loss, selective_pool):
        with pytest.raises(ValueError, match=r"depth, height.*got \(4, 5, 5\)"):
            function(logits, labels, kernel_size=(3, 3, 3))


@pytest.mark.parametrize("kernel_size", [(5,), (3, 3, 3), (1, 3, 5)])
def test_chessboard_weights_of_any_rank_equal_reference(kernel_size):
    expected = reference.chessboard_weights(kernel_size)
    np.testing.assert_array_equal(chessboard_weights(kernel_size), expected)


def test_uniform_weights_make_the_normalizers_one(rng):
    np.testing.assert_array_equal(uniform_weights((3, 5)), np.ones((3, 5)))
    logits, labels, where = random_scene(rng)
    pool = functools.partial(
        selective_pool,
        logits,
        labels,
        neighbor_weights=uniform_weights(5),
        where=where,
    )
    assert_close(pool(normalizer="weights"), pool(normalizer="count"), length=25)


def test_gaussian_weights_equal_their_formula():
    weights = gaussian_weights((3, 5), sigma=0.8)
    assert weights.shape == (3, 5)
    for (a, b), weight in np.ndenumerate(weights):
        squared = (a - 1) ** 2 + (b - 2) ** 2
        np.testing.assert_allclose(weight, np.exp(-squared / (2 * 0.8**2)), rtol=1e-15)


def test_own_weights_may_be_learned(rng):
    """Autodiff by the weights, traced, under either normalizer."""
    logits, labels, _ = random_scene(rng, (5, 6))
    weights = jnp.asarray(gaussian_weights(3))
    step = 1e-6 * jnp.asarray(rng.normal(size=weights.shape))
    for normalizer in ("count", "weights"):

        def loss(w, normalizer=normalizer):
            return locally_adaptive_loss(
                logits,
                labels,
                kernel_size=3,
                neighbor_weights=w,
                normalizer=normalizer,
            )

        value = jax.jit(loss)
        rise = value(weights + step) - value(weights - step)
        slope = jnp.vdot(jax.jit(jax.grad(loss))(weights), 2 * step)
        np.testing.assert_allclose(rise, slope, rtol=1e-6)

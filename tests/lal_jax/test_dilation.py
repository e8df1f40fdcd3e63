"""Windows with pixels between their places."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import chessboard_weights, gaussian_weights, selective_pool
from tests import reference
from tests.lal_jax.scenes import DTYPES, LOPSIDED, random_scene
from tests.tolerances import assert_close


@functools.partial(jax.jit, static_argnames=("kernel_size", "dilation", "stride"))
def pool(predictions, labels, where, **window):
    return selective_pool(predictions, labels, where=where, **window)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("kernel_size", "dilation", "stride"),
    [(3, 2, 1), ((3, 5), (1, 3), 2), (5, (4, 1), 3), (7, 5, 1), (3, 50, 1)],
)
def test_equals_reference(rng, kernel_size, dilation, stride, dtype):
    """Pairs of sizes with pairs of dilations, and windows beyond the 6×7 pixels."""
    predictions, labels, where = random_scene(rng, dtype=dtype)
    window = {"kernel_size": kernel_size, "dilation": dilation, "stride": stride}
    actual = pool(predictions, labels, where, **window)
    assert actual.dtype == dtype
    arrays = map(np.asarray, (predictions, labels))
    expected = reference.selective_pool(*arrays, where=np.asarray(where), **window)
    assert_close(actual, expected, length=np.prod(kernel_size))


def test_a_dilated_window_is_a_wider_one_with_zeros_between(rng):
    """Under "weights"; "count" would count the zeros."""
    predictions, labels, where = random_scene(rng)
    wide = np.zeros((5, 7))
    wide[::2, ::3] = LOPSIDED
    both = functools.partial(
        selective_pool, predictions, labels, where=where, normalizer="weights"
    )
    dilated = both(kernel_size=3, neighbor_weights=LOPSIDED, dilation=(2, 3))
    expected = both(kernel_size=(5, 7), neighbor_weights=wide)
    assert_close(dilated, expected, length=9)


def test_every_second_pixel_is_an_image_of_its_own(rng):
    """At dilation 2 the four interleaved images do not see each other."""
    predictions, labels, where = random_scene(rng)
    dilated = pool(predictions, labels, where, dilation=2)
    for a, b in np.ndindex(2, 2):
        part = tuple(array[:, a::2, b::2] for array in (predictions, labels, where))
        assert_close(dilated[:, a::2, b::2], pool(*part), length=25)


def test_weights_may_be_learned(rng):
    """Autodiff by lopsided weights against the differences of the reference."""
    predictions, labels, _ = random_scene(rng, (5, 6))
    arrays = np.asarray(predictions), np.asarray(labels)
    factor = rng.normal(size=predictions.shape)
    window: dict[str, Any] = {"kernel_size": 3, "dilation": (2, 1)}

    @jax.jit
    def slope(weights):
        def total(w):
            pooled = selective_pool(
                predictions, labels, neighbor_weights=w, normalizer="weights", **window
            )
            return jnp.vdot(pooled, jnp.asarray(factor))

        return jax.grad(total)(weights), jax.jvp(total, (weights,), (change,))[1]

    change = jnp.asarray(rng.normal(size=(3, 3)))
    weights = LOPSIDED + 0.1
    gradient, along = slope(jnp.asarray(weights))
    ahead, behind = (
        reference.selective_pool(
            *arrays, neighbor_weights=weights + step, normalizer="weights", **window
        )
        for step in (1e-6 * np.asarray(change), -1e-6 * np.asarray(change))
    )
    difference = np.vdot(ahead - behind, factor) / 2e-6
    np.testing.assert_allclose(jnp.vdot(gradient, change), difference, rtol=1e-6)
    np.testing.assert_allclose(along, difference, rtol=1e-6)


def upsampled(features: np.ndarray, stride: int) -> np.ndarray:
    """Bilinear, features on every stride-th pixel, in loops over the output axes."""
    for axis in (0, 1):
        length = (features.shape[axis] - 1) * stride + 1
        rows = []
        for n in range(length):
            left, between = divmod(n, stride)
            right = min(left + 1, features.shape[axis] - 1)
            share = between / stride
            ends = np.take(features, left, axis), np.take(features, right, axis)
            rows.append((1 - share) * ends[0] + share * ends[1])
        features = np.stack(rows, axis)
    return features


@pytest.mark.parametrize(("dilation", "distance"), [(1, 0.106), (8, 0.858)])
def test_windows_of_upsampled_logits_see_little_else(rng, dilation, distance):
    """How far the mean of a 5×5 window is from its center, per standard deviation.

    At output stride 8 a window of 5 pixels lies between two features.
    """
    logits = upsampled(rng.normal(size=(33, 33, 21)), 8)
    labels = jnp.zeros(logits.shape[:2], int)
    means = jax.jit(
        lambda x: selective_pool(x, labels, normalizer="weights", dilation=dilation)
    )(jnp.asarray(logits))
    inside = slice(2 * dilation, -2 * dilation)
    change = (np.asarray(means) - logits)[inside, inside]
    distance_found = np.sqrt((change**2).mean()) / logits.std()
    np.testing.assert_allclose(distance_found, distance, atol=1e-3)


def test_weights_do_not_depend_on_the_dilation(rng):
    """ω goes by places of the window: 2, 1, ½, and so do weights of one's own."""
    predictions, labels, _ = random_scene(rng)
    for weights in (chessboard_weights(3), gaussian_weights(3)):
        options: dict[str, Any] = {"kernel_size": 3, "neighbor_weights": weights}
        actual = selective_pool(predictions, labels, dilation=3, **options)
        arrays = np.asarray(predictions), np.asarray(labels)
        expected = reference.selective_pool(*arrays, dilation=3, **options)
        assert_close(actual, expected, length=9)

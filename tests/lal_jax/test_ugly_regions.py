"""Odd regions and images, with the outcomes that docs/mathematics.md names."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import (
    locally_adaptive_loss,
    selective_cross_entropy,
    selective_pool,
    softmax_cross_entropy,
    standard_score,
)
from tests import reference
from tests.lal_jax.ugly import CLASSES, LABELS, SMALL, evaluate, random_logits
from tests.tolerances import assert_close


@pytest.fixture
def logits(rng) -> np.ndarray:
    return random_logits(rng)


def floor(share):
    """The lowest loss of 21 classes where the neighbors' shares sum to s."""
    root = np.sqrt(CLASSES - 1)
    return np.log1p((CLASSES - 1) * np.exp(-share * CLASSES / root))


def right_everywhere(labels: np.ndarray) -> np.ndarray:
    return 100 * np.eye(CLASSES, dtype=np.float32)[labels]


def test_one_class_in_the_image():
    """When right, 0.4374; the floor of every pixel by what its window holds."""
    labels = np.full((2, 8, 8), 4)
    losses, gradient = evaluate(locally_adaptive_loss, right_everywhere(labels), labels)
    shares = reference.selective_pool(np.ones((8, 8, 1)), labels[0], kernel_size=5)
    expected = (floor(shares) ** 3).mean() ** (1 / 3)
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    np.testing.assert_allclose(losses, 0.4374, atol=5e-5)
    assert jnp.isfinite(gradient).all()


CHECKERBOARD = np.indices((2, 8, 8)).sum(0) % 2


@pytest.mark.parametrize(
    ("kernel_size", "share"), [(3, 6 / 5), (5, 10 / 13), ((1, 3), 2.0)]
)
def test_a_checkerboard_joins_the_pixels_of_one_color(kernel_size, share):
    """5×5: the center, four diagonals at 1 and eight pixels of the ring at ½."""
    labels = jnp.asarray(CHECKERBOARD)
    ones = jnp.ones((2, 8, 8, 1), "float32")
    shares = selective_pool(ones, labels, kernel_size=kernel_size)[:, 2:6, 2:6]
    np.testing.assert_allclose(shares, share, rtol=1e-6)
    losses = selective_cross_entropy(
        jnp.asarray(right_everywhere(CHECKERBOARD)), labels, kernel_size=kernel_size
    )
    np.testing.assert_allclose(losses[:, 2:6, 2:6], floor(share), atol=1e-6)


def test_an_isolated_pixel_is_judged_by_twice_its_score(logits):
    labels = LABELS.copy()
    labels[0, 2, 1] = 9
    score = standard_score(jnp.asarray(logits))
    twice = softmax_cross_entropy(2 * score, jnp.asarray(labels))
    own = lambda x, y: selective_cross_entropy(x, y, **SMALL)[0, 2, 1]  # noqa: E731
    loss, gradient = evaluate(own, logits, labels)
    np.testing.assert_allclose(loss, twice[0, 2, 1], rtol=1e-6)
    assert gradient[0, 2, 1].any()
    assert not gradient.at[0, 2, 1].set(0).any()


@pytest.mark.parametrize(
    ("shape", "kernel_size", "cut"),
    [((2, 3), 5, (3, 5)), ((1, 8), 3, (1, 3)), ((1, 1), 3, 1)],
)
def test_a_window_beyond_the_image_is_cut(shape, kernel_size, cut, rng):
    """ω depends on the distance alone: a smaller window that covers it is the same."""
    logits = rng.normal(size=(*shape, CLASSES))
    labels = rng.integers(2, size=shape)
    outcomes = [
        evaluate(
            functools.partial(selective_cross_entropy, kernel_size=size), logits, labels
        )
        for size in (kernel_size, cut)
    ]
    for whole, small in zip(*outcomes, strict=True):
        assert_close(whole, small, length=CLASSES)
        assert whole.any()

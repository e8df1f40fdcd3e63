"""Bounds of a pixel's loss, and inputs that reach them."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from lal_jax import (
    selective_cross_entropy,
)
from tests import reference
from tests.lal_jax.drawn import repeatable, seeds


def lowest_loss(classes: int, share: np.ndarray) -> np.ndarray:
    """Lower bound: the right logit is large, all others are equal; `share` is s."""
    return np.log1p((classes - 1) * np.exp(-share * classes / np.sqrt(classes - 1)))


def worst_score(classes: int, share: float) -> tuple[np.ndarray, float]:
    """The score of class 0 whose loss is largest, and that loss.

    On the sphere of radius √C one wrong class stands apart from the others: an angle
    is left, which is searched twice, the second time around the best of the first.
    """
    wrong = classes - 1
    right = np.sqrt(wrong) * np.array([1.0, *[-1 / wrong] * wrong])
    peak = np.array([0.0, 1.0, *[-1 / (wrong - 1)] * (wrong - 1)])
    peak *= np.sqrt(classes) / np.linalg.norm(peak)
    best, width = np.pi, np.pi
    for _ in range(3):
        angles = best + np.linspace(-width, width, 1001)
        scores = np.cos(angles)[:, None] * right + np.sin(angles)[:, None] * peak
        logits = share * (scores - scores[:, :1])
        losses = np.log(np.exp(logits).sum(-1))
        best, width = angles[losses.argmax()], width / 200
    return scores[losses.argmax()], losses.max()


@functools.cache
def _losses(kernel_size, normalizer):
    return jax.jit(
        functools.partial(
            selective_cross_entropy, kernel_size=kernel_size, normalizer=normalizer
        )
    )


@pytest.mark.parametrize(
    ("classes", "kernel_size", "normalizer"),
    [
        (3, 3, "count"),
        (11, (3, 5), "count"),
        (21, 5, "count"),
        (21, 3, "weights"),
        (151, 3, "count"),
    ],
)
@repeatable(8)
@given(seed=seeds)
def test_no_loss_leaves_its_bounds(classes, kernel_size, normalizer, seed):
    """Bounds follow from s, the sum of the neighbors' shares; the lower is reached."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=(5, 7))
    ones = np.ones((5, 7, 1))
    window: dict[str, Any] = {"kernel_size": kernel_size, "normalizer": normalizer}
    shares = reference.selective_pool(ones, labels, **window)[..., 0]
    loss = _losses(kernel_size, normalizer)

    right = 1e6 * jax.nn.one_hot(labels, classes, dtype="float64")
    lowest = lowest_loss(classes, shares)
    np.testing.assert_allclose(
        loss(right, jnp.asarray(labels)), lowest, rtol=1e-9, atol=1e-15
    )

    highest = np.zeros_like(shares)
    for share in np.unique(shares):
        highest[shares == share] = worst_score(classes, share)[1]
    for spread in (1, 3, 9):  # the higher, the more the largest logits stand out
        logits = 1e3 * rng.normal(size=(5, 7, classes)) ** spread
        losses = loss(jnp.asarray(logits), jnp.asarray(labels))
        assert (losses >= lowest * (1 - 1e-12)).all()
        assert (losses <= highest * (1 + 1e-6)).all()


@pytest.mark.parametrize(("classes", "kernel_size"), [(3, 3), (21, 5), (151, 3)])
@pytest.mark.parametrize("place", [(2, 3), (0, 0), (4, 2)])
def test_the_upper_bound_is_reached(classes, kernel_size, place):
    """With the worst score of a place everywhere in its region, or at it alone."""
    loss = _losses(kernel_size, "count")
    uniform = np.zeros((5, 7), int)
    lone = np.ones((5, 7), int)
    lone[place] = 0
    for labels in (uniform, lone):
        ones = np.ones((5, 7, 1))
        shares = reference.selective_pool(ones, labels, kernel_size=kernel_size)
        score, highest = worst_score(classes, shares[place].item())
        losses = loss(
            jnp.broadcast_to(1e4 * score, (5, 7, classes)), jnp.asarray(labels)
        )
        np.testing.assert_allclose(losses[place], highest, rtol=1e-6)


@pytest.mark.parametrize(("kernel_size", "floor"), [(5, 0.817), (7, 1.696)])
def test_highest_floor_where_like_neighbors_stand_on_the_outer_ring(kernel_size, floor):
    """C = 21; inside a region it is 0.519 and 1.100."""
    labels = np.zeros((kernel_size, kernel_size), int)
    labels[1:-1, 1:-1] = 1
    center = (kernel_size // 2, kernel_size // 2)
    labels[center] = 0
    right = 1e6 * jax.nn.one_hot(labels, 21, dtype="float64")
    losses = _losses(kernel_size, "count")(right, jnp.asarray(labels))
    np.testing.assert_allclose(losses[center], floor, atol=5e-4)

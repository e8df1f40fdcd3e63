"""The focal loss, the center loss and weighted ensembles."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import (
    center_loss,
    focal_loss,
    softmax_cross_entropy,
    update_centers,
    weighted_ensemble,
)
from tests import reference_counterparts
from tests.lal_jax.effort import full_jit
from tests.lal_jax.scenes import DTYPES, random_scene
from tests.tolerances import assert_close

WEIGHTS = np.array([0.5, 2.0, 1.0, 3.0, 0.1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("class_weights", [None, WEIGHTS])
def test_focal_loss_equals_reference(rng, class_weights, gamma, dtype):
    logits, labels, where = random_scene(rng, dtype=dtype)
    options = {"gamma": gamma, "alpha": 0.4, "class_weights": class_weights}
    actual = focal_loss(logits, labels, where=where, **options)
    assert actual.dtype == dtype
    expected = reference_counterparts.focal_loss(
        np.asarray(logits), np.asarray(labels), where=np.asarray(where), **options
    )
    assert_close(actual, expected, length=25)


def test_focal_loss_without_focus_is_cross_entropy(rng):
    logits, labels, _ = random_scene(rng)
    actual = focal_loss(logits, labels, alpha=1.0, gamma=0.0)
    assert_close(actual, softmax_cross_entropy(logits, labels), length=5)


@functools.cache
def _focal_loss_and_slope(gamma):
    losses = lambda x: focal_loss(x, jnp.array([0, 1, 255]), gamma=gamma)  # noqa: E731
    return full_jit(jax.value_and_grad(lambda x: losses(x).sum()))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("height", [0.0, 1e4, -1e4, 1e18])
def test_focal_loss_is_finite_for_finite_logits(gamma, height):
    logits = np.zeros((3, 4), np.float32)
    logits[:, 1] = height
    value, slope = _focal_loss_and_slope(gamma)(logits)
    assert jnp.isfinite(value) and jnp.isfinite(slope).all()
    assert not slope[2].any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_center_loss_equals_reference(rng, dtype):
    features, labels, where = random_scene(rng, dtype=dtype)
    centers = jnp.asarray(rng.normal(size=(3, 5)), dtype)
    arrays = [np.asarray(x) for x in (features, labels, centers, where)]
    actual = center_loss(features, labels, centers, where=where)
    assert actual.dtype == dtype
    assert_close(
        actual,
        reference_counterparts.center_loss(*arrays[:3], where=arrays[3]),
        length=5,
    )


def test_gradient_reaches_features_alone(rng):
    features, labels, where = random_scene(rng)
    centers = jnp.asarray(rng.normal(size=(3, 5)))
    total = lambda x, c: center_loss(x, labels, c, where=where).sum()  # noqa: E731
    gradient = full_jit(jax.grad(total, argnums=(0, 1)))
    by_features, by_centers = gradient(features, centers)
    assert not by_centers.any()
    counted = where & (labels != 255)
    offsets = features - centers[jnp.where(counted, labels, 0)]
    expected = jnp.where(counted[..., None], offsets, 0)
    assert_close(by_features, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_update_centers_equals_reference(rng, alpha, dtype):
    """The fourth class does not occur and keeps its center."""
    features, labels, where = random_scene(rng, dtype=dtype)
    centers = jnp.asarray(rng.normal(size=(4, 5)), dtype)
    arrays = [np.asarray(x) for x in (centers, features, labels, where)]
    actual = update_centers(centers, features, labels, alpha=alpha, where=where)
    assert actual.dtype == dtype
    expected = reference_counterparts.update_centers(
        *arrays[:3], alpha=alpha, where=arrays[3]
    )
    assert_close(actual, expected, length=84)
    np.testing.assert_array_equal(actual[3], centers[3])


def test_updating_centers_takes_no_copy_a_class():
    """Temporaries of at most 3 × the features, however many classes there are."""
    arrays = [
        jax.ShapeDtypeStruct(shape, dtype)
        for shape, dtype in [
            ((50, 50), "float32"),
            ((1, 64, 64, 50), "float32"),
            ((1, 64, 64), "int32"),
        ]
    ]
    analysis = full_jit(update_centers).lower(*arrays).compile().memory_analysis()
    assert analysis is not None
    assert analysis.temp_size_in_bytes <= 3 * 4 * arrays[1].size


def test_void_features_do_not_count(rng):
    features, labels, where = random_scene(rng)
    void = ~where | (labels == 255)
    poisoned = jnp.where(void[..., None], jnp.nan, features)
    centers = jnp.zeros((3, 5))
    value, slope = full_jit(
        jax.value_and_grad(lambda x: center_loss(x, labels, centers, where=where).sum())
    )(poisoned)
    assert jnp.isfinite(value) and jnp.isfinite(slope).all()
    assert jnp.isfinite(update_centers(centers, poisoned, labels, where=where)).all()


def test_repeated_updates_reach_the_class_means(rng):
    features, labels, _ = random_scene(rng)
    centers = jnp.zeros((3, 5))
    update = full_jit(update_centers)
    for _ in range(60):
        centers = update(centers, features, labels)
    means = jnp.stack([features[labels == k].mean(0) for k in range(3)])
    np.testing.assert_allclose(centers, means, rtol=1e-9)


def test_ensemble_is_the_weighted_mean(rng):
    estimates = rng.normal(size=(3, 4, 5))
    expected = (np.array([1, 2, 5])[:, None, None] * estimates).sum(0) / 8
    assert_close(weighted_ensemble(list(estimates), [1, 2, 5]), expected, length=3)
    assert_close(weighted_ensemble(estimates, np.array([1, 2, 5])), expected, length=3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: focal_loss(x, y, alpha=0), "alpha must be.*above 0, got 0"),
        (lambda x, y: focal_loss(x, y, gamma=-1), "gamma must be.*at least 0, got -1"),
        (lambda x, y: center_loss(x, y, jnp.ones((3, 4))), r"\(3, 4\).*\(2, 6, 7, 5\)"),
        (lambda x, y: center_loss(x, y, jnp.ones((3, 5), int)), "floating point"),
        (lambda x, y: update_centers(jnp.ones((3, 5)), x, y, alpha=2), "alpha.*got 2"),
        (lambda x, y: weighted_ensemble([x, x], [1.0]), r"weights \(1,\).*\(2, 2, 6"),
        (lambda x, y: weighted_ensemble([x, x[0]], [1.0, 1.0]), "one shape, got"),
    ],
)
def test_misuse_is_named(rng, call, message):
    features, labels, _ = random_scene(rng)
    with pytest.raises(ValueError, match=message):
        call(features, labels)

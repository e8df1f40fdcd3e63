"""The class-balanced mean, its gradient, and pools that take labels."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import (
    class_balanced_mean,
    locally_adaptive_loss,
    masked_mean,
    minkowski_mean,
    selective_cross_entropy,
)
from lal_jax.gradients import class_balanced_gradient, locally_adaptive_gradient
from tests import reference, reference_means
from tests.lal_jax.functions import LABELS, LOGITS, refuses
from tests.lal_jax.scenes import DTYPES, LOPSIDED, SHAPE, random_losses, random_scene
from tests.tolerances import assert_close


def losses_and_labels(rng, dtype="float64"):
    """Labels of which some are void, −1 or 7, where there are five classes."""
    losses, where = random_losses(rng, dtype)
    labels = rng.choice([0, 0, 0, 1, 1, 2, 4, 7, -1, 255], size=SHAPE)
    return losses, jnp.asarray(labels), where


@functools.partial(jax.jit, static_argnames=("exponent", "power", "classes"))
def value_and_gradients(losses, labels, where, **options):
    mean = functools.partial(class_balanced_mean, labels=labels, where=where, **options)
    value, pullback = jax.vjp(mean, losses)
    closed = class_balanced_gradient(losses, labels, where=where, **options)
    return value, pullback(jnp.ones_like(value))[0], closed


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", [None, 5])
@pytest.mark.parametrize(
    ("exponent", "power"), [(0.5, 1.0), (0.0, 3.0), (1.0, 2.5), (0.3, 0.5)]
)
def test_value_and_gradient_equal_reference(rng, exponent, power, classes, dtype):
    losses, labels, where = losses_and_labels(rng, dtype)
    options: dict[str, Any] = {"exponent": exponent, "power": power, "classes": classes}
    value, autodiff, closed = value_and_gradients(losses, labels, where, **options)
    assert value.dtype == autodiff.dtype == closed.dtype == dtype
    arrays = np.asarray(losses), np.asarray(labels)
    options["where"] = np.asarray(where)
    expected = reference_means.class_balanced_mean(*arrays, **options)
    assert_close(value, expected, length=42)
    expected = reference_means.class_balanced_gradient(*arrays, **options)
    assert_close(autodiff, expected, length=42)
    assert_close(closed, expected, length=42)


def test_loops_equal_finite_differences(rng):
    losses, labels, where = map(np.asarray, losses_and_labels(rng))
    options: dict[str, Any] = {"exponent": 0.7, "power": 3.0, "where": where}
    change = 1e-6 * rng.normal(size=SHAPE)
    ahead, behind = (
        reference_means.class_balanced_mean(losses + step, labels, **options)
        for step in (change, -change)
    )
    gradient = reference_means.class_balanced_gradient(losses, labels, **options)
    slopes = 2 * (gradient * change).sum((1, 2))
    np.testing.assert_allclose(ahead - behind, slopes, rtol=1e-8)


@pytest.mark.parametrize("axis", [-1, 0, (0, 2), None])
@pytest.mark.parametrize("classes", [None, 8])
def test_axes(rng, axis, classes):
    """Any axes reduce as the last two of an array turned that way."""
    losses, labels, where = losses_and_labels(rng)
    axes = (0, 1, 2) if axis is None else (axis,) if isinstance(axis, int) else axis
    last = range(-len(axes), 0)
    turned = [np.moveaxis(np.asarray(a), axes, last) for a in (losses, labels, where)]
    flat = [a.reshape(*a.shape[: a.ndim - len(axes)], 1, -1) for a in turned]
    options: dict[str, Any] = {"exponent": 1.0, "classes": classes}
    expected = reference_means.class_balanced_mean(*flat[:2], where=flat[2], **options)
    actual = class_balanced_mean(losses, labels, where=where, axis=axis, **options)
    assert_close(actual, expected, length=84)


@pytest.mark.parametrize("power", [1.0, 3.0])
def test_exponent_zero_is_the_plain_mean(rng, power):
    losses, labels, where = losses_and_labels(rng)
    actual = class_balanced_mean(losses, labels, exponent=0.0, power=power, where=where)
    expected = minkowski_mean(losses, power=power, where=where & (labels != 255))
    assert_close(actual, expected, length=42)


def test_exponent_one_is_the_mean_of_the_classes_means(rng):
    losses, labels, where = losses_and_labels(rng)
    means = [
        [masked_mean(losses[i], where=where[i] & (labels[i] == c)) for c in range(3)]
        for i in range(2)
    ]
    actual = class_balanced_mean(losses, labels, exponent=1.0, where=where, classes=3)
    assert_close(actual, np.mean(means, axis=1), length=42)


@pytest.mark.parametrize("classes", [None, 5])
def test_nothing_valid_is_zero(classes):
    """An image of void, one of strays, one of zeros, one with a single pixel."""
    losses = jnp.full((4, 3, 4), jnp.nan).at[2].set(0.0).at[3, 1, 2].set(7.0)
    labels = jnp.full((4, 3, 4), 255).at[1].set(9).at[2].set(0).at[3, 1, 2].set(3)
    where = jnp.ones((4, 3, 4), bool).at[1].set(classes is not None)
    for power in (1.0, 2.5):
        options: dict[str, Any] = {"exponent": 0.5, "power": power, "classes": classes}
        value, autodiff, closed = value_and_gradients(losses, labels, where, **options)
        np.testing.assert_allclose(value, [0, 0, 0, 7], rtol=1e-14)
        for gradient in (autodiff, closed):
            assert not gradient[:2].any() and jnp.isfinite(gradient).all()
            np.testing.assert_allclose(gradient[3, 1, 2], 1.0, rtol=1e-14)
            assert not gradient[3].at[1, 2].set(0).any()


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4)])
def test_empty_is_zero(shape):
    value = class_balanced_mean(jnp.zeros(shape), jnp.zeros(shape, int))
    assert value.shape == shape[:1] and not value.any()


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_neither_overflows_nor_underflows(rng, scale):
    losses, labels, where = losses_and_labels(rng, "float32")
    losses *= jnp.float32(scale)
    options: dict[str, Any] = {"exponent": 1.0, "power": 3.0}
    value, autodiff, closed = value_and_gradients(losses, labels, where, **options)
    arrays = np.asarray(losses, np.float64), np.asarray(labels)
    options["where"] = np.asarray(where)
    expected = reference_means.class_balanced_mean(*arrays, **options)
    assert_close(value, expected, length=42)
    expected = reference_means.class_balanced_gradient(*arrays, **options)
    for gradient in (autodiff, closed):
        assert_close(gradient, expected, length=42)


POOLED: dict[str, dict[str, Any]] = {
    "image": {},
    "stride": {"kernel_size": (3, 5), "stride": 2, "dilation": 2},
    "volume": {"kernel_size": (3, 1, 3)},
    "weights": {"kernel_size": 3, "neighbor_weights": LOPSIDED},
}


@pytest.mark.parametrize("options", POOLED.values(), ids=POOLED.keys())
def test_pools_the_locally_adaptive_loss(rng, options):
    """Values, autodiff and closed form; a label out of range weighs nothing."""
    logits, labels, where = random_scene(rng, (2, 3, 4, 5))
    labels = labels.at[:, 0, 0, 0].set(7).at[:, 2, 2, 2].set(-1)
    balance: dict[str, Any] = {"exponent": 0.8, "power": 2.0}
    axes = (-3, -2, -1) if options.get("kernel_size") == (3, 1, 3) else (-2, -1)
    of_losses = {**balance, "axis": axes}

    @jax.jit
    def everything(x):
        loss = functools.partial(
            locally_adaptive_loss,
            labels=labels,
            where=where,
            pool=functools.partial(class_balanced_mean, **of_losses),
            **options,
        )
        losses, pullback = jax.vjp(loss, x)
        closed = locally_adaptive_gradient(
            x,
            labels,
            where=where,
            pool_gradient=functools.partial(class_balanced_gradient, **of_losses),
            **options,
        )
        return losses, pullback(jnp.ones_like(losses))[0], closed

    losses, autodiff, closed = everything(logits)
    inside = np.asarray((labels >= 0) & (labels < 5) & where)
    arrays = np.asarray(logits), np.where(inside, labels, 255)
    given = {**options, **balance}
    assert_close(losses, reference.locally_adaptive_loss(*arrays, **given), length=125)
    expected = reference.locally_adaptive_gradient(*arrays, **given)
    assert_close(autodiff, expected, length=125)
    assert_close(closed, expected, length=125)


def test_a_pool_is_told_what_it_has_names_for(rng):
    """Labels of the centers, number of classes; void is known by `where` alone."""
    logits, labels, where = random_scene(rng)
    seen: list[dict[str, Any]] = []

    def all_of_it(losses, *, labels, where, classes, ignore_label):
        seen.append({"labels": labels, "classes": classes, "ignored": ignore_label})
        return losses.sum((-2, -1))

    def labels_alone(losses, labels, where):
        seen.append({"labels": labels})
        return losses.sum((-2, -1))

    options: dict[str, Any] = {"kernel_size": 1, "stride": 2, "where": where}
    for pool in (all_of_it, labels_alone, functools.partial(all_of_it, classes=99)):
        locally_adaptive_loss(logits, labels, pool=pool, **options)  # type: ignore[arg-type]
    for known in seen:
        np.testing.assert_array_equal(known["labels"], labels[:, ::2, ::2])
    assert [known.get("classes") for known in seen] == [5, None, 5]
    assert [known.get("ignored") for known in seen] == [-1, None, -1]


def test_another_ignore_label_is_void_to_the_pool(rng):
    """A class of the losses' pixels may have the number 255 or be ignored as 1."""
    logits, labels, _ = random_scene(rng)
    options: dict[str, Any] = {"kernel_size": 1, "ignore_label": 1}
    losses = selective_cross_entropy(logits, labels, **options)
    expected = class_balanced_mean(losses, labels, classes=5, ignore_label=1)
    actual = locally_adaptive_loss(logits, labels, pool=class_balanced_mean, **options)
    assert_close(actual, expected, length=42)


def test_pool_gradients_that_do_not_fit():
    gradient = functools.partial(
        locally_adaptive_gradient, LOGITS, LABELS, kernel_size=1
    )
    strange: Any
    with refuses("pool_gradient must have one number", "(2, 6, 7)", "got shape (2,)"):
        gradient(pool_gradient=class_balanced_mean)
    for strange in ("mean", 3):
        with refuses("pool_gradient must be a function", f"got {strange!r}"):
            gradient(pool_gradient=strange)
        with refuses("pool must be a function", f"got {strange!r}"):
            locally_adaptive_loss(LOGITS, LABELS, kernel_size=1, pool=strange)

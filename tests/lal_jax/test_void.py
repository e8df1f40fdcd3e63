"""Ignored pixels have no effect: no value and no gradient depends on what they hold."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lal_jax import (
    boundary_loss,
    center_loss,
    cl_dice_loss,
    class_balanced_mean,
    dice_loss,
    focal_loss,
    generalized_dice_loss,
    gradients,
    hard_pixel_mean,
    jaccard_loss,
    locally_adaptive_loss,
    loss_max_pooling,
    lovasz_softmax_loss,
    masked_mean,
    minkowski_mean,
    pixel_contrast_loss,
    pixel_triplet_loss,
    region_mutual_information_loss,
    selective_cross_entropy,
    selective_pool,
    softmax_cross_entropy,
    tversky_loss,
    update_centers,
)
from tests.lal_jax.drawn import CLASSES, SHAPE, repeatable, scene, seeds

WINDOW: dict[str, Any] = {"kernel_size": 3}
IMAGE_SCORE: dict[str, Any] = {
    "normalization": "image_score",
    "dilation": 2,
    "score_scale": 2.0,
    **WINDOW,
}
CLASS_OF: Any = np.arange(np.prod(SHAPE)).reshape(SHAPE) % 3
CENTERS = np.linspace(-1, 1, 3 * CLASSES).reshape(3, CLASSES)
# Each takes logits, labels and `where`.
OF_LOGITS: dict[str, Callable[..., jax.Array]] = {
    "softmax_cross_entropy": softmax_cross_entropy,
    "focal_loss": focal_loss,
    "focal_loss of a root": functools.partial(focal_loss, gamma=0.5),
    "center_loss": lambda x, y, where: center_loss(
        x, y, jnp.asarray(CENTERS), where=where
    ),
    "dice_loss": functools.partial(dice_loss, squared=True),
    "tversky_loss": functools.partial(tversky_loss, gamma=0.5, smooth=0.0),
    "jaccard_loss": functools.partial(
        jaccard_loss, activation="sigmoid", classes="all", per_image=False
    ),
    "generalized_dice_loss": generalized_dice_loss,
    "lovasz_softmax_loss": functools.partial(lovasz_softmax_loss, classes="all"),
    "boundary_loss": boundary_loss,
    "region_mutual_information_loss": functools.partial(
        region_mutual_information_loss, radius=2, downsampling=2
    ),
    "cl_dice_loss": functools.partial(cl_dice_loss, iterations=2, smooth=0.0),
    "pixel_contrast_loss": lambda x, y, where: pixel_contrast_loss(
        x, y, key=jax.random.key(0), samples=20, where=where
    ),
    "pixel_triplet_loss": lambda x, y, where: pixel_triplet_loss(
        x, y, key=jax.random.key(0), samples=20, where=where, per_image=False
    ),
    "selective_pool": functools.partial(selective_pool, **WINDOW),
    "selective_cross_entropy": functools.partial(selective_cross_entropy, **WINDOW),
    "locally_adaptive_loss": functools.partial(locally_adaptive_loss, **WINDOW),
    "… of raw logits": functools.partial(
        locally_adaptive_loss, normalization="none", normalizer="weights", **WINDOW
    ),
    "… with hard pixels": functools.partial(
        locally_adaptive_loss, pool=hard_pixel_mean, stride=2, **WINDOW
    ),
    "… class balanced": functools.partial(
        locally_adaptive_loss, pool=class_balanced_mean, **WINDOW
    ),
    "… of image scores": functools.partial(locally_adaptive_loss, **IMAGE_SCORE),
}
# As well, but without a gradient of their own.
NOT_LOSSES: dict[str, Callable[..., jax.Array]] = {
    "update_centers": lambda x, y, where: update_centers(
        jnp.asarray(CENTERS), x, y, where=where
    ),
    "locally_adaptive_gradient": functools.partial(
        gradients.locally_adaptive_gradient, **WINDOW
    ),
    "… of image scores": functools.partial(
        gradients.locally_adaptive_gradient,
        pool_gradient=gradients.class_balanced_gradient,
        **IMAGE_SCORE,
    ),
    "selective_gradient": functools.partial(gradients.selective_gradient, **WINDOW),
    "as_printed": functools.partial(gradients.as_printed, **WINDOW),
}
# Each takes losses and `where`.
OF_LOSSES: dict[str, Callable[..., jax.Array]] = {
    "masked_mean": masked_mean,
    "minkowski_mean": minkowski_mean,
    "minkowski_mean of roots": functools.partial(minkowski_mean, power=0.5),
    "hard_pixel_mean": hard_pixel_mean,
    "loss_max_pooling": loss_max_pooling,
    "class_balanced_mean": functools.partial(class_balanced_mean, labels=CLASS_OF),
    "class_balanced_gradient": functools.partial(
        gradients.class_balanced_gradient, labels=CLASS_OF, power=2.0
    ),
    "minkowski_gradient": gradients.minkowski_gradient,
}


@functools.cache
def _value(function):
    return jax.jit(lambda x, labels, where: function(x, labels, where=where))


fillings = st.sampled_from([np.nan, np.inf, -np.inf, 1e30, -1e30, 1e300])


@functools.cache
def _value_and_gradient(function):
    @jax.jit
    def both(values, *rest):
        result, pullback = jax.vjp(
            lambda x: function(x, *rest[:-1], where=rest[-1]), values
        )
        return result, pullback(jnp.ones_like(result))[0]

    return both


@pytest.mark.parametrize("function", OF_LOGITS.values(), ids=OF_LOGITS.keys())
@repeatable(6)
@given(seed=seeds, filling=fillings)
def test_void_pixels_may_hold_any_logits(function, seed, filling):
    _, logits, labels, where = scene(seed)
    void = ~where | (labels == 255)
    rest = jnp.asarray(labels), jnp.asarray(where)
    clean = _value_and_gradient(function)(jnp.asarray(logits), *rest)
    logits = np.where(void[..., None], filling, logits)
    filled = _value_and_gradient(function)(jnp.asarray(logits), *rest)
    for before, after in zip(clean, filled, strict=True):
        np.testing.assert_array_equal(after, before)
        assert jnp.isfinite(after).all()
    assert not filled[1][void].any()


@pytest.mark.parametrize("function", NOT_LOSSES.values(), ids=NOT_LOSSES.keys())
@repeatable(6)
@given(seed=seeds, filling=fillings)
def test_void_pixels_may_hold_any_logits_in_closed_forms(function, seed, filling):
    _, logits, labels, where = scene(seed)
    void = ~where | (labels == 255)
    rest = jnp.asarray(labels), jnp.asarray(where)
    clean = _value(function)(jnp.asarray(logits), *rest)
    assert jnp.isfinite(clean).all()
    filled = np.where(void[..., None], filling, logits)
    np.testing.assert_array_equal(_value(function)(jnp.asarray(filled), *rest), clean)


@pytest.mark.parametrize("function", OF_LOSSES.values(), ids=OF_LOSSES.keys())
@repeatable(6)
@given(seed=seeds, filling=fillings)
def test_void_pixels_may_hold_any_losses(function, seed, filling):
    rng, _, labels, where = scene(seed)
    losses = rng.exponential(size=SHAPE)
    clean = _value_and_gradient(function)(jnp.asarray(losses), jnp.asarray(where))
    losses = np.where(where, losses, filling)
    filled = _value_and_gradient(function)(jnp.asarray(losses), jnp.asarray(where))
    for before, after in zip(clean, filled, strict=True):
        np.testing.assert_array_equal(after, before)
        assert jnp.isfinite(after).all()
    assert not filled[1][~where].any()


@pytest.mark.parametrize(
    "loss",
    [
        softmax_cross_entropy,
        *(
            functools.partial(locally_adaptive_loss, kernel_size=3, normalization=name)
            for name in ("standard_score", "image_score", "none")
        ),
    ],
    ids=["cross-entropy", "standard score", "image score", "logits"],
)
@pytest.mark.parametrize("filling", [np.nan, -np.inf])
def test_void_pixels_leave_second_derivatives_alone(loss, filling):
    """Forward over reverse and reverse over reverse."""
    rng, logits, labels, where = scene(0)
    void = ~where | (labels == 255)
    way = jnp.asarray(rng.normal(size=logits.shape))

    def gradient(x):
        rest = jnp.asarray(labels)
        return jax.grad(lambda x: loss(x, rest, where=jnp.asarray(where)).sum())(x)

    @jax.jit
    def twice(x):
        _, forward = jax.jvp(gradient, (x,), (way,))
        return forward, jax.grad(lambda x: (gradient(x) * way).sum())(x)

    clean = twice(jnp.asarray(logits))
    filled = twice(jnp.asarray(np.where(void[..., None], filling, logits)))
    for before, after in zip(clean, filled, strict=True):
        np.testing.assert_array_equal(after, before)
        assert not after[void].any() and after.any()

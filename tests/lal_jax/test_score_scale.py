"""The factor of the scores: given, traced, and learned."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import locally_adaptive_loss, selective_cross_entropy
from lal_jax.gradients import locally_adaptive_gradient
from tests import reference
from tests.lal_jax.scenes import DTYPES, random_scene
from tests.tolerances import assert_close

OPTIONS: dict[str, Any] = {"kernel_size": 3, "normalization": "image_score"}


def test_scales_the_logits_where_nothing_is_normalized(rng):
    logits, labels, where = random_scene(rng)
    loss = functools.partial(
        locally_adaptive_loss, labels=labels, where=where, normalization="none"
    )
    assert_close(loss(logits, score_scale=0.3), loss(0.3 * logits), length=125)


@pytest.mark.parametrize("dtype", DTYPES)
def test_may_be_learned(rng, dtype):
    """Values and derivatives by a traced scale, under jit and vmap, in both modes."""
    logits, labels, where = random_scene(rng, dtype=dtype)
    scales = np.array([0.5, 2.0, 8.0])

    def loss(scale):
        return locally_adaptive_loss(
            logits, labels, where=where, score_scale=scale, **OPTIONS
        ).sum()

    @jax.jit
    def everything(scales):
        values, slopes = jax.vmap(jax.value_and_grad(loss))(scales)
        _, forward = jax.jvp(jax.vmap(loss), (scales,), (jnp.ones_like(scales),))
        return values, slopes, forward

    values, slopes, forward = everything(jnp.asarray(scales, dtype))
    assert values.dtype == slopes.dtype == dtype

    def expected(scale):
        return reference.locally_adaptive_loss(
            np.asarray(logits),
            np.asarray(labels),
            where=np.asarray(where),
            score_scale=scale,
            **OPTIONS,
        ).sum()

    assert_close(values, np.array([expected(s) for s in scales]), length=125)
    differences = [(expected(s + 1e-6) - expected(s - 1e-6)) / 2e-6 for s in scales]
    relative = {"float64": 1e-7, "float32": 1e-5}[dtype]
    np.testing.assert_allclose(slopes, differences, rtol=relative)
    np.testing.assert_allclose(forward, slopes, rtol=relative)


def test_a_scale_of_another_dtype_keeps_it(rng):
    """The loss is in the logits' dtype, the gradient by the scale in its own."""
    logits, labels, _ = random_scene(rng, dtype="bfloat16")
    both = jax.jit(
        jax.value_and_grad(
            lambda scale: locally_adaptive_loss(
                logits, labels, kernel_size=3, score_scale=scale
            ).sum()
        )
    )
    loss, slope = both(jnp.asarray(4.0, "float64"))
    assert (loss.dtype, slope.dtype) == ("float32", "float64")
    wide = both(jnp.asarray(4, "int8").astype("float32"))
    np.testing.assert_allclose(loss, wide[0], rtol=1e-6)
    np.testing.assert_allclose(slope, wide[1], rtol=1e-6)


def test_closed_form_gradient_of_a_traced_scale(rng):
    logits, labels, where = random_scene(rng)

    @jax.jit
    def gradient(scale):
        return locally_adaptive_gradient(
            logits, labels, where=where, score_scale=scale, **OPTIONS
        )

    expected = reference.locally_adaptive_gradient(
        np.asarray(logits),
        np.asarray(labels),
        where=np.asarray(where),
        score_scale=2.5,
        **OPTIONS,
    )
    assert_close(gradient(jnp.asarray(2.5)), expected, length=125)


@jax.jit
def region(logits, scales):
    """Losses, and lengths of their gradients, inside a region of class 4, by scale."""
    labels = jnp.full(logits.shape[:-1], 4)

    def total(x, scale):
        losses = selective_cross_entropy(x, labels, score_scale=scale)
        return losses.sum(), losses[2:-2, 2:-2]

    slope = jax.vmap(jax.grad(total, has_aux=True), in_axes=(None, 0))
    gradient, losses = slope(logits, scales)
    return losses, jnp.linalg.norm(gradient[:, 2:-2, 2:-2], axis=-1)


SCALES = np.array([1.0, 2.0, 4.0, 8.0])


def test_lowers_the_floor():
    """C = 21: the lowest loss inside a region, log(1 + 20 exp(−a · 18/25 · 21/√20))."""
    onehot = jax.nn.one_hot(jnp.full((16, 16), 4), 21, dtype="float64")
    losses, _ = region(1e6 * onehot, jnp.asarray(SCALES))
    floors = np.log1p(20 * np.exp(-SCALES * 18 / 25 * 21 / np.sqrt(20)))
    for loss, floor in zip(losses, floors, strict=True):
        np.testing.assert_allclose(loss, floor, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(floors, [0.519, 0.0229, 2.68e-5, 3.58e-11], rtol=2e-3)


def test_lets_go_of_pixels_that_are_right(rng):
    """Length of a pixel's gradient, the right of 21 logits ahead by 6 of noise."""
    onehot = 6 * jax.nn.one_hot(jnp.full((16, 16), 4), 21, dtype="float64")
    logits = onehot + jnp.asarray(rng.normal(size=onehot.shape))
    assert (logits.argmax(-1) == 4).mean() > 0.99
    _, lengths = region(logits, jnp.asarray(SCALES))
    np.testing.assert_allclose(
        lengths.mean((1, 2)), [0.166, 0.0486, 5.2e-4, 3.0e-8], rtol=0.05
    )

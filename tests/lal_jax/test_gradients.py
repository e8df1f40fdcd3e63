import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import (
    locally_adaptive_loss,
    minkowski_mean,
    selective_cross_entropy,
    softmax_cross_entropy,
    standard_score,
)
from lal_jax.gradients import (
    as_printed,
    locally_adaptive_gradient,
    minkowski_gradient,
    selective_gradient,
)
from tests import reference, reference_means
from tests.lal_jax.effort import full_jit
from tests.lal_jax.scenes import DTYPES, OPTIONS, random_losses, random_scene
from tests.tolerances import assert_close


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_closed_form_autodiff_and_loops_agree(rng, options):
    logits, labels, where = random_scene(rng)
    options = {**options, "where": where}

    @jax.jit
    def both(x):
        loss = jax.grad(lambda x: locally_adaptive_loss(x, labels, **options).sum())
        return locally_adaptive_gradient(x, labels, **options), loss(x)

    closed, autodiff = both(logits)
    loops = reference.locally_adaptive_gradient(
        np.asarray(logits), np.asarray(labels), **options
    )
    assert_close(closed, loops, length=125)
    assert_close(autodiff, loops, length=125)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_loops_equal_finite_differences(rng, options):
    """Central differences of the library's loss over every entry of a small input."""
    logits, labels, _ = random_scene(rng, (4, 4))
    loss = jax.jit(jax.vmap(lambda x: locally_adaptive_loss(x, labels, **options)))
    steps = 1e-5 * jnp.eye(logits.size).reshape(logits.size, *logits.shape)
    differences = (loss(logits[None] + steps) - loss(logits[None] - steps)) / 2e-5
    loops = reference.locally_adaptive_gradient(
        np.asarray(logits), np.asarray(labels), **options
    )
    np.testing.assert_allclose(differences, loops.ravel(), atol=1e-6 * loops.max())


@pytest.mark.parametrize("power", [0.5, 1.0, 2.5])
@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_and_dtypes(rng, dtype, power):
    logits, labels, _ = random_scene(rng, dtype=dtype)
    options = {"kernel_size": 3, "power": power}
    gradient = jax.jit(functools.partial(locally_adaptive_gradient, **options))
    actual = gradient(logits, labels)
    assert actual.dtype == dtype
    expected = reference.locally_adaptive_gradient(
        np.asarray(logits), np.asarray(labels), **options
    )
    assert_close(actual, expected, length=45)


@pytest.mark.parametrize("shape", [(1, 6), (2, 1, 3, 4), (0, 3, 4)])
def test_shapes_equal_reference(rng, shape):
    logits, labels, _ = random_scene(rng, shape)
    gradient = jax.jit(functools.partial(locally_adaptive_gradient, kernel_size=3))
    expected = reference.locally_adaptive_gradient(
        np.asarray(logits), np.asarray(labels), kernel_size=3
    )
    assert_close(gradient(logits, labels), expected, length=45)


def test_void_has_no_effect_and_no_gradient(rng):
    logits, labels, where = random_scene(rng)
    labels = labels.at[1].set(255)
    void = (labels == 255) | ~where
    gradient = jax.jit(functools.partial(locally_adaptive_gradient, where=where))
    clean = gradient(logits, labels)
    assert clean[~void].any()
    assert not clean[void].any()
    poisoned = jnp.where(void[..., None], jnp.nan, logits)
    np.testing.assert_array_equal(gradient(poisoned, labels), clean)


@pytest.mark.parametrize("power", [0.5, 1.0, 3.0])
def test_minkowski_gradient_equals_loops_and_autodiff(rng, power):
    losses, where = random_losses(rng)
    where = where.at[1].set(False)
    closed = minkowski_gradient(losses, power=power, where=where)
    loops = reference_means.minkowski_gradient(
        np.asarray(losses), power=power, where=np.asarray(where)
    )
    autodiff = jax.grad(lambda x: minkowski_mean(x, power=power, where=where).sum())
    assert_close(closed, loops, length=42)
    assert_close(autodiff(losses), loops, length=42)


def test_selective_gradient_equals_autodiff(rng):
    """Eq. 8 alone, each center's loss weighted by a cotangent."""
    scores, labels, where = random_scene(rng)
    losses, pullback = jax.vjp(
        lambda x: selective_cross_entropy(x, labels, normalization="none", where=where),
        scores,
    )
    for cotangents in (None, jnp.asarray(rng.normal(size=losses.shape))):
        closed = selective_gradient(scores, labels, cotangents=cotangents, where=where)
        ones = jnp.ones_like(losses)
        (autodiff,) = pullback(ones if cotangents is None else cotangents)
        assert_close(closed, autodiff, length=125)


def _mean_cross_entropy(logits, labels):
    return jnp.mean(softmax_cross_entropy(logits, labels), axis=(-2, -1))


@functools.cache
def _mean_gradient(loss):
    return full_jit(jax.grad(lambda logits, labels: loss(logits, labels).mean()))


@pytest.mark.parametrize(("spread", "ratio"), [(0.01, 81.2), (1.0, 0.79), (5.0, 0.13)])
def test_gradients_lengthen_as_the_logits_shrink(rng, spread, ratio):
    """∝ 1/σ, where the gradient of cross-entropy hardly changes."""
    classes = (21 * rng.uniform(size=(2, 8, 8)) ** 2).astype(int)
    labels = jnp.asarray(np.kron(classes, np.ones((8, 8), int)))
    logits = jnp.asarray(spread * rng.normal(size=(2, 64, 64, 21)), "float32")

    lengths = [
        jnp.linalg.norm(_mean_gradient(loss)(logits, labels))
        for loss in (locally_adaptive_loss, _mean_cross_entropy)
    ]
    np.testing.assert_allclose(lengths[0] / lengths[1], ratio, rtol=0.02)


def test_the_printed_gradient_departs(rng):
    """Cosine to the true ∂L/∂x, of one image with regions of every size."""
    labels = jnp.asarray(np.repeat(np.repeat(rng.integers(5, size=(4, 4)), 3, 0), 3, 1))
    right = 2 * jax.nn.one_hot(labels, 5, dtype="float64")
    x = standard_score(right + jnp.asarray(rng.normal(size=(12, 12, 5))))

    @full_jit
    def gradients(x):
        loss = functools.partial(locally_adaptive_loss, normalization="none")
        closed = locally_adaptive_gradient(x, labels, normalization="none")
        return jax.grad(loss)(x, labels), as_printed(x, labels), closed

    true, printed, closed = gradients(x)
    assert_close(closed, true, length=125)
    norms = jnp.linalg.norm(true), jnp.linalg.norm(printed)
    np.testing.assert_allclose(
        jnp.vdot(true, printed) / norms[0] / norms[1], 0.8886, atol=5e-5
    )
    np.testing.assert_allclose(norms[1] / norms[0], 1168, rtol=5e-4)


def test_the_printed_gradient_equals_loops(rng):
    logits, labels, where = random_scene(rng)
    x = standard_score(logits)
    where = where.at[1].set(False)
    expected = reference.as_printed(
        np.asarray(x), np.asarray(labels), where=np.asarray(where)
    )
    assert_close(as_printed(x, labels, where=where), expected, length=42 * 125)
    assert not expected[1].any() and expected[0].any()


@pytest.mark.parametrize(
    ("options", "culprit"),
    [({"power": 0}, "0"), ({"kernel_size": 4}, "4"), ({"stride": 0}, "0")],
)
def test_refuses_misuse(rng, options, culprit):
    logits, labels, _ = random_scene(rng)
    with pytest.raises(ValueError, match=f"got .*{culprit}"):
        locally_adaptive_gradient(logits, labels, **options)

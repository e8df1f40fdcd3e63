"""The score by the standard deviation of the image."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

from lal_jax import locally_adaptive_loss, selective_cross_entropy
from lal_jax.standard_score import EPSILON, image_score_and_inverse_deviation
from tests import reference, reference_scores
from tests.lal_jax.drawn import repeatable, scene, seeds
from tests.lal_jax.effort import full_jit
from tests.lal_jax.scenes import DTYPES, random_scene
from tests.lal_jax.ugly import evaluate, random_logits
from tests.tolerances import assert_close

LOSS: dict[str, Any] = {"kernel_size": 3, "normalization": "image_score"}


def image_score(logits, valid, *, rank=2, epsilon=EPSILON):
    """As the losses call it; ignored pixels hold anything."""
    axes = tuple(range(valid.ndim - rank, valid.ndim))
    logits = jnp.where(valid[..., None], logits, -jnp.inf)
    return image_score_and_inverse_deviation(logits, valid, axes, epsilon)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "rank"),
    [((3, 6, 7), 2), ((3, 9), 1), ((3, 3, 4, 5), 3), ((0, 4, 5), 2), ((2, 0, 5), 2)],
)
def test_equals_reference(rng, shape, rank, dtype):
    """An image without valid pixels among them, and one with a single one."""
    logits = jnp.asarray(3 * rng.normal(size=(*shape, 5)), dtype)
    valid = rng.uniform(size=shape) < 0.8
    valid[:1] = False
    if valid[1:].size:
        valid[1] = False
        valid[(1,) * len(shape)] = True
    actual, _ = image_score(logits, jnp.asarray(valid), rank=rank)
    assert actual.dtype == dtype
    expected = reference_scores.image_score(np.asarray(logits), where=valid, rank=rank)
    assert_close(actual, expected, length=5 * 42)


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_large_images_in_single_precision(rng, offset):
    """Each pixel with an offset of its own; E[x²] − E[x]² would be wrong by 1."""
    shape = (1, 257, 257)
    logits = rng.normal(size=(*shape, 21)) + offset * rng.normal(size=(*shape, 1))
    logits = logits.astype(np.float32)
    scores, inverse = full_jit(image_score)(jnp.asarray(logits), jnp.ones(shape, bool))
    centered = logits - logits.mean(-1, keepdims=True, dtype=float)
    sigma = np.sqrt(np.mean(centered**2) + EPSILON)
    np.testing.assert_allclose(inverse.item(), 1 / sigma, rtol=1e-6)
    np.testing.assert_allclose(scores, centered / sigma, atol=3e-6)


def test_derivative_is_the_matrix_of_the_mathematics(rng):
    """(P − xxᵀ/(MC))/σ with P taking each valid pixel's mean away; and its own."""
    logits = jnp.asarray(3 * rng.normal(size=(2, 3, 4)))
    valid = jnp.asarray([[True, True, False], [True, True, True]])
    x, inverse = image_score(logits, valid, epsilon=0.0)
    pixels = np.diag(np.ravel(valid).astype(float))
    projector = np.kron(pixels, np.eye(4) - 1 / 4)
    outer = np.outer(x, x) / (5 * 4)
    jacobian = jax.jit(jax.jacfwd(lambda z: image_score(z, valid, epsilon=0.0)[0]))
    matrix = np.reshape(jacobian(logits), (24, 24))
    assert_close(matrix, (projector - outer) * inverse.item(), length=24)
    scaled = matrix / inverse.item()
    np.testing.assert_allclose(scaled @ scaled, scaled, atol=1e-14)

    def plain(z):
        z = jnp.where(valid[..., None], z, 0.0)
        centered = z - jnp.mean(z, axis=-1, keepdims=True)
        variance = jnp.sum(centered**2) / (5 * 4)
        inverse = jax.lax.rsqrt(variance + 0.5)
        return jnp.append(jnp.ravel(centered * inverse), inverse)

    def ours(z):
        scores, inverse = image_score(z, valid, epsilon=0.5)
        return jnp.append(jnp.ravel(scores), inverse)

    for derivative in (jax.jacfwd, jax.jacrev, jax.hessian):
        actual, formula = (jax.jit(derivative(f))(logits) for f in (ours, plain))
        assert_close(actual, formula, length=125)


def test_one_pixel_can_reach_the_root_of_pixels_times_the_other_classes():
    """|x| ≤ √(MC) a pixel, so x ≤ √(M(C − 1)): 84 for 16×22 pixels, C = 21."""
    logits = jnp.zeros((16, 22, 21)).at[3, 4, 5].set(1e4)
    scores, _ = full_jit(image_score)(logits, jnp.ones((16, 22), bool))
    np.testing.assert_allclose(scores[3, 4, 5], np.sqrt(16 * 22 * 20), rtol=1e-6)
    np.testing.assert_allclose(jnp.sum(scores**2), 16 * 22 * 21, rtol=1e-6)


@jax.jit
def value_and_gradient(logits, labels, where):
    loss = functools.partial(locally_adaptive_loss, labels=labels, where=where, **LOSS)
    losses, pullback = jax.vjp(loss, logits)
    return losses, pullback(jnp.ones_like(losses))[0]


@repeatable(8)
@given(seed=seeds)
def test_shifts_of_pixels_and_scales_of_images_do_not_matter(seed):
    """Up to ε. A pixel's own scale does matter, unlike with the standard score."""
    rng, logits, *arrays = scene(seed)
    logits, rest = 1e3 * logits, tuple(map(jnp.asarray, arrays))
    losses, gradient = value_and_gradient(jnp.asarray(logits), *rest)
    shift = 100 * rng.normal(size=(*logits.shape[:-1], 1))
    scale = np.exp(rng.normal(size=(len(logits), 1, 1, 1)))
    moved, slope = value_and_gradient(jnp.asarray(scale * logits + shift), *rest)
    np.testing.assert_allclose(moved, losses, rtol=1e-9)
    largest = float(abs(gradient).max())
    np.testing.assert_allclose(scale * slope, gradient, atol=1e-9 * largest)
    of_pixel = np.exp(rng.normal(size=(*logits.shape[:-1], 1)))
    changed, _ = value_and_gradient(jnp.asarray(of_pixel * logits), *rest)
    assert (abs(changed / losses - 1) > 1e-4).any()


@repeatable(8)
@given(seed=seeds)
def test_gradient_is_orthogonal_to_shifts_and_to_the_image(seed):
    _, logits, *arrays = scene(seed)
    logits, rest = 1e3 * logits, tuple(map(jnp.asarray, arrays))
    _, gradient = value_and_gradient(jnp.asarray(logits), *rest)
    length = np.linalg.norm(gradient, axis=-1)
    assert length.any()
    assert (abs(gradient.sum(-1)) <= 1e-12 * length.max()).all()
    centered = logits - logits.mean(-1, keepdims=True)
    overlap = (centered * gradient).sum((1, 2, 3))
    np.testing.assert_allclose(overlap, 0, atol=1e-9 * length.max() * 1e3)


def test_two_classes_learn(rng):
    """Where the standard score is ±1, the image score says how sure a pixel is."""
    logits, labels, where = random_scene(rng, (2, 4, 5), classes=2)
    labels = jnp.where(labels == 2, 1, labels)
    losses, gradient = value_and_gradient(logits, labels, where)
    arrays = np.asarray(logits), np.asarray(labels)
    options = {"where": np.asarray(where), **LOSS}
    expected = reference.locally_adaptive_loss(*arrays, **options)
    assert_close(losses, expected, length=45)
    expected = reference.locally_adaptive_gradient(*arrays, **options)
    assert_close(gradient, expected, length=45)
    assert gradient.any()


by_pixel = functools.partial(selective_cross_entropy, **LOSS)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_bad_logit_touches_all_of_its_image_and_no_other(rng, bad):
    logits = random_logits(rng)
    clean, _ = evaluate(by_pixel, logits)
    logits[0, 2, 5, 1] = bad
    losses, gradient = evaluate(by_pixel, logits)
    assert jnp.isnan(losses[0]).all() and jnp.isnan(gradient[0]).all()
    np.testing.assert_array_equal(losses[1], clean[1])


def test_constant_logits_are_pulled_apart():
    """ε bounds the slope by 1000, as it does that of the standard score."""
    labels = np.zeros((2, 4, 5), int)
    losses, gradient = value_and_gradient(
        jnp.full((2, 4, 5, 4), 7.0), jnp.asarray(labels), jnp.ones((2, 4, 5), bool)
    )
    np.testing.assert_allclose(losses, np.log(4), rtol=1e-14)
    assert jnp.isfinite(gradient).all() and gradient.any()

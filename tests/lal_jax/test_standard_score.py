import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import standard_score
from lal_jax.standard_score import score_and_inverse_deviation
from tests import reference_scores
from tests.lal_jax.effort import full_jit
from tests.lal_jax.scenes import DTYPES
from tests.tolerances import assert_close


@full_jit
def score_and_gradient(logits, cotangents):
    scores, pullback = jax.vjp(standard_score, logits)
    return scores, pullback(cotangents)[0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(5,), (3, 4, 21), (2, 1, 3, 4, 3), (0, 3, 4, 5)])
def test_equals_reference(rng, shape, dtype):
    logits = jnp.asarray(rng.normal(size=shape), dtype)
    actual = standard_score(logits, epsilon=0.5)
    assert actual.dtype == dtype
    expected = reference_scores.standard_score(np.asarray(logits), epsilon=0.5)
    assert_close(actual, expected, length=shape[-1])


def test_default_epsilon(rng):
    logits = jnp.asarray(1e-3 * rng.normal(size=(4, 5)))
    expected = reference_scores.standard_score(np.asarray(logits))
    assert_close(standard_score(logits), expected, length=5)


def test_variance_survives_an_offset(rng):
    """E[x²] − E[x]² would be wrong by more than 1 here, a float32 mean by 1e-3."""
    logits = jnp.asarray(rng.normal(1e4, size=(50, 21)), "float32")
    expected = reference_scores.standard_score(np.asarray(logits))
    np.testing.assert_allclose(standard_score(logits), expected, atol=5e-3)


def test_constant_logits():
    scores, gradient = score_and_gradient(jnp.full((2, 5), 7.0), jnp.eye(2, 5))
    np.testing.assert_allclose(scores, 0.0, atol=1e-12)
    assert jnp.isfinite(gradient).all()


@pytest.mark.parametrize("scale", [1e4, 1e18, 1e21])
def test_large_logits(rng, scale):
    logits = jnp.asarray(rng.normal(scale=scale, size=(4, 21)), "float32")
    scores, gradient = score_and_gradient(logits, jnp.eye(4, 21, dtype="float32"))
    assert_close(scores, reference_scores.standard_score(np.asarray(logits)), length=21)
    assert jnp.isfinite(gradient).all()


@pytest.mark.parametrize("size", [1e22, 1e30, 3e38])
@pytest.mark.parametrize("dtype", DTYPES)
def test_logits_far_below_the_largest_are_all_as_far(size, dtype):
    far = jnp.asarray([size, 0.0, 0.0, -size / 3], dtype)
    scores, gradient = score_and_gradient(far, jnp.ones(4, dtype))
    expected = np.array([3.0, -1.0, -1.0, -1.0]) / np.sqrt(3.0)
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-21)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_computed_in_float32(rng, dtype):
    logits = jnp.asarray(rng.normal(size=(4, 21)), dtype)
    actual = standard_score(logits)
    assert actual.dtype == "float32"
    expected = reference_scores.standard_score(np.asarray(logits, np.float64))
    assert_close(actual, expected, length=21)


def test_derivative_is_the_matrix_of_the_mathematics(rng):
    """(I − 11ᵀ/C − xxᵀ/C)/σ: shifts and scales vanish; and its own derivatives.

    Both outputs of the rule are held against autodiff of the plain formula.
    """
    logits = jnp.asarray(3 * rng.normal(size=5))
    x = standard_score(logits, epsilon=0.0)
    sigma = jnp.std(logits)
    expected = (jnp.eye(5) - 1 / 5 - jnp.outer(x, x) / 5) / sigma
    jacobian = full_jit(jax.jacfwd(lambda z: standard_score(z, epsilon=0.0)))(logits)
    assert_close(jacobian, expected, length=25)
    np.testing.assert_allclose(jacobian @ jnp.ones(5), 0, atol=1e-14)
    np.testing.assert_allclose(jacobian @ x, 0, atol=1e-14)

    def plain(z):
        centered = z - jnp.mean(z)
        inverse = jax.lax.rsqrt(jnp.mean(centered**2) + 0.5)
        return jnp.append(centered * inverse, inverse)

    def ours(z):
        return jnp.concatenate(score_and_inverse_deviation(z, jnp.bool(True), 0.5))

    for derivative in (jax.jacfwd, jax.jacrev, jax.hessian):
        actual, formula = (full_jit(derivative(f))(logits) for f in (ours, plain))
        assert_close(actual, formula, length=125)


def test_two_classes_carry_no_gradient(rng):
    """Why the losses refuse C = 2: the scores are ±1 whatever the logits are."""
    logits = jnp.asarray(rng.normal(size=(3, 2)))
    np.testing.assert_allclose(
        reference_scores.standard_score(np.asarray(logits), epsilon=0.0),
        np.sign(logits - logits[:, ::-1]),
        rtol=1e-15,
    )
    jacobian = jax.jacobian(lambda x: standard_score(x, epsilon=0.0))
    np.testing.assert_allclose(full_jit(jacobian)(logits), 0.0, atol=1e-14)


def test_refuses_integer_logits():
    with pytest.raises(ValueError, match="got .*int32"):
        standard_score(jnp.zeros((2, 3), "int32"))

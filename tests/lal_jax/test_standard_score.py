import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import standard_score
from tests import reference
from tests.lal_jax.scenes import DTYPES
from tests.tolerances import assert_close


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("epsilon", [1e-6, 0.5])
@pytest.mark.parametrize("shape", [(5,), (3, 4, 21), (2, 1, 3, 4, 3), (0, 3, 4, 5)])
def test_equals_reference(getkey, shape, epsilon, dtype):
    logits = jax.random.normal(getkey(), shape, dtype)
    actual = standard_score(logits, epsilon=epsilon)
    assert actual.dtype == dtype
    expected = reference.standard_score(np.asarray(logits), epsilon=epsilon)
    assert_close(actual, expected, length=shape[-1])


def test_default_epsilon(getkey):
    logits = 1e-3 * jax.random.normal(getkey(), (4, 5))
    assert_close(standard_score(logits), reference.standard_score(logits), length=5)


def test_variance_survives_an_offset(getkey):
    """E[x²] − E[x]² would be wrong by more than 1 here, a float32 mean by 1e-3."""
    logits = jax.random.normal(getkey(), (50, 21), "float32") + jnp.float32(1e4)
    expected = reference.standard_score(np.asarray(logits))
    np.testing.assert_allclose(standard_score(logits), expected, atol=5e-3)


def test_constant_logits():
    logits = jnp.full((2, 3, 5), 7.0)
    scores, pullback = jax.vjp(standard_score, logits)
    assert not scores.any()
    (gradient,) = pullback(jnp.ones_like(scores).at[..., 0].set(2.0))
    assert jnp.isfinite(gradient).all()


@pytest.mark.parametrize("scale", [1e4, 1e18])
def test_large_logits(getkey, scale):
    logits = jax.random.normal(getkey(), (4, 21), "float32") * jnp.float32(scale)
    scores, pullback = jax.vjp(standard_score, logits)
    assert_close(scores, reference.standard_score(np.asarray(logits)), length=21)
    (gradient,) = pullback(scores)
    assert jnp.isfinite(gradient).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_computed_in_float32(getkey, dtype):
    logits = jax.random.normal(getkey(), (4, 21), dtype)
    actual = standard_score(logits)
    assert actual.dtype == "float32"
    expected = reference.standard_score(np.asarray(logits, np.float64))
    assert_close(actual, expected, length=21)


def test_two_classes_carry_no_gradient(getkey):
    """Why the losses refuse C = 2: the scores are ±1 whatever the logits are."""
    logits = jax.random.normal(getkey(), (3, 2))
    np.testing.assert_allclose(
        reference.standard_score(np.asarray(logits), epsilon=0.0),
        np.sign(logits - logits[:, ::-1]),
        rtol=1e-15,
    )
    jacobian = jax.jacobian(lambda x: standard_score(x, epsilon=0.0))(logits)
    np.testing.assert_allclose(jacobian, 0.0, atol=1e-14)


def test_refuses_integer_logits():
    with pytest.raises(ValueError, match="int32"):
        standard_score(jnp.zeros((2, 3), "int32"))

"""The convolution that ends a head: what its bias learns from all pixels."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from models.aspp import Classifier


def test_gradient_of_the_bias_is_summed_in_float32(rng: np.random.Generator) -> None:
    shape = (4, 64, 64, 5)
    slopes = rng.normal(0.01, 1, shape).astype(np.float32)
    layer = Classifier(3, 5, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    features = jnp.asarray(rng.normal(size=(*shape[:3], 3)), jnp.bfloat16)

    def weighted(layer: Classifier) -> jax.Array:
        logits = layer(features)
        assert logits.dtype == jnp.float32 and logits.shape == shape
        return jnp.sum(logits * slopes)

    gradient = nnx.grad(weighted)(layer)
    exact = slopes.sum((0, 1, 2), dtype=np.float64)
    np.testing.assert_allclose(gradient["bias"][...], exact, rtol=1e-3)


def test_products_are_those_of_the_kernel(rng: np.random.Generator) -> None:
    layer = Classifier(3, 5, dtype=None, rngs=nnx.Rngs(0))
    assert layer.bias is not None
    layer.bias[...] = jnp.arange(5.0)
    features = rng.normal(size=(2, 4, 6, 3)).astype(np.float32)
    expected = features @ np.asarray(layer.kernel[0, 0]) + np.arange(5)
    np.testing.assert_allclose(layer(jnp.asarray(features)), expected, atol=1e-6)

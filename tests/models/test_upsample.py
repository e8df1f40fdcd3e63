"""Upsampling: features stand on pixels 0, stride, 2·stride, …."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from models.upsample import LearnedUpsample, bilinear_upsample


@pytest.mark.parametrize("stride", [8, 16])
def test_bilinear_keeps_features_on_their_pixels(stride: int) -> None:
    features = jax.random.normal(jax.random.key(0), (2, 3, 4, 5))
    size = (3 * stride - 1, 4 * stride)
    result = bilinear_upsample(features, stride=stride, size=size)
    assert result.shape == (2, *size, 5)
    np.testing.assert_allclose(result[:, ::stride, ::stride], features, rtol=1e-6)


def test_bilinear_continues_a_ramp_without_a_shift() -> None:
    pixels = jnp.arange(33.0)[:, None] + 2 * jnp.arange(41.0)[None, :]
    features = pixels[::8, ::8][None, ..., None]
    result = bilinear_upsample(features, stride=8, size=(33, 41))
    np.testing.assert_allclose(result[0, ..., 0], pixels, rtol=1e-5)


def test_learned_starts_as_bilinear_inside_the_last_feature() -> None:
    features = jax.random.normal(jax.random.key(0), (2, 4, 5, 3))
    learned = LearnedUpsample(3, stride=8, rngs=nnx.Rngs(0))
    result = learned(features, size=(32, 37))
    expected = bilinear_upsample(features, stride=8, size=(32, 37))
    assert result.shape == expected.shape
    np.testing.assert_allclose(result[:, :25, :33], expected[:, :25, :33], atol=1e-5)

"""Upsampling: feature i stands on pixel i × stride."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from models.interpolation import (
    BilinearUpsample,
    HalfPixelUpsample,
    LearnedUpsample,
)


@pytest.mark.parametrize("stride", [8, 16])
def test_bilinear_keeps_features_on_their_pixels(stride: int) -> None:
    features = jax.random.normal(jax.random.key(0), (2, 3, 4, 5))
    size = (3 * stride - 1, 4 * stride)
    result = BilinearUpsample(stride)(features, size=size)
    assert result.shape == (2, *size, 5)
    np.testing.assert_allclose(result[:, ::stride, ::stride], features, rtol=1e-6)


def test_bilinear_repeats_the_last_feature() -> None:
    features = jax.random.normal(jax.random.key(0), (1, 3, 4, 2))
    result = BilinearUpsample(8)(features, size=(24, 32))
    last_rows = np.repeat(result[:, 16:17], 8, axis=1)
    np.testing.assert_allclose(result[:, 16:], last_rows, rtol=1e-6)
    last_columns = np.repeat(result[:, :, 24:25], 8, axis=2)
    np.testing.assert_allclose(result[:, :, 24:], last_columns, rtol=1e-6)


def test_bilinear_continues_a_ramp_without_a_shift() -> None:
    pixels = jnp.arange(33.0)[:, None] + 2 * jnp.arange(41.0)[None, :]
    features = pixels[::8, ::8][None, ..., None]
    result = BilinearUpsample(8)(features, size=(33, 41))
    np.testing.assert_allclose(result[0, ..., 0], pixels, rtol=1e-5)


@pytest.mark.parametrize("stride", [8, 16])
def test_learned_starts_as_bilinear_inside_the_last_feature(stride: int) -> None:
    features = jax.random.normal(jax.random.key(0), (2, 4, 5, 3))
    learned = LearnedUpsample(3, stride=stride, rngs=nnx.Rngs(0))
    size = (4 * stride, 5 * stride - 3)
    result = learned(features, size=size)
    expected = BilinearUpsample(stride)(features, size=size)
    assert result.shape == expected.shape
    inside = np.s_[:, : 3 * stride + 1, : 4 * stride + 1]
    np.testing.assert_allclose(result[inside], expected[inside], atol=1e-5)


def test_half_pixel_is_what_pytorch_resizes_to() -> None:
    features = jnp.array([0.0, 1.0, 3.0])[None, :, None, None]
    result = HalfPixelUpsample()(features, size=(6, 1))
    # interpolate(mode="bilinear", align_corners=False) of torch 2.13
    expected = [0.0, 0.25, 0.75, 1.5, 2.5, 3.0]
    np.testing.assert_allclose(result[0, :, 0, 0], expected, atol=1e-6)


@pytest.mark.parametrize("size", [(24, 32), (17, 29)])
def test_learned_is_the_transposed_convolution_of_its_kernel(
    size: tuple[int, int],
) -> None:
    learned = LearnedUpsample(3, stride=8, rngs=nnx.Rngs(0))
    learned.kernel[...] = jax.random.normal(jax.random.key(1), (15, 15, 3, 3))
    features = jax.random.normal(jax.random.key(0), (2, 3, 4, 3))
    # As defined: each feature adds its kernel, centered on its pixel, to the output.
    canvas = np.zeros((2, 15 + 2 * 8, 15 + 3 * 8, 3))
    for row in range(3):
        for column in range(4):
            part = np.s_[:, 8 * row : 8 * row + 15, 8 * column : 8 * column + 15]
            canvas[part] += np.einsum(
                "bi,hwio->bhwo", features[:, row, column], learned.kernel[...]
            )
    expected = canvas[:, 7 : 7 + size[0], 7 : 7 + size[1]]
    np.testing.assert_allclose(learned(features, size=size), expected, atol=1e-5)

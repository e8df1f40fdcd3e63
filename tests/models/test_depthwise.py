"""Depthwise convolution: what `jax.lax` computes, and its derivatives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from benchmarks.depthwise import xla as reference
from models.depthwise import Window, depthwise_conv, shifted_products
from models.layers import Conv

from ..tolerances import assert_close


def arrays(rng: np.random.Generator, kernel: int, dtype: str) -> list[jax.Array]:
    shapes = (2, 12, 9, 6), (kernel, kernel, 1, 6)
    return [jnp.asarray(rng.normal(size=shape), dtype) for shape in shapes]


def symmetric(kernel: int, stride: int, dilation: int) -> Window:
    reach = dilation * (kernel - 1) // 2
    pads = (reach, reach)
    return Window((stride, stride), (pads, pads), (dilation, dilation))


WINDOWS = [
    (kernel, symmetric(kernel, stride, dilation))
    for kernel in (1, 3, 5)
    for stride, dilation in ((1, 1), (2, 1), (1, 2), (1, 4), (3, 2))
] + [(3, Window((2, 1), ((0, 1), (3, 0)), (1, 2)))]


@pytest.mark.parametrize(("kernel", "window"), WINDOWS)
def test_values_and_gradients_are_those_of_lax(
    kernel: int, window: Window, rng: np.random.Generator
) -> None:
    images, weights = arrays(rng, kernel, "float32")
    size = jax.eval_shape(partial(reference, window=window), images, weights).shape
    slope = jnp.asarray(rng.normal(size=size), jnp.float32)

    @jax.jit
    def both(*arrays: jax.Array) -> list[tuple[jax.Array, ...]]:
        found = []
        for convolve in (shifted_products, reference):
            values, pull = jax.vjp(lambda *xs, f=convolve: f(*xs, window), *arrays)
            found.append((values, *pull(slope)))
        return found

    actual, expected = both(images, weights)
    lengths = (kernel**2, kernel**2, slope.size // 6)
    for ours, theirs, length in zip(actual, expected, lengths, strict=True):
        assert_close(ours, theirs, length=length)


def test_bfloat16_is_summed_in_float32(rng: np.random.Generator) -> None:
    images, weights = arrays(rng, 5, "bfloat16")
    window = symmetric(5, 1, 2)
    wide = reference(images.astype("float32"), weights.astype("float32"), window)
    product = partial(shifted_products, window=window)
    found = jax.jit(product)(images, weights)
    assert found.dtype == jnp.bfloat16
    assert jnp.array_equal(found, wide.astype(jnp.bfloat16))
    slopes = jax.eval_shape(
        lambda *xs: jax.vjp(product, *xs)[1](found), images, weights
    )
    assert [slope.dtype for slope in slopes] == [jnp.bfloat16] * 2


def layer(groups: int, outputs: int) -> Conv:
    return Conv(6, outputs, 3, stride=2, groups=groups, bias=True, rngs=nnx.Rngs(0))


def test_depthwise_layer_is_of_products_on_cpus_and_of_xla_elsewhere(
    rng: np.random.Generator,
) -> None:
    conv = layer(6, 6)
    images = arrays(rng, 3, "float32")[0]
    window = symmetric(3, 2, 1)
    assert_close(conv(images), reference(images, conv.kernel[...], window), length=9)
    for platform, convolves in (("cpu", False), ("cuda", True)):
        traced = jax.jit(lambda images: conv(images)).trace(images)
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        assert ("stablehlo.convolution" in text) == convolves


@pytest.mark.parametrize(("groups", "outputs"), [(1, 6), (3, 6), (6, 12)])
def test_other_layers_are_of_xla(groups: int, outputs: int) -> None:
    conv = layer(groups, outputs)
    assert conv.conv_general_dilated is jax.lax.conv_general_dilated
    assert layer(6, 6).conv_general_dilated is depthwise_conv

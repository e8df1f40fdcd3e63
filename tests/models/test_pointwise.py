"""Pointwise convolution: what `jax.lax` computes, and its derivatives."""

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from benchmarks.pointwise import xla as reference
from models.layers import Conv
from models.pointwise import gpu_product, pixel_product, pointwise_conv

from ..tolerances import assert_close

NHWC: Any = ("NHWC", "HWIO", "NHWC")


def arrays(rng: np.random.Generator, dtype: str = "float32") -> list[jax.Array]:
    shapes = (2, 11, 8, 6), (1, 1, 6, 5)
    return [jnp.asarray(rng.normal(size=shape), dtype) for shape in shapes]


@pytest.mark.parametrize("product", [pixel_product, gpu_product])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (3, 1), (4, 16)])
def test_values_and_gradients_are_those_of_lax(
    strides: tuple[int, int],
    product: Callable[..., jax.Array],
    rng: np.random.Generator,
) -> None:
    inputs = arrays(rng)
    expected, pull_expected = jax.vjp(partial(reference, strides=strides), *inputs)
    found, pull = jax.vjp(partial(product, strides), *inputs)
    assert found.shape == expected.shape
    assert_close(found, expected, length=6)
    slope = jnp.asarray(rng.normal(size=expected.shape), jnp.float32)
    for gradient, known in zip(pull(slope), pull_expected(slope), strict=True):
        assert_close(gradient, known, length=slope.size)


@pytest.mark.parametrize("product", [pixel_product, gpu_product])
def test_offset_is_added_in_the_dtype_of_the_images(
    product: Callable[..., jax.Array], rng: np.random.Generator
) -> None:
    for dtype in ("float32", "bfloat16"):
        images, kernel = arrays(rng, dtype)
        offset = jnp.asarray(rng.normal(size=5), jnp.float32)

        def total(*inputs: jax.Array) -> jax.Array:
            return product((1, 1), *inputs)

        found, pull = jax.vjp(total, images, kernel, offset)
        plain = product((1, 1), images, kernel)
        assert found.dtype == plain.dtype == dtype
        assert_close(found, plain + offset.astype(dtype), length=6, dtype=found.dtype)
        slope = jnp.asarray(rng.normal(size=found.shape), dtype)
        by_offset = pull(slope)[2]
        assert by_offset.dtype == jnp.float32
        assert_close(by_offset, slope.sum((0, 1, 2)), length=176, dtype=found.dtype)


def test_layer_adds_its_offset_by_platform(rng: np.random.Generator) -> None:
    """On a CUDA GPU in half precision, elsewhere before it is rounded to that."""
    images, kernel = arrays(rng, "bfloat16")
    offset = jnp.ones(5, jnp.float32)

    def layer(images: jax.Array, kernel: jax.Array, offset: jax.Array) -> jax.Array:
        options = {"offset": offset, "dimension_numbers": NHWC}
        return pointwise_conv(images, kernel, (1, 1), ((0, 0), (0, 0)), **options)

    found = layer(images, kernel, offset)
    wide = pixel_product((1, 1), images, kernel).astype("float32") + offset
    assert jnp.array_equal(found, wide.astype(jnp.bfloat16))
    traced = jax.jit(layer).trace(images, kernel, offset)
    for platform, kind in (("cpu", "f32"), ("cuda", "bf16")):
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        (added,) = re.findall(r"stablehlo.add .*x(\w+)>", text)
        assert added == kind


def test_forward_mode_and_vmap_are_those_of_lax(rng: np.random.Generator) -> None:
    (images, kernel), (more, slope) = arrays(rng), arrays(rng)
    points, directions = (images, kernel), (more, slope)
    for ours, known in zip(
        jax.jvp(partial(pixel_product, (1, 1)), points, directions),
        jax.jvp(partial(reference, strides=(1, 1)), points, directions),
        strict=True,
    ):
        assert_close(ours, known, length=12)
    together = jnp.stack([images, more])
    mapped = jax.vmap(lambda x: pixel_product((2, 1), x, kernel))(together)
    for ours, one in zip(mapped, together, strict=True):
        assert_close(ours, reference(one, kernel, (2, 1)), length=6)


def test_bfloat16_is_rounded_once(rng: np.random.Generator) -> None:
    images, kernel = arrays(rng, "bfloat16")
    wide = reference(images.astype("float32"), kernel.astype("float32"), (1, 1))
    found, pull = jax.vjp(partial(pixel_product, (1, 1)), images, kernel)
    assert jnp.array_equal(found, wide.astype(jnp.bfloat16))
    assert [slope.dtype for slope in pull(found)] == [jnp.bfloat16] * 2


def test_layer_is_a_product_on_cpus_and_of_xla_elsewhere(
    rng: np.random.Generator,
) -> None:
    conv = Conv(6, 5, 1, stride=2, bias=True, rngs=nnx.Rngs(0))
    assert conv.conv_general_dilated is pointwise_conv
    images, _ = arrays(rng)
    assert_close(conv(images), reference(images, conv.kernel[...], (2, 2)), length=6)

    graph, state = nnx.split(conv)

    def loss(state: nnx.State, images: jax.Array) -> jax.Array:
        return jnp.sum(nnx.merge(graph, state)(images) ** 2)

    for platform, convolves in (("cpu", False), ("cuda", True)):
        traced = jax.jit(jax.grad(loss, argnums=(0, 1))).trace(state, images)
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        assert ("stablehlo.convolution" in text) == convolves


def test_weight_gradient_transposes_no_features(rng: np.random.Generator) -> None:
    images, kernel = arrays(rng)

    def loss(kernel: jax.Array, images: jax.Array) -> jax.Array:
        return jnp.sum(jnp.tanh(pixel_product((1, 1), jnp.tanh(images), kernel)))

    text = jax.jit(jax.grad(loss)).lower(kernel, images).compile().as_text()
    assert text
    shapes = re.findall(r"\[([\d,]+)\]\S* (?:transpose|copy)\(", text)
    assert all(math.prod(map(int, shape.split(","))) <= kernel.size for shape in shapes)

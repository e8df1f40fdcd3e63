"""Dilated convolution: what XLA computes, its weight gradient in another way."""

import re
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from models.deeplab import DeepLab
from models.dilated import (
    CPU_CHANNELS,
    WeightGradient,
    dilated_conv,
    interleaved,
    tap_products,
    transposed,
    ways,
)
from models.layers import Conv
from models.summed import summed_convolutions

from ..tolerances import assert_close

# Height and width, the window's side and its dilation, 24 on either side of the sizes.
CASES = [
    ((7, 9), 3, 1),
    ((7, 9), 3, 2),
    ((12, 8), 3, 2),
    ((12, 8), 3, 5),
    ((12, 8), 5, 3),
    ((5, 25), 1, 4),
    ((5, 25), 3, 24),
    ((1, 24), 3, 24),
]


def reference(images: jax.Array, kernel: jax.Array, dilation: int) -> jax.Array:
    """XLA's convolution."""
    reach = dilation * (kernel.shape[0] - 1) // 2
    return jax.lax.conv_general_dilated(
        images,
        kernel,
        (1, 1),
        ((reach, reach), (reach, reach)),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def dilated(images: jax.Array, kernel: jax.Array, dilation: int) -> jax.Array:
    """This project's, called as Flax does."""
    return dilated_conv(images, kernel, (1, 1), (), rhs_dilation=(dilation, dilation))


def arrays(
    rng: np.random.Generator, size: tuple[int, int], side: int = 3, channels: int = 3
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Images, a kernel, and a gradient by the result."""
    shapes = (
        (2, *size, channels),
        (side, side, channels, channels + 1),
        (2, *size, channels + 1),
    )
    images, kernel, slope = (
        jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes
    )
    return images, kernel, slope


@pytest.mark.parametrize("way", [transposed, tap_products, interleaved])
@pytest.mark.parametrize(("size", "side", "dilation"), CASES)
def test_every_way_is_xlas_gradient(
    way: WeightGradient,
    size: tuple[int, int],
    side: int,
    dilation: int,
    rng: np.random.Generator,
) -> None:
    images, kernel, slope = arrays(rng, size, side)
    expected = jax.vjp(lambda k: reference(images, k, dilation), kernel)[1](slope)[0]
    found = way(images, slope, side=side, dilation=dilation)
    assert_close(found, expected, length=2 * size[0] * size[1])


@pytest.mark.parametrize(("size", "side", "dilation"), CASES)
def test_values_and_gradients_are_xlas(
    size: tuple[int, int], side: int, dilation: int, rng: np.random.Generator
) -> None:
    images, kernel, slope = arrays(rng, size, side)
    expected, pull_expected = jax.vjp(
        partial(reference, dilation=dilation), images, kernel
    )
    found, pull = jax.vjp(partial(dilated, dilation=dilation), images, kernel)
    assert_close(found, expected, length=100)
    for gradient, known in zip(pull(slope), pull_expected(slope), strict=True):
        assert_close(gradient, known, length=2 * size[0] * size[1])


def weight_gradient(images: jax.Array, kernel: jax.Array, slope: jax.Array):
    return jax.grad(lambda k: jnp.vdot(dilated(images, k, 2), slope))(kernel)


@pytest.fixture
def wide(rng: np.random.Generator) -> tuple[jax.Array, jax.Array, jax.Array]:
    """So many channels that products are used on a CPU."""
    images, kernel, slope = arrays(rng, (6, 5), channels=CPU_CHANNELS)
    assert ways(images.shape, kernel.shape, 2)["cpu"] is tap_products
    return images, kernel, slope


def test_transforms_agree(wide: tuple[jax.Array, jax.Array, jax.Array]) -> None:
    images, kernel, slope = wide
    by = jax.vjp(lambda k: reference(images, k, 2), kernel)[1]
    expected = by(slope)[0]
    close = partial(assert_close, length=60)
    close(weight_gradient(images, kernel, slope), expected)
    close(jax.jit(weight_gradient)(images, kernel, slope), expected)
    by_image = jax.vmap(weight_gradient, (0, None, 0))(
        images[:, None], kernel, slope[:, None]
    )
    close(by_image.sum(0), expected)
    # Accumulated over parts of the batch.
    total, _ = jax.lax.scan(
        lambda total, pair: (total + weight_gradient(pair[0], kernel, pair[1]), None),
        jnp.zeros_like(kernel),
        (images[:, None], slope[:, None]),
    )
    close(total, expected)
    recomputed = jax.checkpoint(partial(dilated, dilation=2))
    close(jax.vjp(partial(recomputed, images), kernel)[1](slope)[0], expected)


@pytest.mark.parametrize("way", [transposed, tap_products, interleaved])
def test_batch_may_be_sharded(way: WeightGradient, rng: np.random.Generator) -> None:
    images, _, slope = arrays(rng, (8, 7))
    mesh = jax.make_mesh((2,), ("batch",), axis_types=(AxisType.Auto,))
    shards = NamedSharding(mesh, PartitionSpec("batch"))
    gradient = jax.jit(partial(way, side=3, dilation=2))
    apart = gradient(*jax.device_put((images, slope), shards))
    assert_close(apart, gradient(images, slope), length=112)


@pytest.mark.parametrize("way", [tap_products, interleaved])
def test_bfloat16_is_summed_in_float32(
    way: WeightGradient, rng: np.random.Generator
) -> None:
    images, _, slope = (array.astype("bfloat16") for array in arrays(rng, (24, 30)))
    expected = way(*(a.astype("float32") for a in (images, slope)), side=3, dilation=2)
    found = way(images, slope, side=3, dilation=2)
    assert_close(found, expected, dtype="bfloat16")


def test_gradients_are_of_the_dtype_of_what_they_are_of(
    wide: tuple[jax.Array, jax.Array, jax.Array],
) -> None:
    images, kernel, slope = (array.astype("bfloat16") for array in wide)
    _, pull = jax.vjp(partial(dilated, dilation=2), images, kernel)
    assert [gradient.dtype for gradient in pull(slope)] == ["bfloat16"] * 2


def test_layer_uses_it_where_it_is_dilated() -> None:
    def convolve(stride: int, dilation: int, groups: int) -> object:
        conv = Conv(
            4,
            8,
            3,
            stride=stride,
            dilation=dilation,
            groups=groups,
            rngs=nnx.Rngs(0),
        )
        return conv.conv_general_dilated

    assert convolve(1, 2, 1) is dilated_conv
    for numbers in ((1, 1, 1), (2, 2, 1), (1, 2, 2)):
        assert convolve(*numbers) is jax.lax.conv_general_dilated


@pytest.mark.parametrize(
    ("kernel", "dilation", "named"), [(2, 1, "kernel=2"), (3, 0, "dilation=0")]
)
def test_layer_refuses_what_it_cannot_take(
    kernel: int, dilation: int, named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        Conv(4, 8, kernel, dilation=dilation, rngs=nnx.Rngs(0))


def test_sum_of_convolutions_is_that_of_xla(rng: np.random.Generator) -> None:
    for size in ((12, 8), (5, 25), (1, 1)):
        images, kernel, slope = arrays(rng, size)
        kernels = [kernel, kernel + 1, kernel - 2]

        def expected(images: jax.Array, *kernels: jax.Array) -> jax.Array:
            pairs = zip(kernels, (1, 4, 6), strict=True)
            return reduce(jnp.add, (reference(images, *pair) for pair in pairs))

        value, pull = jax.vjp(expected, images, *kernels)
        found, pull_found = jax.vjp(
            lambda images, *kernels: summed_convolutions(images, kernels, (1, 4, 6)),
            images,
            *kernels,
        )
        assert_close(found, value, length=81)
        for gradient, known in zip(pull_found(slope), pull(slope), strict=True):
            assert_close(gradient, known, length=2 * size[0] * size[1] + 81)


def test_gradient_of_summed_convolutions_plans_few_products() -> None:
    def pull(
        images: jax.Array, kernels: list[jax.Array], slope: jax.Array
    ) -> tuple[jax.Array, list[jax.Array]]:
        def head(images: jax.Array, kernels: list[jax.Array]) -> jax.Array:
            return summed_convolutions(images, kernels, (1, 2, 4, 6))

        return jax.vjp(head, images, kernels)[1](slope)

    kernels = [jnp.zeros((3, 3, 128, 11))] * 4
    arguments = jnp.zeros((4, 12, 12, 128)), kernels, jnp.zeros((4, 12, 12, 11))
    plan: Any = jax.jit(pull).lower(*arguments).compile().memory_analysis()
    products = 4 * 12 * 12 * 11 * (4 * 9) * 4  # bytes of one for each tap
    assert plan.temp_size_in_bytes < 4 * products


def strided_windows(text: str) -> list[tuple[int, int]]:
    """The windows that convolutions of a program in StableHLO move by a stride."""
    found = []
    for line in text.splitlines():
        if "stablehlo.convolution" in line:
            strides = re.search(r"stride = \[(\d+), (\d+)\]", line)
            axes = re.search(r"\]x\[(.*?)\]->", line)
            _, kernel, _ = re.findall(r"tensor<([\dx]+)x\w+>", line)
            assert strides and axes
            sides = dict(zip(axes[1].split(", "), kernel.split("x"), strict=True))
            if strides.groups() != ("1", "1"):
                found.append((int(sides["0"]), int(sides["1"])))
    return found


def test_finds_windows_as_large_as_features(rng: np.random.Generator) -> None:
    images, kernel, slope = arrays(rng, (13, 9))

    def gradient(convolve: Callable[..., jax.Array]) -> str:
        def loss(kernel: jax.Array) -> jax.Array:
            return jnp.vdot(convolve(images, kernel, 2), slope)

        return jax.jit(jax.grad(loss)).trace(kernel).lower().as_text()

    assert strided_windows(gradient(reference)) == [(13, 9)]


@pytest.mark.parametrize("head", ["v2", "v3"])
@pytest.mark.parametrize("platform", ["cuda", "rocm", "tpu"])
def test_no_weight_gradient_has_windows_as_large_as_features(
    head: str, platform: str
) -> None:
    """XLA has no fast program for those; see `models.dilated`."""
    model = nnx.eval_shape(
        lambda: DeepLab(classes=5, backbone="resnet50", head=head, rngs=nnx.Rngs(0))
    )

    def loss(model: DeepLab, images: jax.Array) -> jax.Array:
        return jnp.sum(model(images, train=True))

    graph, state = nnx.split(model)
    gradient = jax.grad(lambda state, images: loss(nnx.merge(graph, state), images))
    images = jax.ShapeDtypeStruct((2, 129, 161, 3), jnp.float32)
    traced = jax.jit(gradient).trace(state, images)
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    assert max(max(window) for window in strided_windows(text)) <= 7  # the stem's

"""EfficientNet-Lite0: sizes, dilations, normalization."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from models.backbones import make_backbone
from models.efficientnet import EfficientNetLite

from .networks import filled


def make(output_stride: int = 8, **options: Any) -> EfficientNetLite:
    network = make_backbone(
        "efficientnet_lite0", output_stride=output_stride, rngs=nnx.Rngs(0), **options
    )
    assert isinstance(network, EfficientNetLite)
    return network


@jax.jit
def maps_of(network: EfficientNetLite, images: jax.Array) -> list[jax.Array]:
    return network(images, train=False)


@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_stages_are_strided_and_rounded_up(output_stride: int) -> None:
    network = nnx.eval_shape(lambda: make(output_stride))
    assert network.channels == (24, 40, 112, 320)
    images = jax.ShapeDtypeStruct((2, 65, 48, 3), jnp.float32)
    found = jax.eval_shape(maps_of, network, images)
    strides = [min(stride, output_stride) for stride in (4, 8, 16, 32)]
    for stride, channels, features in zip(
        strides, network.channels, found, strict=True
    ):
        assert features.shape == (2, -(-65 // stride), -(-48 // stride), channels)


@pytest.mark.parametrize(
    ("output_stride", "dilations"),
    [
        (32, (1,) * 11),
        (16, (1,) * 7 + (2,) * 4),
        (8, (1, 2, 2, 2, 2, 2, 2, 4, 4, 4, 4)),
    ],
)
def test_depthwise_convolutions_dilate(
    output_stride: int, dilations: tuple[int, ...]
) -> None:
    network = nnx.eval_shape(lambda: make(output_stride))
    blocks = [*network.stages[2], *network.stages[3]]
    assert tuple(block.depthwise.kernel_dilation for block in blocks) == dilations


def test_output_strides_keep_the_features_they_share(rng: np.random.Generator) -> None:
    images = jnp.asarray(rng.normal(size=(1, 64, 64, 3)), jnp.float32)
    fine, middle, coarse = (
        maps_of(filled(lambda: make(stride)), images)[-1]  # noqa: B023
        for stride in (8, 16, 32)
    )
    scale = float(jnp.std(coarse))
    assert jnp.allclose(middle, fine[:, ::2, ::2], atol=1e-4 * scale)
    assert jnp.allclose(coarse, fine[:, ::4, ::4], atol=1e-4 * scale)


@functools.partial(jax.jit, static_argnames="train")
def outputs_and_statistics(
    network: EfficientNetLite, images: jax.Array, train: bool
) -> tuple[jax.Array, nnx.State]:
    network = nnx.merge(*nnx.split(network), copy=True)
    features = network(images, train=train)[-1]
    return features, nnx.state(network, nnx.BatchStat)


@pytest.mark.parametrize("remat", [False, True])
def test_statistics_move_by_a_hundredth_in_training(
    remat: bool, rng: np.random.Generator
) -> None:
    network = filled(lambda: make(32, remat=remat))
    images = jnp.asarray(rng.normal(size=(2, 32, 32, 3)), jnp.float32)
    before = network.stem_norm.mean[...]
    mean = jnp.mean(network.stem(images), (0, 1, 2))
    _, after = outputs_and_statistics(network, images, True)
    expected = 0.99 * before + 0.01 * mean
    assert jnp.allclose(after["stem_norm"]["mean"][...], expected, atol=1e-5)
    _, same = outputs_and_statistics(network, images, False)
    assert jnp.array_equal(same["stem_norm"]["mean"][...], before)


def test_parameters_are_as_many_as_published() -> None:
    network = nnx.eval_shape(make)
    leaves = jax.tree.leaves(nnx.state(network, nnx.Param))
    # What is behind the last block: 1280 channels with batch norm, and the classifier.
    classifier = 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    assert sum(leaf.size for leaf in leaves) + classifier == 4_652_008


def test_frozen_network_has_kernels_alone_to_train() -> None:
    network = nnx.eval_shape(lambda: make(frozen_norm=True))
    paths = [path for path, _ in nnx.to_flat_state(nnx.state(network, nnx.Param))]
    assert len(paths) == 48 and {path[-1] for path in paths} == {"kernel"}

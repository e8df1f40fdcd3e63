"""ResNets: sizes, styles, frozen and running statistics."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from models.backbones import BACKBONES, make_backbone
from models.layers import Conv
from models.resnet import ResNet

from .networks import filled

CHANNELS: dict[str, tuple[int, ...]] = {
    "resnet_small": (32, 64, 96, 128),
    "resnet18": (64, 128, 256, 512),
    "resnet34": (64, 128, 256, 512),
    "resnet50": (256, 512, 1024, 2048),
    "resnet101": (256, 512, 1024, 2048),
    "resnet50_c4": (256, 512, 1024),
    "resnet101_c4": (256, 512, 1024),
}


def make(name: str, output_stride: int = 8, style: str = "torchvision") -> ResNet:
    network = make_backbone(
        name, output_stride=output_stride, style=style, rngs=nnx.Rngs(0)
    )
    assert isinstance(network, ResNet)
    return network


@functools.cache
def abstract(name: str, output_stride: int = 8, style: str = "torchvision") -> ResNet:
    """Returns a network of shapes alone."""
    return nnx.eval_shape(lambda: make(name, output_stride, style))


def shapes(network: ResNet, size: tuple[int, int]) -> list[tuple[int, ...]]:
    """Returns those of the feature maps of two images."""
    graph, state = nnx.split(network)

    def maps(state: nnx.State, images: jax.Array) -> list[jax.Array]:
        return nnx.merge(graph, state, copy=True)(images, train=False)

    images = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
    return [output.shape for output in jax.eval_shape(maps, state, images)]


# The two others differ from these in depth alone; parity holds them at 16 and 32.
STRIDED = [(name, 8) for name in CHANNELS] + [
    (name, stride)
    for name in ("resnet_small", "resnet18", "resnet50", "resnet50_c4")
    for stride in (16, 32)
    if stride in BACKBONES[name].output_strides
]


@pytest.mark.parametrize(("name", "output_stride"), STRIDED)
def test_stages_are_strided_and_rounded_up(name: str, output_stride: int) -> None:
    network = abstract(name, output_stride)
    assert network.channels == CHANNELS[name]
    for size in ((65, 64), (48, 81)):
        expected = []
        for stage, channels in enumerate(CHANNELS[name]):
            stride = min(4 * 2**stage, output_stride)
            expected.append((2, *(-(-side // stride) for side in size), channels))
        assert shapes(network, size) == expected


@pytest.mark.parametrize("name", [n for n, b in BACKBONES.items() if b.without])
def test_shorter_backbone_is_the_longer_one_without_a_stage(name: str) -> None:
    ((stage, shorter),) = BACKBONES[name].without.items()
    for output_stride in (8, 16):
        long, short = abstract(name, output_stride), abstract(shorter, output_stride)
        assert stage == f"stage {len(long.stages)}"
        assert str(nnx.state(long.stages[:3])) == str(nnx.state(short.stages))
        for ours, theirs in zip(short.stages, long.stages, strict=False):
            assert ours[1].conv2.kernel_dilation == theirs[1].conv2.kernel_dilation
            assert ours[0].conv2.strides == theirs[0].conv2.strides
    with pytest.raises(ValueError, match=f"{shorter} has no output stride 32"):
        make(shorter, 32)


@pytest.mark.parametrize(
    ("side", "stages"),
    [(321, (81, 41, 41, 41)), (320, (81, 41, 41, 41)), (513, (129, 65, 65, 65))]
    + [(318, (80, 40, 40, 40)), (96, (25, 13, 13, 13)), (1, (1, 1, 1, 1))],
)
def test_caffes_pool_rounds_up(side: int, stages: tuple[int, ...]) -> None:
    found = shapes(abstract("resnet18", style="caffe"), (side, side))
    assert [shape[1:3] for shape in found] == [(stage, stage) for stage in stages]


@pytest.mark.parametrize(
    ("style", "strides", "dilations"),
    [("torchvision", (1, 2), (1, 2, 2, 4, 4)), ("caffe", (2, 1), (2, 2, 4, 4, 4))],
)
def test_styles_stride_and_dilate_where_they_say(
    style: str, strides: tuple[int, int], dilations: tuple[int, ...]
) -> None:
    _, second, third, fourth = abstract("resnet50", style=style).stages
    assert (second[0].conv1.strides, second[0].conv2.strides) == strides
    found = [block.conv2.kernel_dilation for block in (*third[:2], *fourth)]
    assert tuple(found) == dilations


def small(output_stride: int = 8) -> ResNet:
    return filled(lambda: make("resnet_small", output_stride))


@jax.jit
def features(network: ResNet, images: jax.Array) -> jax.Array:
    return network(images, train=False)[-1]


def test_output_strides_keep_the_weights_and_the_features_they_share(
    rng: np.random.Generator,
) -> None:
    images = jnp.asarray(rng.normal(size=(1, 64, 64, 3)), jnp.float32)
    # Dilation replaces striding, so every second fine feature is a coarse one.
    expected = features(small(8), images)[:, ::2, ::2]
    assert jnp.allclose(features(small(16), images), expected, atol=1e-4)


@functools.partial(jax.jit, static_argnames="train")
def statistics_after(network: ResNet, images: jax.Array, train: bool) -> nnx.State:
    network = nnx.merge(*nnx.split(network), copy=True)
    network(images, train=train)
    return nnx.state(network, nnx.BatchStat)


def test_statistics_change_only_in_training(rng: np.random.Generator) -> None:
    network = small()
    images = jnp.asarray(rng.normal(size=(2, 32, 32, 3)), jnp.float32)
    before = nnx.state(network, nnx.BatchStat)
    for train in (False, True):
        after = statistics_after(network, images, train)
        same = jax.tree.leaves(jax.tree.map(jnp.array_equal, before, after))
        assert len(same) == 26 and all(s == (not train) for s in same)


def test_grouped_convolution_keeps_groups_apart_at_he_variance() -> None:
    conv = Conv(512, 512, 3, groups=512, rngs=nnx.Rngs(0))
    assert conv.kernel.shape == (3, 3, 1, 512)
    # An input reaches 9 outputs.
    assert float(jnp.std(conv.kernel[...])) == pytest.approx((2 / 9) ** 0.5, rel=0.05)
    lone = jnp.zeros((1, 3, 3, 512)).at[..., 7].set(1.0)
    assert set(np.flatnonzero(np.any(conv(lone) != 0, axis=(0, 1, 2)))) == {7}

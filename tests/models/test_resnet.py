"""The backbones: sizes, styles, frozen and moving statistics."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from models import RESNETS, ResNet
from models.resnet import Style


@pytest.mark.parametrize("name", RESNETS)
@pytest.mark.parametrize("output_stride", [8, 16, 32])
@pytest.mark.parametrize("size", [(65, 64), (48, 81)])
def test_stages_are_strided_and_rounded_up(
    name: str, output_stride: int, size: tuple[int, int]
) -> None:
    def stages(images: jax.Array) -> list[jax.Array]:
        network = ResNet(name, output_stride=output_stride, rngs=nnx.Rngs(0))
        assert network.features == channels[-1]
        return network.stage_outputs(images, train=False)

    spec = RESNETS[name]
    channels = [width * spec.block.expansion for width in spec.widths]
    images = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
    for stage, output in enumerate(jax.eval_shape(stages, images)):
        stride = min(4 * 2**stage, output_stride)
        sides = tuple(-(-side // stride) for side in size)
        assert output.shape == (2, *sides, channels[stage])


@pytest.mark.parametrize(
    ("side", "stages"),
    [(321, (81, 41, 41, 41)), (320, (81, 41, 41, 41)), (513, (129, 65, 65, 65))]
    + [(318, (80, 40, 40, 40)), (96, (25, 13, 13, 13)), (1, (1, 1, 1, 1))],
)
def test_caffes_pool_rounds_up(side: int, stages: tuple[int, ...]) -> None:
    def outputs(images: jax.Array) -> list[jax.Array]:
        network = ResNet("resnet50", style="caffe", rngs=nnx.Rngs(0))
        return network.stage_outputs(images, train=False)

    images = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    found = jax.eval_shape(outputs, images)
    assert tuple(output.shape[1] for output in found) == stages
    assert tuple(output.shape[2] for output in found) == stages


@pytest.mark.parametrize(
    ("style", "strides", "dilations"),
    [("torchvision", (1, 2), (1, 2, 2, 4, 4)), ("caffe", (2, 1), (2, 2, 4, 4, 4))],
)
def test_styles_stride_and_dilate_where_they_say(
    style: Style, strides: tuple[int, int], dilations: tuple[int, ...]
) -> None:
    network = nnx.eval_shape(lambda: ResNet("resnet50", style=style, rngs=nnx.Rngs(0)))
    _, second, third, fourth = network.stages
    assert (second[0].conv1.strides, second[0].conv2.strides) == strides
    found = [block.conv2.kernel_dilation for block in (*third[:2], *fourth)]
    assert tuple(found) == dilations


@jax.jit
def features(network: ResNet, images: jax.Array) -> jax.Array:
    return network(images, train=False)


def test_output_strides_keep_the_weights_and_the_features_they_share() -> None:
    fine = ResNet("resnet_small", output_stride=8, rngs=nnx.Rngs(0))
    coarse = ResNet("resnet_small", output_stride=16, rngs=nnx.Rngs(0))
    images = jax.random.normal(jax.random.key(0), (1, 64, 64, 3))
    # Dilation replaces striding, so every second fine feature is a coarse one.
    expected = features(fine, images)[:, ::2, ::2]
    assert jnp.allclose(features(coarse, images), expected, atol=1e-4)


def test_statistics_move_in_training_alone() -> None:
    network = ResNet("resnet_small", rngs=nnx.Rngs(0))
    images = jax.random.normal(jax.random.key(0), (2, 32, 32, 3))
    before = jax.tree.map(jnp.copy, nnx.state(network, nnx.BatchStat))
    network(images, train=False)
    same = jax.tree.map(jnp.array_equal, before, nnx.state(network, nnx.BatchStat))
    assert all(jax.tree.leaves(same))
    network(images, train=True)
    same = jax.tree.map(jnp.array_equal, before, nnx.state(network, nnx.BatchStat))
    assert not any(jax.tree.leaves(same))


@pytest.mark.parametrize(
    ("name", "output_stride", "culprit"),
    [("resnet19", 8, "resnet19"), ("resnet18", 4, "got 4")],
)
def test_unknown_variant_is_refused(
    name: str, output_stride: int, culprit: str
) -> None:
    with pytest.raises(ValueError, match=culprit):
        ResNet(name, output_stride=output_stride, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="style must be one of.*'tf'"):
        ResNet("resnet18", style="tf", rngs=nnx.Rngs(0))  # type: ignore[arg-type]

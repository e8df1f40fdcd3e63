"""The backbones: sizes, parameter counts, frozen and moving statistics."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from models import RESNETS, ResNet
from models.cost import parameter_count

# torchvision's published counts less those of its classifier (1000 classes).
PUBLISHED = {
    "resnet18": 11_689_512 - 513_000,
    "resnet34": 21_797_672 - 513_000,
    "resnet50": 25_557_032 - 2_049_000,
    "resnet101": 44_549_160 - 2_049_000,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameter_count_is_the_published_one(name: str) -> None:
    network = nnx.eval_shape(lambda: ResNet(name, rngs=nnx.Rngs(0)))
    assert parameter_count(network) == PUBLISHED[name]


@pytest.mark.parametrize("name", RESNETS)
@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("size", [(65, 64), (48, 81)])
def test_features_are_strided_and_rounded_up(
    name: str, output_stride: int, size: tuple[int, int]
) -> None:
    def features(images: jax.Array) -> jax.Array:
        network = ResNet(name, output_stride=output_stride, rngs=nnx.Rngs(0))
        assert network.features == RESNETS[name].widths[-1] * (
            RESNETS[name].block.expansion
        )
        return network(images, train=False)

    result = jax.eval_shape(features, jax.ShapeDtypeStruct((2, *size, 3), jnp.float32))
    assert result.shape[:3] == (2, *(-(-side // output_stride) for side in size))


def test_output_strides_keep_the_weights_and_the_features_they_share() -> None:
    fine = ResNet("resnet_small", output_stride=8, rngs=nnx.Rngs(0))
    coarse = ResNet("resnet_small", output_stride=16, rngs=nnx.Rngs(0))
    images = jax.random.normal(jax.random.key(0), (1, 64, 64, 3))
    # Dilation replaces striding, so every second fine feature is a coarse one.
    expected = fine(images, train=False)[:, ::2, ::2]
    assert jnp.allclose(coarse(images, train=False), expected, atol=1e-4)


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

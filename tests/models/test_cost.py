"""What networks cost, against published figures."""

import functools

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from models import DeepLab, ResNet
from models.cost import multiply_adds, parameter_count

# torchvision's own figures at 224 × 224, its classifier of 1000 classes included:
# parameters, and multiply-adds in 10⁹.
PUBLISHED = {
    "resnet18": (11_689_512, 1.814),
    "resnet34": (21_797_672, 3.664),
    "resnet50": (25_557_032, 4.089),
    "resnet101": (44_549_160, 7.801),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_resnet_costs_what_is_published(name: str) -> None:
    def make() -> ResNet:
        return ResNet(name, output_stride=32, rngs=nnx.Rngs(0))

    network = nnx.eval_shape(make)
    classifier = 1000 * network.features
    parameters, billions = PUBLISHED[name]
    assert parameter_count(network) + classifier + 1000 == parameters
    images = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    found = multiply_adds(lambda x: make()(x, train=False), images) + classifier
    assert round(found / 1e9, 3) == billions


# Parameters as PyTorch counts those of the same networks (parity.json; torchvision
# publishes 42,004,074 and 60,996,202 with an auxiliary head of 2,365,205).
@pytest.mark.parametrize(
    ("backbone", "head", "parameters"),
    [
        ("resnet101", "v2", 44_048_532),
        ("resnet50", "v3", 42_004_074 - 2_365_205),
        ("resnet101", "v3", 60_996_202 - 2_365_205),
    ],
)
def test_deeplab_has_the_published_parameters(
    backbone: str, head: str, parameters: int
) -> None:
    model = nnx.eval_shape(
        lambda: DeepLab(
            classes=21,
            backbone=backbone,
            head="v3" if head == "v3" else "v2",
            rngs=nnx.Rngs(0),
        )
    )
    assert parameter_count(model) == parameters


def test_multiply_adds_are_counted_by_hand() -> None:
    def function(x: jax.Array, y: jax.Array) -> jax.Array:
        conv = functools.partial(
            jax.lax.conv_general_dilated, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        grouped = conv(x, y, (2, 2), "SAME", feature_group_count=2)
        return jax.jit(jnp.matmul)(grouped, jnp.ones((8, 5)))

    x, y = jnp.ones((2, 6, 6, 4)), jnp.ones((3, 3, 2, 8))
    assert multiply_adds(function, x, y) == 2 * 9 * 8 * (9 * 2) + 2 * 9 * 5 * 8

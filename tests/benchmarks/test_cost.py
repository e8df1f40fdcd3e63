"""Costs of networks, compared with published numbers."""

import functools
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from benchmarks.cost import multiply_adds, parameter_count
from models.backbones import BACKBONES, Backbone, make_backbone
from models.deeplab import DeepLab

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
    def make() -> Backbone:
        return make_backbone(name, output_stride=32, rngs=nnx.Rngs(0))

    network = nnx.eval_shape(make)
    graph, state = nnx.split(network)

    def maps(state: nnx.State, images: jax.Array) -> list[jax.Array]:
        return nnx.merge(graph, state, copy=True)(images, train=False)

    classifier = 1000 * network.channels[-1]
    parameters, billions = PUBLISHED[name]
    assert parameter_count(network) + classifier + 1000 == parameters
    images = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    found = multiply_adds(maps, state, images) + classifier
    assert round(found / 1e9, 3) == billions


AUXILIARY = 1024 * 256 * 9 + 256 * 21  # multiply-adds a feature, torchvision's own head


@functools.cache
def model_of(backbone: str, head: str, stride: int) -> DeepLab:
    def make() -> DeepLab:
        return DeepLab(
            classes=21,
            backbone=backbone,
            head=head,
            output_stride=stride,
            rngs=nnx.Rngs(0),
        )

    return nnx.eval_shape(make)


def cost(backbone: str, head: str, stride: int, size: int) -> tuple[int, int]:
    """Returns parameters, and multiply-adds up to the logits before upsampling."""
    model = model_of(backbone, head, stride)
    graph, state = nnx.split(model)

    def coarse(state: nnx.State, images: jax.Array) -> jax.Array:
        model = nnx.merge(graph, state, copy=True)
        return model.head(model.backbone(images, train=False), train=False)

    images = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    return parameter_count(model), multiply_adds(coarse, state, images)


@pytest.mark.parametrize(
    ("backbone", "billions"), [("resnet50", 178.722), ("resnet101", 258.743)]
)
def test_deeplabv3_costs_what_torchvision_publishes(
    backbone: str, billions: float
) -> None:
    _, found = cost(backbone, "v3", 8, 520)
    assert round((found + 65 * 65 * AUXILIARY) / 1e9, 3) == billions


ROW = r"\| `(\w+)` \| `(v\d\w*)` \| (\d+) \| ([\d,]+) \| ([\d.]+) \| ([\d.]+) \|"
TABLE = re.findall(ROW, (Path(__file__).parents[2] / "docs" / "model.md").read_text())


@pytest.mark.parametrize("row", TABLE, ids=" ".join)
def test_table_of_costs_is_true(row: tuple[str, ...]) -> None:
    backbone, head, stride, parameters, *billions = row
    for size, stated in zip((321, 513), billions, strict=True):
        count, found = cost(backbone, head, int(stride), size)
        assert f"{count:,}" == parameters
        assert f"{found / 1e9:.1f}" == stated


def test_table_lists_every_backbone() -> None:
    assert {row[0] for row in TABLE} == set(BACKBONES)
    assert len(TABLE) == len(set(TABLE)) >= 10


# Parameters as PyTorch counts those of the same networks (parity.json; torchvision
# publishes 42,004,074 and 60,996,202 with an auxiliary head of 2,365,205).
@pytest.mark.parametrize(
    ("backbone", "head", "parameters"),
    [
        ("resnet101", "v2", 44_048_532),
        ("resnet50", "v3", 42_004_074 - 2_365_205),
        ("resnet101", "v3", 60_996_202 - 2_365_205),
        ("resnet50", "v3plus", 40_352_181),
    ],
)
def test_deeplab_has_the_published_parameters(
    backbone: str, head: str, parameters: int
) -> None:
    model = model_of(backbone, head, 8)
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

"""DeepLab: shapes of the outputs, and its heads."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from models.aspp import AtrousPyramid, PooledPyramid, PyramidFeatures
from models.deeplab import DeepLab, NetworkOutputs
from models.heads import HEADS
from models.styles import STYLES
from models.upsamplings import UPSAMPLINGS

from ..tolerances import assert_close
from .networks import filled

# Every pair of two of the three.
COMBINATIONS = [
    (upsampling, head, list(STYLES)[(row + column) % len(STYLES)])
    for row, upsampling in enumerate(UPSAMPLINGS)
    for column, head in enumerate(HEADS)
]


@pytest.mark.parametrize(("upsampling", "head", "style"), COMBINATIONS)
def test_logits_have_the_size_of_the_image(
    upsampling: str, head: str, style: str
) -> None:
    model = nnx.eval_shape(
        lambda: DeepLab(
            classes=21,
            backbone="resnet18",
            upsampling=upsampling,
            head=head,
            style=style,
            rngs=nnx.Rngs(0),
        )
    )
    graph, state = nnx.split(model)

    def outputs(state: nnx.State, images: jax.Array) -> NetworkOutputs:
        return nnx.merge(graph, state, copy=True).outputs(images, train=False)

    for size in ((33, 40), (46, 65)):
        images = jax.ShapeDtypeStruct((2, *size, 3), jnp.bfloat16)
        result = jax.eval_shape(outputs, state, images)
        assert result.logits.shape == (2, *size, 21)
        read = result.maps[0] if HEADS[head].stride == 4 else result.features
        assert result.coarse.shape == (*read.shape[:3], 21)
        assert result.logits.dtype == result.coarse.dtype == jnp.float32


@pytest.mark.parametrize(
    ("head", "stride", "dilations"),
    [
        ("v2", 8, (6, 12, 18, 24)),
        ("v2", 16, (3, 6, 9, 12)),
        ("v2", 32, (2, 3, 5, 6)),
        ("v3", 8, (12, 24, 36)),
        ("v3", 16, (6, 12, 18)),
        ("v3", 32, (3, 6, 9)),
        ("v3plus", 8, (12, 24, 36)),
        ("v3plus", 16, (6, 12, 18)),
    ],
)
def test_heads_have_the_dilations_of_their_papers(
    head: str, stride: int, dilations: tuple[int, ...]
) -> None:
    model = nnx.eval_shape(
        lambda: DeepLab(
            classes=3,
            backbone="resnet_small",
            head=head,
            output_stride=stride,
            rngs=nnx.Rngs(0),
        )
    )
    if isinstance(model.head, AtrousPyramid):
        found = [branch.kernel_dilation for branch in model.head.branches]
    else:
        assert isinstance(model.head, PyramidFeatures)
        found = [branch.conv.kernel_dilation for branch in model.head.branches[1:]]
    assert tuple(found) == dilations


def test_pooled_head_sees_the_whole_image() -> None:
    head = filled(
        lambda: PooledPyramid((8,), 5, dilations=(1,), width=4, rngs=nnx.Rngs(0))
    )
    features = jax.random.normal(jax.random.key(1), (1, 9, 9, 8))
    moved = features.at[0, 0, 0].add(10.0)  # further away than any window reaches
    logits = jax.jit(lambda head, features: head([features], train=False))
    difference = logits(head, moved) - logits(head, features)
    assert jnp.abs(difference[0, 8, 8]).max() > 1e-6


def test_pyramid_is_initialized_as_in_the_paper() -> None:
    head = AtrousPyramid((64, 512), 21, dilations=(6, 12), rngs=nnx.Rngs(0))
    for branch in head.branches:
        assert float(jnp.std(branch.kernel[...])) == pytest.approx(0.01, rel=0.01)
        assert branch.bias is not None and not branch.bias[...].any()


def test_head_sums_one_convolution_per_dilation() -> None:
    head = AtrousPyramid((4, 8), 5, dilations=(1, 3), rngs=nnx.Rngs(0))
    features = jax.random.normal(jax.random.key(1), (1, 9, 9, 8))
    first, second = head.branches
    expected = first(features) + second(features)  # the same terms in another order
    assert_close(head([features], train=False), expected, length=2 * 9 * 8)
    # Only the center of a dilated window reaches a lone feature 2 pixels away.
    lone = jnp.zeros((1, 9, 9, 8)).at[0, 4, 4].set(1.0)
    assert not second(lone)[0, 4, 6].any()
    assert second(lone)[0, 4, 7].any()

"""DeepLab: shapes, and what each option changes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from models import DeepLab, Outputs
from models.deeplab import HEADS, RATES, UPSAMPLINGS, Head
from models.heads import AtrousPyramid, PooledPyramid
from models.resnet import STYLES


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [(33, 40), (46, 65)])
def test_logits_have_the_size_of_the_image(
    upsampling: str, head: str, style: str, size: tuple[int, int]
) -> None:
    def outputs(images: jax.Array) -> Outputs:
        options: Any = {"upsampling": upsampling, "head": head, "style": style}
        model = DeepLab(classes=21, backbone="resnet18", rngs=nnx.Rngs(0), **options)
        return model.outputs(images, train=False)

    images = jax.ShapeDtypeStruct((2, *size, 3), jnp.bfloat16)
    result = jax.eval_shape(outputs, images)
    assert result.logits.shape == (2, *size, 21)
    assert result.coarse.shape == (*result.features.shape[:3], 21)
    assert result.logits.dtype == result.coarse.dtype == jnp.float32


@pytest.mark.parametrize(("head", "stride"), RATES)
def test_heads_have_the_rates_of_their_papers(head: Head, stride: int) -> None:
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
        found = [branch.conv.kernel_dilation for branch in model.head.branches[1:]]
    assert tuple(found) == RATES[head, stride]


def test_pooled_head_sees_the_whole_image() -> None:
    head = PooledPyramid(8, 5, rates=(1,), width=4, rngs=nnx.Rngs(0))
    features = jax.random.normal(jax.random.key(1), (1, 9, 9, 8))
    moved = features.at[0, 0, 0].add(10.0)  # further away than any window reaches
    logits = jax.jit(lambda head, features: head(features, train=False))
    difference = logits(head, moved) - logits(head, features)
    assert jnp.abs(difference[0, 8, 8]).max() > 1e-6


def test_pyramid_begins_as_the_paper_has_it() -> None:
    head = AtrousPyramid(512, 21, rates=(6, 12), rngs=nnx.Rngs(0))
    for branch in head.branches:
        assert float(jnp.std(branch.kernel[...])) == pytest.approx(0.01, rel=0.01)
        assert branch.bias is not None and not branch.bias[...].any()


def test_head_sums_one_convolution_for_each_rate() -> None:
    head = AtrousPyramid(8, 5, rates=(1, 3), rngs=nnx.Rngs(0))
    features = jax.random.normal(jax.random.key(1), (1, 9, 9, 8))
    first, second = head.branches
    np.testing.assert_allclose(
        head(features, train=False), first(features) + second(features), rtol=1e-6
    )
    # Only the centre of a dilated window reaches a lone feature 2 pixels away.
    lone = jnp.zeros((1, 9, 9, 8)).at[0, 4, 4].set(1.0)
    assert not second(lone)[0, 4, 6].any()
    assert second(lone)[0, 4, 7].any()


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ValueError, match="nearest"):
        DeepLab(classes=3, upsampling="nearest", rngs=nnx.Rngs(0))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="head must be one of.*'v4'"):
        DeepLab(classes=3, head="v4", rngs=nnx.Rngs(0))  # type: ignore[arg-type]

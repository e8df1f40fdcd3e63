"""DeepLab: shapes, and what each option changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from models import DeepLab
from models.heads import AtrousPyramid


@pytest.mark.parametrize("upsampling", ["bilinear", "learned"])
@pytest.mark.parametrize("size", [(33, 40), (47, 65)])
def test_logits_have_the_size_of_the_image(
    upsampling: str, size: tuple[int, int]
) -> None:
    def logits(images: jax.Array) -> jax.Array:
        model = DeepLab(
            classes=21,
            backbone="resnet_small",
            upsampling="learned" if upsampling == "learned" else "bilinear",
            rngs=nnx.Rngs(0),
        )
        return model(images, train=False)

    result = jax.eval_shape(logits, jax.ShapeDtypeStruct((2, *size, 3), jnp.float32))
    assert result.shape == (2, *size, 21)


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


def test_unknown_upsampling_is_refused() -> None:
    with pytest.raises(ValueError, match="nearest"):
        DeepLab(classes=3, upsampling="nearest", rngs=nnx.Rngs(0))  # type: ignore[arg-type]

"""Masks have the images' size and place, whatever the network sees."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from train.config import Config
from train.inference import Predictor
from train.loop import TrainState


class Brightest(nnx.Module):
    """Stands in for a network: its logits are the colours, and it notes the sizes."""

    sizes: list[tuple[int, ...]] = []

    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        assert not train
        self.sizes.append(images.shape[1:3])
        return images


STATE = TrainState(jnp.int32(0), nnx.State({}), nnx.State({}), jnp.zeros((3, 3)), ())


@pytest.mark.parametrize(
    ("scale", "seen"), [(1.0, (48, 64)), (0.5, (24, 32)), (1.5, (72, 96))]
)
@pytest.mark.parametrize("part", [np.s_[11:, :], np.s_[:, 21:]])
def test_masks_stay_in_place_at_every_scale(
    scale: float, seen: tuple[int, int], part: tuple[slice, slice]
) -> None:
    truth = np.zeros((42, 60), np.uint8)  # padded to 48 × 64
    truth[part] = 2
    image = np.full((42, 60, 3), 20, np.uint8)
    np.put_along_axis(image, truth[..., None].astype(int), 250, axis=-1)
    Brightest.sizes.clear()
    graph: nnx.GraphDef = nnx.graphdef(Brightest())
    config = Config(size_multiple=16, evaluation_scales=(scale,))
    mask = Predictor(graph, config).mask(STATE, image)
    assert Brightest.sizes == [seen]
    np.testing.assert_array_equal(mask, truth)

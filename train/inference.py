"""Masks from a network."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from models import DeepLab
from train.config import Config
from train.data import Example, pad_to_multiple
from train.loop import TrainState
from train.network import resize, scaled_size
from train.preprocessing import PREPROCESSINGS


class Predictor:
    """Turns images into masks with a network of fixed structure.

    Args:
      graph: the network's structure.
      config: how it is trained and how it predicts.
    """

    def __init__(self, graph: nnx.GraphDef[DeepLab], config: Config):
        self.multiple = config.size_multiple
        preprocess = PREPROCESSINGS[config.preprocessing]
        (scale,) = config.evaluation_scales

        @jax.jit
        def predict(
            params: nnx.State, statistics: nnx.State, images: jax.Array
        ) -> jax.Array:
            model = nnx.merge(graph, params, statistics, copy=True)
            size = images.shape[1:3]
            resized = resize(
                preprocess(images), scaled_size(size, scale), antialias=True
            )
            logits = resize(model(resized, train=False), size)
            return jnp.argmax(logits, axis=-1).astype(jnp.uint8)

        self._predict = predict

    def batch(self, state: TrainState, images: np.ndarray) -> np.ndarray:
        """Returns masks uint8 `[batch, height, width]` of uint8 images."""
        return np.asarray(self._predict(state.params, state.statistics, images))

    def mask(self, state: TrainState, image: np.ndarray) -> np.ndarray:
        """Returns the mask, uint8 `[height, width]`, of one image of any size."""
        height, width = image.shape[:2]
        blank = np.zeros((height, width), np.uint8)
        padded = pad_to_multiple(Example(image, blank), self.multiple)
        return self.batch(state, padded.image[None])[0, :height, :width]

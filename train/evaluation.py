"""Masks from a trained network, and how good they are over a whole split."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from models import DeepLab
from train import metrics
from train.data import Example, decode, evaluation_batches, pad_to_multiple
from train.datasets import Source
from train.loop import TrainState, normalize
from train.report import Panel


class Predictor:
    """Turns images into masks with a network of fixed structure.

    Args:
      graph: the network's structure.
      multiple: images are padded to multiples of this, pixels; each padded size
        compiles once.
      scale: the network sees images resized by this; its logits are resized back.
    """

    def __init__(self, graph: nnx.GraphDef[DeepLab], multiple: int, scale: float = 1.0):
        self.multiple = multiple

        @jax.jit
        def predict(
            params: nnx.State, statistics: nnx.State, images: jax.Array
        ) -> jax.Array:
            model = nnx.merge(graph, params, statistics, copy=True)
            resized = _resize(normalize(images), _scaled(images.shape[1:3], scale))
            logits = _resize(model(resized, train=False), images.shape[1:3])
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


def _scaled(size: Sequence[int], scale: float) -> tuple[int, ...]:
    return tuple(max(1, round(side * scale)) for side in size)


def _resize(images: jax.Array, size: Sequence[int]) -> jax.Array:
    """Returns `[batch, *size, channels]`, interpolated linearly; smoothed to shrink."""
    batch, *_, channels = images.shape
    return jax.image.resize(images, (batch, *size, channels), "linear")


class Evaluator:
    """Compares predictions to the truth over a whole split, at full resolution.

    Args:
      predictor: makes the masks.
      source: the records of the split.
      class_names: one for each class.
      batch_size: images of equal size predicted together.
    """

    def __init__(
        self,
        predictor: Predictor,
        source: Source,
        class_names: Sequence[str],
        *,
        batch_size: int,
    ):
        self.predictor, self.source = predictor, source
        self.class_names, self.batch_size = class_names, batch_size

    def confusion(self, state: TrainState) -> np.ndarray:
        """Returns the confusion matrix, int64 `[classes, classes]`, rows truth."""
        classes = len(self.class_names)
        confusion = np.zeros((classes, classes), np.int64)
        batches = evaluation_batches(
            self.source, batch_size=self.batch_size, multiple=self.predictor.multiple
        )
        for images, labels in batches:
            masks = self.predictor.batch(state, images)
            confusion += metrics.confusion_matrix(labels, masks, classes)
        return confusion

    def figures(self, state: TrainState) -> dict[str, float]:
        """Returns mean IoU and pixel accuracy."""
        result = metrics.figures(self.confusion(state), self.class_names)
        return {name: result[name] for name in ("mean_iou", "pixel_accuracy")}

    def panels(self, state: TrainState, count: int = 8) -> list[Panel]:
        """Returns images of the split, spread evenly, with truth and prediction."""
        chosen = np.linspace(0, len(self.source) - 1, count).round().astype(int)
        result = []
        for index in np.unique(chosen).tolist():
            record = self.source[index]
            image, truth = decode(record)
            mask = self.predictor.mask(state, image)
            result.append(Panel(record["name"].decode(), image, truth, mask))
        return result

"""Masks from a trained network, and how good they are over a whole split."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from models import DeepLab
from train import metrics
from train.config import Config
from train.data import Example, decode, evaluation_batches, pad_to_multiple
from train.datasets import Dataset
from train.loop import TrainState, normalize
from train.metrics import confusion_matrix
from train.report import Panel


class Evaluator:
    """Predicts masks with a network of fixed structure; each size compiles once.

    Args:
      graph: the network's structure.
      config: the run's configuration.
      dataset: where the validation split and the classes are.
    """

    def __init__(self, graph: nnx.GraphDef[DeepLab], config: Config, dataset: Dataset):
        self.config, self.dataset = config, dataset

        @jax.jit
        def predict(
            params: nnx.State, statistics: nnx.State, images: jax.Array
        ) -> jax.Array:
            model = nnx.merge(graph, params, statistics, copy=True)
            logits = model(normalize(images), train=False)
            return jnp.argmax(logits, axis=-1).astype(jnp.uint8)

        self._predict = predict

    def predict(self, state: TrainState, images: np.ndarray) -> np.ndarray:
        """Returns masks uint8 `[batch, height, width]` of uint8 images."""
        return np.asarray(self._predict(state.params, state.statistics, images))

    def confusion(self, state: TrainState) -> np.ndarray:
        """Returns the confusion matrix of the validation split at full resolution."""
        classes = len(self.dataset.class_names)
        confusion = np.zeros((classes, classes), np.int64)
        batches = evaluation_batches(
            self.dataset.val,
            batch_size=self.config.evaluation_batch,
            multiple=self.config.size_multiple,
        )
        for images, labels in batches:
            prediction = self.predict(state, images)
            confusion += confusion_matrix(labels, prediction, classes)
        return confusion

    def figures(self, state: TrainState) -> dict[str, float]:
        """Returns the validation split's mean IoU and pixel accuracy."""
        result = metrics.figures(self.confusion(state), self.dataset.class_names)
        return {name: result[name] for name in ("mean_iou", "pixel_accuracy")}

    def mask(self, state: TrainState, image: np.ndarray) -> np.ndarray:
        """Returns the mask, uint8 `[height, width]`, of one image of any size."""
        height, width = image.shape[:2]
        blank = np.zeros((height, width), np.uint8)
        padded = pad_to_multiple(Example(image, blank), self.config.size_multiple)
        return self.predict(state, padded.image[None])[0, :height, :width]

    def panels(self, state: TrainState, count: int = 8) -> list[Panel]:
        """Returns validation images, spread evenly, with truth and prediction."""
        source = self.dataset.val
        chosen = np.linspace(0, len(source) - 1, count).round().astype(int)
        result = []
        for index in np.unique(chosen).tolist():
            record = source[index]
            image, truth = decode(record)
            mask = self.mask(state, image)
            result.append(Panel(record["name"].decode(), image, truth, mask))
        return result

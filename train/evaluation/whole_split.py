"""Evaluation of a whole split: predicted masks compared with the truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from train.data.batches import evaluation_batches
from train.data.images import Source, decode
from train.evaluation.inference import Predictor
from train.evaluation.metrics import BORDERS, Counts, count, scalar_metrics
from train.training.step import TrainState


class Panel(NamedTuple):
    """An example: its name, image uint8 [H, W, 3] and two masks uint8 [H, W]."""

    name: str
    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray


class Evaluator:
    """Compares predictions with the truth over a whole split, at full resolution.

    Args:
      predictor: makes the masks.
      source: the records of the split.
      class_names: one for each class.
    """

    def __init__(
        self, predictor: Predictor, source: Source, class_names: Sequence[str]
    ):
        self.predictor, self.source = predictor, source
        self.class_names = class_names

    def counts(self, state: TrainState, borders: Sequence[int] = BORDERS) -> Counts:
        """Returns the confusion matrices.

        Args:
          state: parameters and statistics of the network.
          borders: distances from a border to count apart, pixels.
        """
        return count(self._pairs(state), len(self.class_names), borders)

    def _pairs(self, state: TrainState) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields truth and prediction of each image."""
        options = self.predictor.options
        if options.window != (0, 0):
            for index in range(len(self.source)):
                image, truth = decode(self.source[index])
                yield truth, self.predictor.mask(state, image)
            return
        batches = evaluation_batches(
            self.source,
            batch_size=options.batch_size,
            multiple=options.size_multiple,
        )
        for examples, sizes in batches:
            masks = self.predictor.batch(state, examples.image)
            # The last batch may be filled with blank images.
            for truth, mask, (height, width) in zip(
                examples.label, masks, sizes, strict=False
            ):
                yield truth[:height, :width], mask[:height, :width]

    def metrics(self, state: TrainState) -> dict[str, float]:
        """Returns every scalar metric by name."""
        return scalar_metrics(self.counts(state, borders=()).whole)

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

"""How good the masks of a network are over a whole split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from train import metrics
from train.data import Source, decode, evaluation_batches
from train.inference import Predictor
from train.loop import TrainState
from train.report import Panel


class Evaluator:
    """Compares predictions to the truth over a whole split, at full resolution.

    Args:
      predictor: makes the masks.
      source: the records of the split.
      class_names: one for each class.
      batch_size: images of equal size predicted together; 1 if there are windows.
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

    def counts(
        self, state: TrainState, borders: Sequence[int] = metrics.BORDERS
    ) -> metrics.Counts:
        """Returns how often each class was taken for which.

        Args:
          state: parameters and statistics of the network.
          borders: distances from a border to count apart, pixels.
        """
        return metrics.count(self._pairs(state), len(self.class_names), borders)

    def _pairs(self, state: TrainState) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields truth and prediction of each image."""
        if self.predictor.window != (0, 0):
            for index in range(len(self.source)):
                image, truth = decode(self.source[index])
                yield truth, self.predictor.mask(state, image)
            return
        batches = evaluation_batches(
            self.source, batch_size=self.batch_size, multiple=self.predictor.multiple
        )
        for examples, sizes in batches:
            masks = self.predictor.batch(state, examples.image)
            # The last batch may be filled with blank images.
            for truth, mask, (height, width) in zip(
                examples.label, masks, sizes, strict=False
            ):
                yield truth[:height, :width], mask[:height, :width]

    def figures(self, state: TrainState) -> dict[str, float]:
        """Returns mean IoU and pixel accuracy."""
        result = metrics.figures(self.counts(state, borders=()).whole, self.class_names)
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

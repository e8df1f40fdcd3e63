"""Images to try dense CRFs on: predicted once, their probabilities kept in files."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from train.common.errors import UserError, lacks_space, memory_for
from train.data.images import Source, decode
from train.data.origin import name_of
from train.evaluation.bands import largest_class
from train.evaluation.crf import Crf, processes
from train.evaluation.inference import Predictor
from train.evaluation.metrics import count, scalar_metrics
from train.training.step import TrainState


class Trial:
    """The probabilities of a split's images, in a folder.

    Args:
      predictor: makes them.
      source: the records.
      class_names: one for each class.
      folder: for a file of each image, float32.
    """

    def __init__(
        self,
        predictor: Predictor,
        source: Source,
        class_names: Sequence[str],
        folder: Path,
    ):
        self._predictor, self._source = predictor, source
        self._classes, self._folder = len(class_names), folder

    def predict(self, state: TrainState) -> None:
        """Writes the probabilities of every image.

        Raises:
          UserError: memory or the folder's disk does not suffice, or the network gives
            no prediction.
        """
        numbers = range(len(self._source))
        for index in tqdm(numbers, "predicting", leave=False, dynamic_ncols=True):
            with memory_for(self._name(index), "Predict in windows: --window 513 513."):
                image = decode(self._source[index]).image
                found = self._predictor.probabilities(state, image)
            self._write(index, found)

    def mean_iou(self, crf: Crf | None) -> float:
        """Returns the mean IoU over the images, a fraction; None takes no CRF.

        Raises:
          UserError: the CRF cannot be computed of an image.
        """

        def pair(index: int) -> tuple[np.ndarray, np.ndarray]:
            image, truth = decode(self._source[index])
            found, name = np.load(self._file(index)), self._name(index)
            if crf:
                crf.check(name, image.shape[:2], self._classes)
                found = crf.refined(name, image, found)
            return truth, largest_class(found)

        with ThreadPoolExecutor(processes()) as pool:
            pairs = pool.map(pair, range(len(self._source)))
            try:
                counts = count(pairs, self._classes, borders=())
            except BaseException:  # a stop, too
                pool.shutdown(wait=False, cancel_futures=True)
                if crf:
                    crf.workers.stop()
                raise
        return scalar_metrics(counts.whole)["mean_iou"]

    def _write(self, index: int, found: np.ndarray) -> None:
        """Writes a file for `np.load`; np.save does not tell why it could not."""
        described = np.lib.format.header_data_from_array_1_0(found)
        try:
            with self._file(index).open("wb") as file:
                np.lib.format.write_array_header_1_0(file, described)
                file.write(np.ascontiguousarray(found).data)
        except OSError as error:
            if not lacks_space(error):
                raise
            raise UserError(
                f"{self._folder}: the probabilities of {len(self._source)} images are "
                f"kept there, and those of number {index + 1}, {found.nbytes} bytes, "
                f"could not be written ({error.strerror}). Name a folder with more "
                "room by TMPDIR=FOLDER, or take fewer --images."
            ) from error

    def _name(self, index: int) -> str:
        return name_of(self._source[index])

    def _file(self, index: int) -> Path:
        return self._folder / f"{index}.npy"

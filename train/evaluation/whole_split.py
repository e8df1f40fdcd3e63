"""Evaluation of a whole split: predicted masks compared with the truth."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from train.common.errors import Diverged, NotFinite, UserError, memory_for
from train.common.processes import index_of_process, number_of_processes, total
from train.data.batches import Piece, evaluation_pieces, load_piece
from train.data.forms import shown_image
from train.data.images import (
    IGNORED,
    Example,
    Size,
    Source,
    decode,
    has_label,
    mask_sizes,
)
from train.data.origin import name_of
from train.evaluation.bands import largest_class
from train.evaluation.crf import Crf, processes
from train.evaluation.inference import Predictor
from train.evaluation.metrics import BORDERS, Counts, count, scalar_metrics
from train.evaluation.spread import replicas, spread
from train.evaluation.stages import Stages, overlapped
from train.training.step import TrainState

# An image with its truth, and its predicted mask, uint8 [H, W].
Compared = tuple[Example, np.ndarray]


class Panel(NamedTuple):
    """An example: its name, image as shown and two masks, uint8 [H, W, 3], [H, W]."""

    name: str
    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray


class _Unrefined(NamedTuple):
    """An example before its CRF."""

    name: str
    example: Example
    probabilities: np.ndarray  # float32 [height, width, classes]


class Evaluator:
    """Compares predictions with the truth over a whole split, at full resolution.

    Args:
      predictor: makes the masks.
      source: the records of the split.
      class_names: one for each class.
      crf: refines the predictions.

    Raises:
      UserError: no mask of the split has a label, so there is nothing to measure.
    """

    def __init__(
        self,
        predictor: Predictor,
        source: Source,
        class_names: Sequence[str],
        crf: Crf | None = None,
    ):
        if not any(has_label(source[index]) for index in range(len(source))):
            raise UserError(
                f"none of the {len(source)} masks to evaluate on has a label: all "
                f"pixels are ignored ({IGNORED}). Name another split with --val-split, "
                "or look at the masks: python train/inspect_data.py --data FOLDER."
            )
        self.predictor, self.source = predictor, source
        self.class_names, self._crf = class_names, crf

    def counts(self, state: TrainState, borders: Sequence[int] = BORDERS) -> Counts:
        """Returns the confusion matrices.

        Args:
          state: parameters and statistics of the network.
          borders: distances from a border to count apart, pixels.

        Raises:
          Diverged: the network gives an image logits that are not finite.
          UserError: memory does not suffice.
        """
        classes = len(self.class_names)
        with memory_for("evaluation", self._way_out()):
            with contextlib.closing(self.pieces(state)) as pieces:
                compared = (pair for _, pairs in pieces for pair in pairs())
                pairs = ((example.label, mask) for example, mask in compared)
                counts = count(pairs, classes, borders)
        near = {distance: total(there) for distance, there in counts.near.items()}
        return Counts(total(counts.whole), near)

    def _way_out(self) -> str:
        """Returns what to change where memory does not suffice."""
        options = self.predictor.options
        if options.window != (0, 0):
            return "Choose smaller windows: train/evaluate.py RUN --window 321 321."
        windows = (
            "train/evaluate.py RUN --window 513 513, or train/main.py --window 513 513 "
            "with another --workdir."
        )
        if options.batch_size > 1:
            return (
                "Give the command again with --evaluation-batch 1, or, where one image "
                f"is too large, evaluate in windows: {windows}"
            )
        return f"Evaluate in windows: {windows}"

    @functools.cached_property
    def _sizes(self) -> list[Size]:
        return mask_sizes(self.source)

    def pieces(
        self, state: TrainState
    ) -> Generator[tuple[Sequence[int], Callable[[], list[Compared]]], None, None]:
        """Yields what this process has to look at, images of one size together.

        Args:
          state: parameters and statistics of the network.

        Yields:
          The places of some images in the split, and a function that returns each of
          them with its prediction. It raises Diverged where the network gives one of
          them logits that are not finite.
        """
        states, options = replicas(state), self.predictor.options
        if self._crf:
            yield from self._refined(states, self._crf)
            return
        together = options.batch_size if options.window == (0, 0) else 1

        @functools.cache
        def most(size: Size) -> int:
            return self.predictor.most(states[0], size, together)

        def predict(state: TrainState, piece: Piece) -> list[Compared]:
            padding = self.predictor.padding
            images, labels = load_piece(self.source, piece, padding)
            whole = options.window == (0, 0) and most(piece.padded)
            with self._finite(state, piece.indices):
                if whole:
                    masks = self.predictor.batch(state, images)
                else:
                    height, width = piece.sizes[0]
                    alone = images[0, :height, :width]
                    masks = self.predictor.mask(state, alone)[None]
            # Blank images may fill a batch.
            found = zip(images, labels, masks, piece.sizes, strict=False)
            return [_cut(*each) for each in found]

        pieces = evaluation_pieces(
            self._sizes,
            most=lambda size: max(1, most(size)) if together > 1 else 1,
            multiple=options.size_multiple,
        )
        mine = itertools.islice(pieces, index_of_process(), None, number_of_processes())
        for piece, compared in spread(predict, mine, states):
            yield piece.indices, compared

    def _refined(
        self, states: Sequence[TrainState], crf: Crf
    ) -> Iterator[tuple[Sequence[int], Callable[[], list[Compared]]]]:
        """Yields `pieces` of one image, whose CRF is computed beside the network."""

        def read(index: int) -> tuple[int, Example]:
            return index, decode(self.source[index])

        def predict(state: TrainState, seen: tuple[int, Example]) -> _Unrefined:
            index, example = seen
            with self._finite(state, [index]):
                return self._for_the_crf(crf, state, index, example)

        def refine(predicted: _Unrefined) -> list[Compared]:
            return [(predicted.example, _mask(crf, predicted))]

        numbers = range(index_of_process(), len(self.source), number_of_processes())
        classes = len(self.class_names)
        items = ((index, classes * math.prod(self._sizes[index])) for index in numbers)
        stages = Stages(read, predict, refine, crf.workers.stop)
        work = overlapped(stages, items, states, writers=processes())
        with contextlib.closing(work) as results:
            for index, result in results:
                yield [index], result

    def _for_the_crf(
        self, crf: Crf, state: TrainState, index: int, example: Example
    ) -> _Unrefined:
        """Returns an example that the CRF can be computed of."""
        name = self._name(index)
        crf.check(name, example.image.shape[:2], len(self.class_names))
        found = self.predictor.probabilities(state, example.image)
        return _Unrefined(name, example, found)

    def _name(self, index: int) -> str:
        return name_of(self.source[index])

    @contextlib.contextmanager
    def _finite(self, state: TrainState, indices: Sequence[int]) -> Iterator[None]:
        """Names step and image where a network gives no prediction."""
        try:
            yield
        except NotFinite as error:
            # A blank image that fills a batch is as good as the last of the others.
            index = indices[min(error.index, len(indices) - 1)]
            name = self._name(index)
            step = int(state.step)
            raise Diverged(f"step {step}, image {name!r}: {error}", step) from error

    def metrics(self, state: TrainState) -> dict[str, float]:
        """Returns every scalar metric by name."""
        return scalar_metrics(self.counts(state, borders=()).whole)

    def panel(self, state: TrainState, index: int) -> Panel:
        """Returns an image of the split with truth and prediction.

        Args:
          state: one of `replicas(…)`.
          index: of the image in the split.
        """
        record = self.source[index]
        example = decode(record)
        if self._crf:
            found = self._for_the_crf(self._crf, state, index, example)
            mask = _mask(self._crf, found)
        else:
            mask = self.predictor.mask(state, example.image)
        return Panel(name_of(record), shown_image(example.image), example.label, mask)

    def panels(self, state: TrainState, count: int = 8) -> list[Panel]:
        """Returns images of the split, spread evenly, with truth and prediction."""
        state = replicas(state)[0]
        return [self.panel(state, index) for index in evenly(len(self.source), count)]


def evenly(number: int, count: int) -> list[int]:
    """Returns so many of a number of places, spread evenly, or all that there are."""
    chosen = np.linspace(0, number - 1, min(count, number)).round().astype(int)
    return np.unique(chosen).tolist()


def _mask(crf: Crf, found: _Unrefined) -> np.ndarray:
    """Returns the mask of the CRF."""
    marginals = crf.refined(found.name, found.example.image, found.probabilities)
    return largest_class(marginals)


def _cut(
    image: np.ndarray, label: np.ndarray, mask: np.ndarray, size: Size
) -> Compared:
    """Returns an image with its masks, without what pads them."""
    height, width = size
    example = Example(image[:height, :width], label[:height, :width])
    return example, mask[:height, :width]

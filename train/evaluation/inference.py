"""Inference: masks from a network, of images taken whole or in windows."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import jax
import numpy as np
from flax import nnx
from tqdm import tqdm

from models.deeplab import DeepLab
from train.common.memory import free_memory
from train.data.images import (
    Example,
    Size,
    check_enlarged,
    pad_to_multiple,
    padded_size,
)
from train.data.preprocessing import Preprocessing
from train.evaluation.bands import Band, banded, bands_at_size, largest_class
from train.evaluation.large_images import (
    FALLBACK,
    SHORT,
    bytes_of_resizing,
    check_windows,
    is_long,
    said_of,
    window_for,
)
from train.evaluation.preparation import at_size, prepared
from train.evaluation.programs import Programs
from train.evaluation.sliding_windows import Progress, Span, lay_windows, strip_of
from train.evaluation.views import EvaluationOptions, views
from train.training.step import TrainState

# Images of so many pixels and no longer, as the network sees them: they fit unseen.
_SMALL = 2**21

# Shapes whose programs are kept; each takes some megabytes of memory.
_SHAPES = 64

_USABLE = 0.8  # of the free memory, what is counted on


class Predictor:
    """Turns images into masks with a network of fixed structure.

    Args:
      graph: the network's structure.
      preprocess: what the network is given of an image.
      options: how it predicts.
      height: that `mask` resizes images to, as their training's preparation did,
        pixels; 0 leaves them as they are.
      void: classes that no pixel is predicted as.

    Attributes:
      form: that images must have.
      padding: color of what is beside them.
      cut: the number of images that were predicted in windows because memory would not
        have sufficed for them whole, or a side is too long for that.
    """

    def __init__(
        self,
        graph: nnx.GraphDef[DeepLab],
        preprocess: Preprocessing,
        options: EvaluationOptions,
        *,
        height: int = 0,
        void: Sequence[int] = (),
    ):
        self.options, self._height, self.cut = options, height, 0
        self.form, self.padding = preprocess.form, preprocess.padding
        self._views = views(options)
        if len(self._views) == 1:
            # The largest of one are its logits: rounding to probabilities makes ties.
            options = dataclasses.replace(options, fusion="max")

        self._make = functools.partial(Programs, graph, preprocess, options, void)
        self._programs, self._shapes = self._make(), set[tuple[int, ...]]()
        self._cost: float | None = None
        self._largest = max(1.0, *(view.scale for view in self._views))
        check_windows(options.window, self._largest)

    def check(self, pixels: int, name: str) -> None:
        """Refuses a file of an image of some height, as `check_enlarged` does."""
        way_out = "Make it larger first, lower --scales, or take another model."
        check_enlarged(pixels, self._height, name, way_out, self._largest)

    def _scores(self, state: TrainState, images: np.ndarray) -> jax.Array:
        """Returns `scores`; a compiled function for each view holds one at a time."""
        seen = state.params, state.statistics, images
        programs = self._programs_of(images.shape)
        first, *others = self._views
        joined = programs.look(None, *seen, first)
        for view in others:
            joined = programs.look(joined, *seen, view)
        return joined

    def _programs_of(self, shape: tuple[int, ...]) -> Programs:
        """Returns what compiles for images of a shape; other shapes' may be lost."""
        if shape not in self._shapes and len(self._shapes) == _SHAPES:
            self._programs, self._shapes = self._make(), set()
        self._shapes.add(shape)
        return self._programs

    def most(self, state: TrainState, size: Size, wanted: int) -> int:
        """Returns how many images can be predicted together, 0 where one does not fit.

        An estimate, of what the compiled function takes for each pixel and of the
        memory that is free; none fits that has a side of more than `LONGEST_SEEN`.

        Args:
          state: parameters and statistics of the network.
          size: height and width of the images, pixels.
          wanted: as many suffice.
        """
        if is_long(size, self._largest):
            return 0
        pixels = size[0] * size[1]
        small = wanted * pixels * self._largest**2 <= _SMALL
        if small and max(size) * self._largest <= SHORT:
            return wanted
        needed = self._bytes(state, size)
        return min(wanted, int(_USABLE * free_memory() / max(1, needed)))

    def _bytes(self, state: TrainState, size: Size) -> float:
        """Returns the memory that an image takes, parameters apart."""
        if self._cost is None:
            taken = self._program_memory(state, FALLBACK)
            self._cost = taken / (FALLBACK[0] * FALLBACK[1])
        return size[0] * size[1] * self._cost + bytes_of_resizing(size, self._largest)

    def _program_memory(self, state: TrainState, size: Size) -> int:
        """Returns the bytes that the compiled function takes for one image."""
        shape = 1, *size, self.form.channels
        image = jax.ShapeDtypeStruct(shape, self.form.dtype)
        return self._programs.memory(state, image, self._views)

    def batch(self, state: TrainState, images: np.ndarray) -> np.ndarray:
        """Returns masks uint8 `[batch, height, width]` of whole images.

        Raises:
          NotFinite: an image has a logit that is NaN or infinite.
        """
        return self._programs.masks(self._scores(state, images))

    def mask(
        self, state: TrainState, image: np.ndarray, *, progress: Progress = iter
    ) -> np.ndarray:
        """Returns the mask, uint8 `[height, width]`, of one image of any size.

        The mask has the size of the image, whatever the network is shown of it.

        Args:
          state: parameters and statistics of the network.
          image: of its form, `[height, width, channels]`.
          progress: passes the rows of windows on, of an image larger than a window.

        Raises:
          NotFinite: a logit is NaN or infinite.
        """
        mask = self._mask(state, prepared(image, self._height), progress)
        height, width = image.shape[:2]
        return at_size(mask, (height, width))

    def _mask(
        self, state: TrainState, image: np.ndarray, progress: Progress
    ) -> np.ndarray:
        """Returns the mask of an image as it is."""
        if parts := self._parts(state, image, progress):
            return np.concatenate([largest_class(part) for part in parts])
        height, width = image.shape[:2]
        return self.batch(state, self._padded(state, image))[0, :height, :width]

    def bands(
        self, state: TrainState, image: np.ndarray, *, progress: Progress = iter
    ) -> Iterator[Band]:
        """Yields `mask` with probabilities, in bands of rows from the top down.

        Scores of an image taken whole stay on the device; on the host is a band, of 256
        rows or those of a row of windows.

        Raises:
          NotFinite: a logit is NaN or infinite.
        """
        seen = prepared(image, self._height)
        bands = self._bands(state, seen, progress)
        return bands_at_size(bands, seen.shape[:2], image.shape[:2])

    def prepared(self, image: np.ndarray) -> np.ndarray:
        """Returns an image as `mask` and `bands` resize it before they look at it."""
        return prepared(image, self._height)

    def probabilities(
        self, state: TrainState, image: np.ndarray, *, progress: Progress = iter
    ) -> np.ndarray:
        """Returns the probabilities of all classes, of an image as it is.

        Float32 `[height, width, classes]`, on the host.

        Raises:
          NotFinite: a logit is NaN or infinite.
        """
        bands = self._bands(state, image, progress)
        return np.concatenate([band.probabilities for band in bands])

    def _bands(
        self, state: TrainState, image: np.ndarray, progress: Progress
    ) -> Iterator[Band]:
        """Yields the bands of an image as it is."""
        if parts := self._parts(state, image, progress):
            yield from (Band(largest_class(part), part) for part in parts)
            return
        found = self._scores(state, self._padded(state, image))
        height, width = image.shape[:2]
        mask = self._programs.masks(found)[0, :height, :width]
        yield from banded(mask, functools.partial(self._programs.rows, found))

    def _parts(
        self, state: TrainState, image: np.ndarray, progress: Progress
    ) -> Iterator[np.ndarray] | None:
        """Returns `windowed` of an image that is to be cut, None of any other."""
        height, width = image.shape[:2]
        window = self._window(state, (height, width))
        if window == (0, 0) or (height <= window[0] and width <= window[1]):
            return None
        return self.windowed(state, image, window, progress=progress)

    def _padded(self, state: TrainState, image: np.ndarray) -> np.ndarray:
        """Returns a batch of an image alone, padded as the options say.

        Where memory would not suffice for that, it is taken as it is.
        """
        height, width = image.shape[0], image.shape[1]
        example = Example(image, np.zeros((height, width), np.uint8))
        multiple = self.options.size_multiple
        fits = self.most(state, padded_size((height, width), multiple), 1)
        padded = pad_to_multiple(example, multiple if fits else 1, self.padding)
        return padded.image[None]

    def _window(self, state: TrainState, size: Size) -> Size:
        """Returns the size of the windows for an image, 0 0 to take it whole."""
        whole = padded_size(size, self.options.size_multiple)
        if self.options.window != (0, 0) or self.most(state, whole, 1):
            return self.options.window
        if not self.cut:
            needed = (
                None if is_long(whole, self._largest) else self._bytes(state, whole)
            )
            tqdm.write(said_of(size, needed, free_memory()))
        self.cut += 1
        return window_for(size)

    def windowed(
        self,
        state: TrainState,
        image: np.ndarray,
        window: Size,
        *,
        progress: Progress = iter,
    ) -> Iterator[np.ndarray]:
        """Yields the weighted mean of the windows' probabilities, from the top down.

        After each row of windows come the pixels that the next does not reach, so that
        memory for two rows of windows suffices, whatever the image's height.

        Args:
          state: parameters and statistics of the network.
          image: of its form, `[height, width, channels]`, of any size.
          window: height and width of the windows, pixels.
          progress: passes the rows of windows on.

        Yields:
          float32 `[rows, width, classes]`; the rows add up to the height.

        Raises:
          NotFinite: a logit is NaN or infinite.
        """
        height, width = image.shape[:2]
        rows = lay_windows(height, window[0], self.options.overlap)
        columns = lay_windows(width, window[1], self.options.overlap)
        ends = [row.start for row in rows[1:]] + [height]
        carried = np.zeros((0, width, 1), np.float32)

        def weighed(piece: np.ndarray, *spans: Span) -> tuple[jax.Array, jax.Array]:
            found = self._scores(state, piece[None])
            return self._programs.weigh(found, *(span.weights for span in spans))

        for row, end in zip(progress(rows), ends, strict=True):
            band = image[row.start : row.start + window[0]]
            strip = strip_of(band, row, columns, weighed, self.padding)
            strip[: len(carried)] += carried
            done = end - row.start
            yield strip[:done]
            carried = strip[done:]

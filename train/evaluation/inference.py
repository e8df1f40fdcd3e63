"""Inference: masks from a network, over scales and flips, whole or by windows."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from models.deeplab import DeepLab
from train.common.errors import NotFinite
from train.data.images import Example, pad, pad_to_multiple
from train.data.preprocessing import Preprocessing
from train.evaluation.preparation import at_size, prepared
from train.evaluation.sliding_windows import Progress, Span, lay_windows
from train.evaluation.views import EvaluationOptions, View, views
from train.training.scales import resize_linear, scaled_size
from train.training.step import TrainState

_T = TypeVar("_T")


def scores(
    model: DeepLab,
    images: jax.Array,
    preprocess: Preprocessing,
    options: EvaluationOptions,
) -> jax.Array:
    """Returns the score of each class at each pixel, joined over all views.

    As one function, in which XLA may hold the full-size scores of several views at
    once; `Predictor` goes view by view.

    Args:
      model: the network.
      images: uint8 RGB `[batch, height, width, 3]`; the batch may be symbolic.
      preprocess: what the network is given of them.
      options: the views, and how they are joined.

    Returns:
      float32 `[batch, height, width, classes]`: the mean of the views' probabilities,
      or the largest of their logits, as `options.fusion` says.
    """
    pixels = preprocess(images)
    first, *others = views(options)
    joined = join(None, model, pixels, first, options)
    for view in others:
        joined = join(joined, model, pixels, view, options)
    return joined


def join(
    joined: jax.Array | None,
    model: DeepLab,
    pixels: jax.Array,
    view: View,
    options: EvaluationOptions,
) -> jax.Array:
    """Returns the scores of earlier views, None before the first, with one more.

    A mean is one only when all of `views(options)` are in it: each adds its part.
    """
    found = _logits(model, pixels, view)
    if options.fusion == "max":
        return found if joined is None else jnp.maximum(joined, found)
    found = jax.nn.softmax(found) / len(views(options))
    return found if joined is None else joined + found


def _logits(model: DeepLab, pixels: jax.Array, view: View) -> jax.Array:
    """Returns logits of the pixels' size and place from a view of them.

    Those that are not finite are NaN, which no joining hides.
    """
    if view.flipped:
        upright = view._replace(flipped=False)
        return _logits(model, pixels[:, :, ::-1], upright)[:, :, ::-1]
    size = pixels.shape[1:3]
    resized = resize_linear(pixels, scaled_size(size, view.scale), antialias=True)
    found = resize_linear(model(resized, train=False), size)
    return jnp.where(jnp.isfinite(found), found, jnp.nan)


def probabilities(found: jax.Array, options: EvaluationOptions) -> jax.Array:
    """Returns `scores` as probabilities, which sum to 1 over the classes."""
    return found if options.fusion == "mean" else jax.nn.softmax(found)


class Predictor:
    """Turns images into masks with a network of fixed structure.

    Args:
      graph: the network's structure.
      preprocess: what the network is given of an image.
      options: how it predicts.
      height: that `mask` resizes images to, as their training's preparation did,
        pixels; 0 leaves them as they are.
    """

    def __init__(
        self,
        graph: nnx.GraphDef[DeepLab],
        preprocess: Preprocessing,
        options: EvaluationOptions,
        *,
        height: int = 0,
    ):
        self.options, self._height = options, height
        self._views = views(options)
        if len(self._views) == 1:
            # The largest of one are its logits: rounding to probabilities makes ties.
            options = dataclasses.replace(options, fusion="max")

        @functools.partial(jax.jit, static_argnames="view", donate_argnames="joined")
        def look(
            joined: jax.Array | None,
            params: nnx.State,
            statistics: nnx.State,
            images: np.ndarray,
            view: View,
        ) -> jax.Array:
            model = nnx.merge(graph, params, statistics, copy=True)
            pixels = preprocess(jnp.asarray(images))
            return join(joined, model, pixels, view, options)

        @jax.jit
        def label(found: jax.Array) -> tuple[jax.Array, jax.Array]:
            masks = jnp.argmax(found, axis=-1).astype(jnp.uint8)
            return masks, jnp.isfinite(found).all(axis=(1, 2, 3))

        @jax.jit
        def weigh(
            found: jax.Array, rows: jax.Array, columns: jax.Array
        ) -> tuple[jax.Array, jax.Array]:
            weights = rows[:, None, None] * columns[:, None]
            finite = jnp.isfinite(found).all()
            return probabilities(found[0], options) * weights, finite

        self._look, self._label, self._weigh = look, label, weigh

    def _scores(self, state: TrainState, images: np.ndarray) -> jax.Array:
        """Returns `scores`; a compiled function for each view holds one at a time."""
        seen = state.params, state.statistics, images
        first, *others = self._views
        joined = self._look(None, *seen, first)
        for view in others:
            joined = self._look(joined, *seen, view)
        return joined

    def batch(self, state: TrainState, images: np.ndarray) -> np.ndarray:
        """Returns masks uint8 `[batch, height, width]` of whole uint8 images.

        Raises:
          NotFinite: an image has a logit that is NaN or infinite.
        """
        masks, finite = jax.device_get(self._label(self._scores(state, images)))
        if not finite.all():
            raise NotFinite(int(np.argmin(finite)))
        return masks

    def mask(
        self, state: TrainState, image: np.ndarray, *, progress: Progress = iter
    ) -> np.ndarray:
        """Returns the mask, uint8 `[height, width]`, of one image of any size.

        The mask has the size of the image, whatever the network is shown of it.

        Args:
          state: parameters and statistics of the network.
          image: uint8 `[height, width, 3]`.
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
        height, width = image.shape[:2]
        if self.options.window != (0, 0) and (
            height > self.options.window[0] or width > self.options.window[1]
        ):
            parts = self.windowed(state, image, progress=progress)
            labels = [np.argmax(part, axis=-1).astype(np.uint8) for part in parts]
            return np.concatenate(labels)
        blank = np.zeros((height, width), np.uint8)
        padded = pad_to_multiple(Example(image, blank), self.options.size_multiple)
        return self.batch(state, padded.image[None])[0, :height, :width]

    def windowed(
        self, state: TrainState, image: np.ndarray, *, progress: Progress = iter
    ) -> Iterator[np.ndarray]:
        """Yields the weighted mean of the windows' probabilities, from the top down.

        After each row of windows come the pixels that the next does not reach, so that
        memory for two rows of windows suffices, whatever the image's height.

        Args:
          state: parameters and statistics of the network.
          image: uint8 `[height, width, 3]`, of any size.
          progress: passes the rows of windows on.

        Yields:
          float32 `[rows, width, classes]`; the rows add up to the height.

        Raises:
          NotFinite: a logit is NaN or infinite.
        """
        height, width = image.shape[:2]
        rows = lay_windows(height, self.options.window[0], self.options.overlap)
        columns = lay_windows(width, self.options.window[1], self.options.overlap)
        ends = [row.start for row in rows[1:]] + [height]
        carried = np.zeros((0, width, 1), np.float32)
        for row, end in zip(progress(rows), ends, strict=True):
            strip = self._strip(state, image, row, columns)
            strip[: len(carried)] += carried
            done = end - row.start
            yield strip[:done]
            carried = strip[done:]

    def _strip(
        self,
        state: TrainState,
        image: np.ndarray,
        row: Span,
        columns: Sequence[Span],
    ) -> np.ndarray:
        """Returns the weighted sum of a row of windows, `[rows, width, classes]`."""
        height, width = self.options.window
        band = image[row.start : row.start + height]

        def weighed(column: Span) -> tuple[jax.Array, jax.Array]:
            piece = band[:, column.start : column.start + width]
            blank = np.zeros(piece.shape[:2], np.uint8)
            padded = pad(Example(piece, blank), self.options.window).image
            found = self._scores(state, padded[None])
            return self._weigh(found, row.weights, column.weights)

        strip = np.zeros((0, 0, 0), np.float32)
        for column, weighted in _ahead((each, weighed(each)) for each in columns):
            found, finite = jax.device_get(weighted)
            if not finite:
                raise NotFinite
            if not strip.size:
                strip = np.zeros((*band.shape[:2], found.shape[-1]), np.float32)
            part = strip[:, column.start : column.start + width]
            part += found[: part.shape[0], : part.shape[1]]
        return strip


def _ahead(items: Iterable[_T]) -> Iterator[_T]:
    """Yields each item after starting the next, so that host and device overlap."""
    iterator = iter(items)
    current = next(iterator)
    for following in iterator:
        yield current
        current = following
    yield current

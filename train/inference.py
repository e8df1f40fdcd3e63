"""Masks from a network: over scales and mirrored, whole or window by window."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from models.deeplab import DeepLab
from train.config import Config
from train.data import Example, pad, pad_to_multiple
from train.errors import UserError
from train.loop import TrainState
from train.network import resize, scaled_size
from train.preprocessing import PREPROCESSINGS

T = TypeVar("T")


class View(NamedTuple):
    """One look at an image."""

    scale: float
    mirrored: bool


def views(config: Config) -> list[View]:
    """Returns the looks at each image that a configuration asks for."""
    sides = (False, True) if config.evaluation_flip else (False,)
    return [View(scale, side) for scale in config.evaluation_scales for side in sides]


def scores(model: DeepLab, images: jax.Array, config: Config) -> jax.Array:
    """Returns how much speaks for each class, joined over all views of the images.

    As one program, in which XLA may hold the full-size scores of several views at
    once; `Predictor` goes view by view.

    Args:
      model: the network.
      images: uint8 RGB `[batch, height, width, 3]`; the batch may be symbolic.
      config: its `evaluation_scales`, `evaluation_flip`, `evaluation_fusion` and
        `preprocessing` are looked at.

    Returns:
      float32 `[batch, height, width, classes]`: the mean of the views' probabilities,
      or the largest of their logits, as `evaluation_fusion` says.
    """
    first, *others = views(config)
    joined = join(None, model, images, first, config)
    for view in others:
        joined = join(joined, model, images, view, config)
    return joined


def join(
    joined: jax.Array | None,
    model: DeepLab,
    images: jax.Array,
    view: View,
    config: Config,
) -> jax.Array:
    """Returns the scores of earlier views, None before the first, with one more.

    A mean is one only when all of `views(config)` are in it: each adds its share.
    """
    found = _logits(model, PREPROCESSINGS[config.preprocessing](images), view)
    if config.evaluation_fusion == "max":
        return found if joined is None else jnp.maximum(joined, found)
    found = jax.nn.softmax(found) / len(views(config))
    return found if joined is None else joined + found


def _logits(model: DeepLab, pixels: jax.Array, view: View) -> jax.Array:
    """Returns logits of the pixels' size and place from a view of them."""
    if view.mirrored:
        unmirrored = view._replace(mirrored=False)
        return _logits(model, pixels[:, :, ::-1], unmirrored)[:, :, ::-1]
    size = pixels.shape[1:3]
    resized = resize(pixels, scaled_size(size, view.scale), antialias=True)
    return resize(model(resized, train=False), size)


def probabilities(found: jax.Array, config: Config) -> jax.Array:
    """Returns `scores` as probabilities, which sum to 1 over the classes."""
    return found if config.evaluation_fusion == "mean" else jax.nn.softmax(found)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictionOptions:
    """How to predict, where that is to differ from the model's configuration."""

    scales: tuple[float, ...] = ()
    """The network sees images resized by each of these; none for the model's own."""
    flip: bool = False
    """Predicts the mirrored image as well, as the model may do anyway."""
    window: tuple[int, int] | None = None
    """Larger images are predicted in windows of this height and width, pixels. 0 0
    takes each image whole; None does as the model."""

    def named(self) -> list[str]:
        """Returns a word for each option that is given, for the name of a file."""
        words = ["x".join(map(str, self.scales))] if self.scales else []
        words += ["flip"] if self.flip else []
        return words + (["window{}x{}".format(*self.window)] if self.window else [])

    def applied(self, config: Config) -> Config:
        """Returns the configuration with these in it.

        Raises:
          UserError: a scale or a window that cannot work.
        """
        changes: dict[str, Any] = {}
        if self.scales:
            changes["evaluation_scales"] = self.scales
        if self.flip:
            changes["evaluation_flip"] = True
        if self.window is not None:
            changes["window"] = self.window
        try:
            return dataclasses.replace(config, **changes)
        except UserError as error:  # which names the option of train/main.py
            raise UserError(str(error).replace("--evaluation-", "--")) from error


class Span(NamedTuple):
    """Where a window lies along one side of an image."""

    start: int
    weights: np.ndarray  # float32 [window]


def spread(length: int, window: int, overlap: float) -> list[Span]:
    """Lays windows evenly over a length, the first and the last at its ends.

    Weights rise linearly to the middle of a window, but for its side at an end of the
    length, where what it sees is not cut off; they are divided by their sum over all
    windows: at every pixel they are above 0 and sum to 1.

    Args:
      length: of the image, pixels.
      window: of each window, pixels; a shorter length has one, which begins with it.
      overlap: neighbours have at least this share in common, in [0, 1), so far as
        whole pixels allow.
    """
    step = max(1, window - math.ceil(overlap * window))
    slack = max(0, length - window)
    gaps = -(-slack // step)
    starts = [index * slack // max(1, gaps) for index in range(gaps + 1)]
    flat = np.full(window, (window + 1) // 2)
    rise = np.minimum(np.arange(window) + 1, flat)
    total, tents = np.zeros(window + slack), []
    for start in starts:
        left, right = rise if start > 0 else flat, rise if start < slack else flat
        tents.append(np.minimum(left, right[::-1]))
        total[start : start + window] += tents[-1]
    return [
        Span(start, (tent / total[start : start + window]).astype(np.float32))
        for start, tent in zip(starts, tents, strict=True)
    ]


Progress = Callable[[Sequence[Span]], Iterable[Span]]


class Predictor:
    """Turns images into masks with a network of fixed structure.

    Args:
      graph: the network's structure.
      config: how it is trained and how it predicts.
    """

    def __init__(self, graph: nnx.GraphDef[DeepLab], config: Config):
        self.multiple, self.window = config.size_multiple, config.window
        self._overlap, self._views = config.overlap, views(config)
        if len(self._views) == 1:
            # The largest of one are its logits: rounding to probabilities makes ties.
            config = dataclasses.replace(config, evaluation_fusion="max")

        @functools.partial(jax.jit, static_argnames="view", donate_argnames="joined")
        def look(
            joined: jax.Array | None,
            params: nnx.State,
            statistics: nnx.State,
            images: np.ndarray,
            view: View,
        ) -> jax.Array:
            model = nnx.merge(graph, params, statistics, copy=True)
            return join(joined, model, jnp.asarray(images), view, config)

        @jax.jit
        def label(found: jax.Array) -> jax.Array:
            return jnp.argmax(found, axis=-1).astype(jnp.uint8)

        @jax.jit
        def weigh(found: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
            weights = rows[:, None, None] * columns[:, None]
            return probabilities(found[0], config) * weights

        self._look, self._label, self._weigh = look, label, weigh

    def _scores(self, state: TrainState, images: np.ndarray) -> jax.Array:
        """Returns `scores`; a program for each view holds one at a time."""
        seen = state.params, state.statistics, images
        first, *others = self._views
        joined = self._look(None, *seen, first)
        for view in others:
            joined = self._look(joined, *seen, view)
        return joined

    def batch(self, state: TrainState, images: np.ndarray) -> np.ndarray:
        """Returns masks uint8 `[batch, height, width]` of whole uint8 images."""
        return np.asarray(self._label(self._scores(state, images)))

    def mask(
        self, state: TrainState, image: np.ndarray, *, progress: Progress = iter
    ) -> np.ndarray:
        """Returns the mask, uint8 `[height, width]`, of one image of any size.

        Args:
          state: parameters and statistics of the network.
          image: uint8 `[height, width, 3]`.
          progress: passes the rows of windows on, of an image larger than a window.
        """
        height, width = image.shape[:2]
        if self.window != (0, 0) and (
            height > self.window[0] or width > self.window[1]
        ):
            parts = self.windowed(state, image, progress=progress)
            labels = [np.argmax(part, axis=-1).astype(np.uint8) for part in parts]
            return np.concatenate(labels)
        blank = np.zeros((height, width), np.uint8)
        padded = pad_to_multiple(Example(image, blank), self.multiple)
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
        """
        height, width = image.shape[:2]
        rows = spread(height, self.window[0], self._overlap)
        columns = spread(width, self.window[1], self._overlap)
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
        height, width = self.window
        band = image[row.start : row.start + height]

        def weighed(column: Span) -> jax.Array:
            piece = band[:, column.start : column.start + width]
            blank = np.zeros(piece.shape[:2], np.uint8)
            padded = pad(Example(piece, blank), self.window).image
            found = self._scores(state, padded[None])
            return self._weigh(found, row.weights, column.weights)

        strip = np.zeros((0, 0, 0), np.float32)
        for column, found in _ahead((column, weighed(column)) for column in columns):
            if not strip.size:
                strip = np.zeros((*band.shape[:2], found.shape[-1]), np.float32)
            part = strip[:, column.start : column.start + width]
            part += np.asarray(found)[: part.shape[0], : part.shape[1]]
        return strip


def _ahead(items: Iterable[T]) -> Iterator[T]:
    """Yields each item once the next is begun, so that host and device both work."""
    iterator = iter(items)
    current = next(iterator)
    for following in iterator:
        yield current
        current = following
    yield current

"""Scores of the classes at each pixel, over the views of an image: scales and flips."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from models.deeplab import DeepLab
from train.data.preprocessing import Preprocessing
from train.evaluation.views import EvaluationOptions, View, views
from train.training.scales import resize_linear, scaled_size

# Of a logit: finite, and without a probability beside any other.
LOWEST = np.float32(-1e30)


def scores(
    model: DeepLab,
    images: jax.Array,
    preprocess: Preprocessing,
    options: EvaluationOptions,
    void: Sequence[int] = (),
) -> jax.Array:
    """Returns the score of each class at each pixel, joined over all views.

    As one function, in which XLA may hold the full-size scores of several views at
    once; `Predictor` goes view by view.

    Args:
      model: the network.
      images: uint8 RGB `[batch, height, width, 3]`; the batch may be symbolic.
      preprocess: what the network is given of them.
      options: the views, and how they are joined.
      void: classes that no pixel is predicted as.

    Returns:
      float32 `[batch, height, width, classes]`: the mean of the views' probabilities,
      or the largest of their logits, as `options.fusion` says.
    """
    pixels = preprocess(images)
    first, *others = views(options)
    joined = join(None, model, pixels, first, options, void)
    for view in others:
        joined = join(joined, model, pixels, view, options, void)
    return joined


def join(
    joined: jax.Array | None,
    model: DeepLab,
    pixels: jax.Array,
    view: View,
    options: EvaluationOptions,
    void: Sequence[int] = (),
) -> jax.Array:
    """Returns the scores of earlier views, None before the first, with one more.

    A mean is one only when all of `views(options)` are in it: each adds its part.
    """
    found = _without(_logits(model, pixels, view), void)
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


def _without(logits: jax.Array, void: Sequence[int]) -> jax.Array:
    """Returns logits by which void classes have the probability 0."""
    if not void:
        return logits
    is_void = np.isin(np.arange(logits.shape[-1]), void)
    return jnp.where(is_void & jnp.isfinite(logits), LOWEST, logits)


def probabilities(found: jax.Array, options: EvaluationOptions) -> jax.Array:
    """Returns `scores` as probabilities, which sum to 1 over the classes."""
    return found if options.fusion == "mean" else jax.nn.softmax(found)

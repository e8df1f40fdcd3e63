"""Scales in training: outputs at several sizes, and labels shrunk to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from models.deeplab import DeepLab, NetworkOutputs

if TYPE_CHECKING:
    from train.training.loss_options import LossOptions


def training_outputs(
    model: DeepLab, images: jax.Array, options: LossOptions
) -> list[NetworkOutputs]:
    """Returns what the loss looks at: each scale's outputs and their maximum.

    Multi-scale-input training of Chen et al. 2016 (arXiv:1606.00915), section 3.1: a
    loss at every scale and one on the largest logit over all scales. `logits` are those
    of full resolution or of the network's, as `loss_resolution` says.

    Args:
      model: the network; its batch statistics are updated.
      images: `[batch, height, width, 3]` float.
      options: without `input_scales` there is one entry.
    """
    whole = model.outputs(images, train=True)
    found = [whole]
    if options.input_scales:
        for scale in options.input_scales:
            smaller = resize_linear(images, scaled_size(images.shape[1:3], scale))
            found.append(model.outputs(smaller, train=True))
        size = whole.coarse.shape[1:3]
        coarse = jnp.stack([resize_linear(outputs.coarse, size) for outputs in found])
        largest = jnp.max(coarse, axis=0)
        _, height, width, _ = images.shape
        logits = model.upsample(largest, size=(height, width))
        found.append(NetworkOutputs(logits, largest, whole.maps))
    if options.loss_resolution == "network":
        found = [outputs._replace(logits=outputs.coarse) for outputs in found]
    return found


def resize_linear(
    images: jax.Array, size: Sequence[int], *, antialias: bool = False
) -> jax.Array:
    """Returns `[batch, *size, channels]`, interpolated linearly between centers."""
    batch, *old, channels = images.shape
    if tuple(old) == tuple(size):
        return images
    shape = (batch, *size, channels)
    return jax.image.resize(images, shape, "linear", antialias=antialias)


def scaled_size(size: Sequence[int], scale: float) -> tuple[int, ...]:
    """Returns a height and width times a scale, rounded down, at least 1."""
    return tuple(max(1, int(side * scale)) for side in size)


def shrink_labels(labels: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """Returns the labels nearest to the centers of a coarser grid's cells.

    Half-pixel centers, as Pillow's nearest neighbor has them: cell i takes pixel
    ⌊(i + ½) · pixels / cells⌋.

    Args:
      labels: `[batch, height, width]`.
      size: (h, w), of the grid.
    """
    for axis, cells in zip((1, 2), size, strict=True):
        pixels = labels.shape[axis]
        if cells == pixels:
            continue
        labels = jnp.take(labels, nearest(pixels, cells), axis=axis)
    return labels


def nearest(pixels: int, cells: int) -> np.ndarray:
    """Returns the pixel nearest to the center of each cell, int `[cells]`.

    In 64 bits: the products of long sides leave 32.
    """
    return (2 * np.arange(cells, dtype=np.int64) + 1) * pixels // (2 * cells)

"""The losses a run can choose from by name.

A loss takes what the network gives, labels `[batch, height, width]` and the centres of
the classes, and returns one number an image, `[batch]`, and the centres of the next
step; but for the center loss they stay what they are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

import lal_jax
from models.deeplab import DeepLab, NetworkOutputs
from train.errors import UserError

if TYPE_CHECKING:
    from train.config import Config

Loss = Callable[[NetworkOutputs, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
LogitLoss = Callable[[jax.Array, jax.Array], jax.Array]  # of logits and labels


def locally_adaptive(config: Config) -> Loss:
    """The paper's loss, with the run's window, weights and pooling."""
    image_loss = functools.partial(
        lal_jax.locally_adaptive_loss,
        kernel_size=config.kernel_size,
        normalization="none" if config.normalization == "none" else "standard_score",
        neighbor_weights=NEIGHBOR_WEIGHTS[config.neighbor_weights](config.kernel_size),
        normalizer="weights" if config.normalizer == "weights" else "count",
        pool=POOLS[config.pool](config),
    )
    return _of_logits(image_loss)


def softmax_cross_entropy(config: Config) -> Loss:
    """The baseline: mean cross-entropy over valid pixels."""
    del config
    return _pooled(lal_jax.softmax_cross_entropy, lal_jax.masked_mean)


def focal(config: Config) -> Loss:
    """Mean focal loss over valid pixels."""
    pixel_loss = functools.partial(
        lal_jax.focal_loss, alpha=config.focal_alpha, gamma=config.focal_gamma
    )
    return _pooled(pixel_loss, lal_jax.masked_mean)


def loss_max_pooling(config: Config) -> Loss:
    """Cross-entropy under loss max-pooling."""
    return _pooled(lal_jax.softmax_cross_entropy, POOLS["loss_max_pooling"](config))


def hard_pixel(config: Config) -> Loss:
    """Mean cross-entropy over the hardest pixels."""
    return _pooled(lal_jax.softmax_cross_entropy, POOLS["hard_pixel"](config))


def center(config: Config) -> Loss:
    """Cross-entropy and λ times the center loss, each a mean over valid pixels.

    A mean beside a mean weighs the two as a sum beside a sum does (Eq. 5 of Wen et al.
    2016), and all presets take it. At the paper's λ = 3e-4 that is nearly inert, as is
    the paper's row for it; `center_reduction="sum"` adds up the distances of an image's
    pixels instead, some 10⁵ times as much.
    """

    def loss(
        outputs: NetworkOutputs, labels: jax.Array, centers: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        entropy = lal_jax.softmax_cross_entropy(outputs.logits, labels)
        entropy = lal_jax.masked_mean(entropy, where=lal_jax.valid_mask(labels))
        features = outputs.logits
        if config.center_features == "head_input":
            features = outputs.features
            labels = shrink_labels(labels, features.shape[1:3])
        distances = lal_jax.center_loss(features, labels, centers)
        if config.center_reduction == "sum":
            pull = jnp.sum(distances, axis=(-2, -1))
        else:
            pull = lal_jax.masked_mean(distances, where=lal_jax.valid_mask(labels))
        moved = lal_jax.update_centers(
            centers, features, labels, alpha=config.center_alpha
        )
        return entropy + config.center_weight * pull, moved

    return loss


def initial_centers(config: Config, model: DeepLab) -> jax.Array:
    """Returns the centres of step 0: zeros `[classes, depth]`."""
    head = config.center_features == "head_input"
    return jnp.zeros(
        (model.classes, model.backbone.channels[-1] if head else model.classes)
    )


def shrink_labels(labels: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """Returns the labels nearest to the centres of a coarser grid's cells.

    Half-pixel centres, as Pillow's nearest neighbour has them: cell i takes pixel
    ⌊(i + ½) · pixels / cells⌋.

    Args:
      labels: `[batch, height, width]`.
      size: (h, w), of the grid.
    """
    for axis, cells in zip((1, 2), size, strict=True):
        pixels = labels.shape[axis]
        if cells == pixels:
            continue
        nearest = (2 * jnp.arange(cells) + 1) * pixels // (2 * cells)
        labels = jnp.take(labels, nearest, axis=axis)
    return labels


def _pooled(pixel_loss: LogitLoss, pool: Pool) -> Loss:
    """Returns a loss from one of each pixel, `(logits, labels)`, and its pooling."""

    def image_loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
        return pool(pixel_loss(logits, labels), where=lal_jax.valid_mask(labels))

    return _of_logits(image_loss)


def _of_logits(image_loss: LogitLoss) -> Loss:
    """Returns a loss that needs neither features nor centres."""

    def loss(
        outputs: NetworkOutputs, labels: jax.Array, centers: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        return image_loss(outputs.logits, labels), centers

    return loss


def check_classes(config: Config, classes: int) -> None:
    """Refuses a loss that could not learn this number of classes."""
    scored = config.normalization == "standard_score"
    if config.loss == "locally_adaptive" and scored and classes < 3:
        raise UserError(
            f"--loss locally_adaptive cannot learn {classes} classes: the standard "
            "score of two numbers is ±1 whatever they are. Add --normalization none."
        )


Pool = Callable[..., jax.Array]  # of an image's losses and `where`, keyword-only

POOLS: dict[str, Callable[[Config], Pool]] = {
    "minkowski": lambda config: functools.partial(
        lal_jax.minkowski_mean, power=config.power
    ),
    "loss_max_pooling": lambda config: functools.partial(
        lal_jax.loss_max_pooling,
        norm=config.max_pooling_norm,
        minimal_fraction=config.max_pooling_fraction,
    ),
    "hard_pixel": lambda config: functools.partial(
        lal_jax.hard_pixel_mean, fraction=config.hard_fraction
    ),
}

NEIGHBOR_WEIGHTS: dict[str, Callable[[int], np.ndarray]] = {
    "chessboard": lal_jax.chessboard_weights,
    "uniform": lal_jax.uniform_weights,
    "gaussian": lal_jax.gaussian_weights,
}

LOSSES: dict[str, Callable[[Config], Loss]] = {
    "locally_adaptive": locally_adaptive,
    "softmax_cross_entropy": softmax_cross_entropy,
    "focal": focal,
    "center": center,
    "loss_max_pooling": loss_max_pooling,
    "hard_pixel": hard_pixel,
}

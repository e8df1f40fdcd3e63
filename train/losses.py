"""The losses a run can choose from by name.

A loss takes logits `[batch, height, width, classes]` and labels
`[batch, height, width]` and returns one number an image, `[batch]`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import jax

import lal_jax
from train.errors import UserError

if TYPE_CHECKING:
    from train.config import Config

Loss = Callable[[jax.Array, jax.Array], jax.Array]


def locally_adaptive(config: Config) -> Loss:
    """The paper's loss, with the run's window and power."""
    return functools.partial(
        lal_jax.locally_adaptive_loss,
        kernel_size=config.kernel_size,
        power=config.power,
        normalization="none" if config.normalization == "none" else "standard_score",
    )


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
    pool = functools.partial(
        lal_jax.loss_max_pooling,
        norm=config.max_pooling_norm,
        minimal_fraction=config.max_pooling_fraction,
    )
    return _pooled(lal_jax.softmax_cross_entropy, pool)


def hard_pixel(config: Config) -> Loss:
    """Mean cross-entropy over the hardest pixels."""
    pool = functools.partial(lal_jax.hard_pixel_mean, fraction=config.hard_fraction)
    return _pooled(lal_jax.softmax_cross_entropy, pool)


def _pooled(pixel_loss: Loss, pool: Callable[..., jax.Array]) -> Loss:
    """Returns a loss an image from one a pixel."""

    def loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
        return pool(pixel_loss(logits, labels), where=lal_jax.valid_mask(labels))

    return loss


def check_classes(config: Config, classes: int) -> None:
    """Refuses a loss that could not learn this number of classes."""
    scored = config.normalization == "standard_score"
    if config.loss == "locally_adaptive" and scored and classes < 3:
        raise UserError(
            f"--loss locally_adaptive cannot learn {classes} classes: the standard "
            "score of two numbers is ±1 whatever they are. Add --normalization none."
        )


LOSSES: dict[str, Callable[[Config], Loss]] = {
    "locally_adaptive": locally_adaptive,
    "softmax_cross_entropy": softmax_cross_entropy,
    "focal": focal,
    "loss_max_pooling": loss_max_pooling,
    "hard_pixel": hard_pixel,
}

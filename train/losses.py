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

    def loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
        losses = lal_jax.softmax_cross_entropy(logits, labels)
        return lal_jax.masked_mean(losses, where=lal_jax.valid_mask(labels))

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
}

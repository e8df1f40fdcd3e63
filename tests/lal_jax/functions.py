"""The library's functions grouped by their arguments, for the tests of misuse."""

import functools
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import (
    boundary_loss,
    center_loss,
    chessboard_weights,
    cl_dice_loss,
    class_balanced_mean,
    dice_loss,
    focal_loss,
    gaussian_weights,
    generalized_dice_loss,
    gradients,
    hard_pixel_mean,
    jaccard_loss,
    locally_adaptive_loss,
    loss_max_pooling,
    lovasz_softmax_loss,
    masked_mean,
    minkowski_mean,
    pixel_contrast_loss,
    pixel_triplet_loss,
    region_mutual_information_loss,
    selective_cross_entropy,
    selective_pool,
    softmax_cross_entropy,
    tversky_loss,
    uniform_weights,
    update_centers,
)

Function = Callable[..., Any]
LOGITS: Any = np.linspace(-1, 1, 2 * 6 * 7 * 5).reshape(2, 6, 7, 5)
LABELS: Any = np.arange(2 * 6 * 7).reshape(2, 6, 7) % 5
CENTERS: Any = np.ones((5, 5))

WINDOWED: dict[str, Function] = {
    "selective_pool": selective_pool,
    "selective_cross_entropy": selective_cross_entropy,
    "locally_adaptive_loss": locally_adaptive_loss,
    "locally_adaptive_gradient": gradients.locally_adaptive_gradient,
    "selective_gradient": gradients.selective_gradient,
}
TARGETED: dict[str, Function] = {
    "softmax_cross_entropy": softmax_cross_entropy,
    "selective_cross_entropy": selective_cross_entropy,
    "locally_adaptive_loss": locally_adaptive_loss,
    "locally_adaptive_gradient": gradients.locally_adaptive_gradient,
}
# Of sums over pixels, which take soft targets.
OF_SUMS: dict[str, Function] = {
    "dice_loss": dice_loss,
    "tversky_loss": tversky_loss,
    "jaccard_loss": jaccard_loss,
    "generalized_dice_loss": generalized_dice_loss,
}
OVERLAP: dict[str, Function] = {**OF_SUMS, "lovasz_softmax_loss": lovasz_softmax_loss}
# Of windows that fit into six pixels, and erosions that leave something of them.
REGIONS: dict[str, Function] = {
    "region_mutual_information_loss": functools.partial(
        region_mutual_information_loss, radius=2, downsampling=1
    ),
    "cl_dice_loss": functools.partial(cl_dice_loss, iterations=2),
}
# Of pixels drawn at random.
DRAWN: dict[str, Function] = {
    "pixel_contrast_loss": lambda x, y, **options: pixel_contrast_loss(
        x, y, **{"key": jax.random.key(0)} | options
    ),
    "pixel_triplet_loss": lambda x, y, **options: pixel_triplet_loss(
        x, y, **{"key": jax.random.key(0)} | options
    ),
}
# Each takes predictions and labels.
OF_LABELS: dict[str, Function] = {
    **WINDOWED,
    **TARGETED,
    **OVERLAP,
    "boundary_loss": boundary_loss,
    **REGIONS,
    **DRAWN,
    "focal_loss": focal_loss,
    "center_loss": lambda x, y, **options: center_loss(
        x, y, jnp.asarray(CENTERS), **options
    ),
    "update_centers": lambda x, y, **options: update_centers(
        jnp.asarray(CENTERS), x, y, **options
    ),
    "as_printed": gradients.as_printed,
}


def of_any_labels(pool: Function) -> Function:
    """A pool that takes labels, as one of losses alone."""

    def pooled(losses, **options):
        return pool(losses, np.zeros(np.shape(losses), int), **options)

    return pooled


# Each takes losses.
POOLS: dict[str, Function] = {
    "masked_mean": masked_mean,
    "minkowski_mean": minkowski_mean,
    "hard_pixel_mean": hard_pixel_mean,
    "loss_max_pooling": loss_max_pooling,
    "class_balanced_mean": of_any_labels(class_balanced_mean),
    "minkowski_gradient": gradients.minkowski_gradient,
    "class_balanced_gradient": of_any_labels(gradients.class_balanced_gradient),
}
POWERED: dict[str, Function] = {
    "minkowski_mean": lambda power: minkowski_mean(LOGITS[..., 0], power=power),
    "minkowski_gradient": lambda power: gradients.minkowski_gradient(
        LOGITS[..., 0], power=power
    ),
    "class_balanced_mean": lambda power: class_balanced_mean(
        LOGITS[..., 0], LABELS, power=power
    ),
    "class_balanced_gradient": lambda power: gradients.class_balanced_gradient(
        LOGITS[..., 0], LABELS, power=power
    ),
    "locally_adaptive_loss": lambda power: locally_adaptive_loss(
        LOGITS, LABELS, kernel_size=1, power=power
    ),
    "locally_adaptive_gradient": lambda power: gradients.locally_adaptive_gradient(
        LOGITS, LABELS, kernel_size=1, power=power
    ),
}
KERNELS: dict[str, Function] = {
    "chessboard_weights": chessboard_weights,
    "uniform_weights": uniform_weights,
    "gaussian_weights": gaussian_weights,
    **{
        name: lambda kernel_size, f=function: f(LOGITS, LABELS, kernel_size=kernel_size)
        for name, function in WINDOWED.items()
    },
}


def every(functions: dict[str, Function]):
    return pytest.mark.parametrize("function", functions.values(), ids=functions.keys())


def refuses(*parts: object):
    """Expects a ValueError whose message has all of these, in this order."""
    pattern = ".*".join(re.escape(str(part)) for part in parts)
    return pytest.raises(ValueError, match=f"(?s){pattern}")

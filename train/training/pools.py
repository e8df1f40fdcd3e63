"""Pools: from the losses of an image's pixels to one number; weights of neighbors.

JAX is imported where it is used, so that the options load without it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from models.registry import Registry

if TYPE_CHECKING:
    import jax
    import numpy as np

    from train.training.loss_options import LossOptions

# As `lal_jax.locally_adaptive_loss` takes it, which hands over what it needs.
Pooling = Callable[..., "jax.Array"]
# Of the losses of pixels, their labels and the number of classes.
LabelPooling = Callable[["jax.Array", "jax.Array", int], "jax.Array"]

POOLS: Registry[Callable[[LossOptions], Pooling]] = Registry("pool")
NEIGHBOR_WEIGHTS: Registry[Callable[[int], np.ndarray]] = Registry("neighbor weights")


@POOLS.register("minkowski", "the paper's power mean")
def _minkowski_pool(options: LossOptions) -> Pooling:
    import lal_jax

    if options.class_balance == 0:
        return functools.partial(lal_jax.minkowski_mean, power=options.power)
    return functools.partial(
        lal_jax.class_balanced_mean,
        exponent=options.class_balance,
        power=options.power,
    )


@POOLS.register("loss_max_pooling")
def _loss_max_pool(options: LossOptions) -> Pooling:
    import lal_jax

    return functools.partial(
        lal_jax.loss_max_pooling,
        norm=options.max_pooling_norm,
        minimal_fraction=options.max_pooling_fraction,
    )


@POOLS.register("hard_pixel", "mean of the largest")
def _hard_pixel_pool(options: LossOptions) -> Pooling:
    import lal_jax

    return functools.partial(lal_jax.hard_pixel_mean, fraction=options.hard_fraction)


def mean_pool(options: LossOptions) -> LabelPooling:
    """Returns the mean over an image's pixels, balanced by class if that is asked."""
    import lal_jax

    if options.class_balance == 0:
        return over_valid(lal_jax.masked_mean)
    return lambda losses, labels, classes: lal_jax.class_balanced_mean(
        losses, labels, exponent=options.class_balance, classes=classes
    )


def over_valid(pool: Pooling) -> LabelPooling:
    """Returns a pool of the pixels that are not ignored, whatever their classes."""
    import lal_jax

    return lambda losses, labels, _: pool(losses, where=lal_jax.valid_mask(labels))


@NEIGHBOR_WEIGHTS.register("chessboard", "the paper's")
def _chessboard(kernel_size: int) -> np.ndarray:
    import lal_jax

    return lal_jax.chessboard_weights(kernel_size)


@NEIGHBOR_WEIGHTS.register("uniform")
def _uniform(kernel_size: int) -> np.ndarray:
    import lal_jax

    return lal_jax.uniform_weights(kernel_size)


@NEIGHBOR_WEIGHTS.register("gaussian")
def _gaussian(kernel_size: int) -> np.ndarray:
    import lal_jax

    return lal_jax.gaussian_weights(kernel_size)

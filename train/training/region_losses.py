"""Losses of regions, borders and shapes that a run can choose by name.

They compare what is predicted of a class with what there is of it, one number for each
image, or with `region_sums="batch"` one for the batch. JAX is imported where it is
used, so that the options load without it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from train.training.losses import LOSSES, Loss, of_logits

if TYPE_CHECKING:
    import jax

    from train.training.loss_options import LossOptions


def _of_regions(
    options: LossOptions, function: Callable[..., jax.Array], **more: Any
) -> Loss:
    """Returns a loss of `lal_jax` with the run's class weights and sums."""
    import jax.numpy as jnp

    region_loss = functools.partial(
        function,
        class_weights=options.weight_per_class(),
        per_image=options.region_sums == "image",
        **more,
    )
    return of_logits(
        lambda logits, labels: jnp.broadcast_to(
            region_loss(logits, labels), labels.shape[:1]
        )
    )


@LOSSES.register("dice", "1 − F1 of each class")
def _dice(options: LossOptions) -> Loss:
    import lal_jax

    return _of_regions(options, lal_jax.dice_loss)


@LOSSES.register("generalized_dice", "of all classes, rare ones weigh more")
def _generalized_dice(options: LossOptions) -> Loss:
    import lal_jax

    return _of_regions(options, lal_jax.generalized_dice_loss)


@LOSSES.register("jaccard", "1 − IoU of each class")
def _jaccard(options: LossOptions) -> Loss:
    import lal_jax

    return _of_regions(options, lal_jax.jaccard_loss)


@LOSSES.register("tversky", "with costs of misses and false alarms")
def _tversky(options: LossOptions) -> Loss:
    import lal_jax

    return _of_regions(
        options,
        lal_jax.tversky_loss,
        alpha=options.tversky_alpha,
        beta=options.tversky_beta,
        gamma=options.tversky_gamma,
    )


@LOSSES.register("lovasz_softmax", "1 − IoU of sets, extended")
def _lovasz_softmax(options: LossOptions) -> Loss:
    import lal_jax

    return _of_regions(options, lal_jax.lovasz_softmax_loss)


@LOSSES.register("boundary", "probabilities by how far off they are, in pixels")
def _boundary(options: LossOptions) -> Loss:
    import lal_jax

    return _of_regions(options, lal_jax.boundary_loss)


@LOSSES.register("region_mutual_information", "what windows tell of the labels")
def _region_mutual_information(options: LossOptions) -> Loss:
    import lal_jax

    return _of_regions(options, lal_jax.region_mutual_information_loss)


@LOSSES.register("cl_dice", "Dice of centerlines, for thin regions")
def _cl_dice(options: LossOptions) -> Loss:
    import lal_jax

    return _of_regions(
        options, lal_jax.cl_dice_loss, iterations=options.cl_dice_iterations
    )

"""Losses of pixels that a run can choose by name; `region_losses.py` has the others.

To add one: the loss itself in `lal_jax`, a function here under `@LOSSES.register`, and
a field of `LossOptions` (`loss_options.py`) for each option it has. JAX is imported
where it is used, so that the options load without it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

from models.registry import Registry
from train.training.pools import (
    NEIGHBOR_WEIGHTS,
    POOLS,
    LabelPooling,
    mean_pool,
    over_valid,
)

if TYPE_CHECKING:
    import jax

    from models.deeplab import DeepLab, NetworkOutputs
    from train.training.loss_options import LossOptions

# Those that are cross-entropy, pooled or with something beside it.
OF_CROSS_ENTROPY = ("softmax_cross_entropy", "center", "loss_max_pooling", "hard_pixel")


class Loss(Protocol):
    """A loss as the training step calls it."""

    def __call__(
        self,
        outputs: NetworkOutputs,
        labels: jax.Array,
        centers: jax.Array,
        score_scale: jax.Array | None = None,
    ) -> tuple[jax.Array, jax.Array]:
        """Returns one loss per image, and the centers of the next step.

        Args:
          outputs: of the network.
          labels: `[batch, height, width]`.
          centers: of the classes; they stay what they are, except for the center loss.
          score_scale: the scale where it is learned, in place of the option.
        """


# Of logits and labels, a loss for each pixel or for each image.
LogitLoss = Callable[["jax.Array", "jax.Array"], "jax.Array"]

LOSSES: Registry[Callable[[LossOptions], Loss]] = Registry("loss")


@LOSSES.register("locally_adaptive", "the paper's")
def _locally_adaptive(options: LossOptions) -> Loss:
    """The paper's loss, with the run's window, weights and pooling."""
    import lal_jax

    weights = NEIGHBOR_WEIGHTS[options.neighbor_weights](options.kernel_size)
    image_loss = functools.partial(
        lal_jax.locally_adaptive_loss,
        kernel_size=options.kernel_size,
        dilation=options.window_dilation,
        normalization=cast("Any", options.normalization),
        neighbor_weights=weights,
        normalizer=cast("Any", options.normalizer),
        class_weights=options.weight_per_class(),
        pool=POOLS[options.pool](options),
    )

    def loss(
        outputs: NetworkOutputs,
        labels: jax.Array,
        centers: jax.Array,
        score_scale: jax.Array | None = None,
    ) -> tuple[jax.Array, jax.Array]:
        scale = options.score_scale if score_scale is None else score_scale
        return image_loss(outputs.logits, labels, score_scale=scale), centers

    return loss


@LOSSES.register("softmax_cross_entropy", "the baseline")
def _softmax_cross_entropy(options: LossOptions) -> Loss:
    """Mean cross-entropy over valid pixels."""
    return of_logits(mean_cross_entropy(options))


@LOSSES.register("focal", "fades where a pixel is right")
def _focal(options: LossOptions) -> Loss:
    """Mean focal loss over valid pixels."""
    import lal_jax

    pixel_loss = functools.partial(
        lal_jax.focal_loss,
        alpha=options.focal_alpha,
        gamma=options.focal_gamma,
        class_weights=options.weight_per_class(),
    )
    return of_logits(_per_image(pixel_loss, mean_pool(options)))


@LOSSES.register("center", "cross-entropy, and features drawn to their class's center")
def _center(options: LossOptions) -> Loss:
    """Cross-entropy and λ times the center loss, each a mean over valid pixels.

    A mean beside a mean weighs the two as a sum beside a sum does (Eq. 5 of Wen et al.
    2016), and all presets take it. At the paper's λ = 3e-4 that is nearly inert, as is
    the paper's row for it; `center_reduction="sum"` adds up the distances of an image's
    pixels instead, some 10⁵ times as much.
    """
    import jax.numpy as jnp

    import lal_jax
    from train.training.scales import shrink_labels

    cross_entropy = _cross_entropy(options)

    def loss(
        outputs: NetworkOutputs,
        labels: jax.Array,
        centers: jax.Array,
        score_scale: jax.Array | None = None,
    ) -> tuple[jax.Array, jax.Array]:
        entropy = cross_entropy(outputs.logits, labels)
        entropy = lal_jax.masked_mean(entropy, where=lal_jax.valid_mask(labels))
        features = outputs.logits
        if options.center_features == "head_input":
            features = outputs.features
            labels = shrink_labels(labels, features.shape[1:3])
        distances = lal_jax.center_loss(features, labels, centers)
        if options.center_reduction == "sum":
            pull = jnp.sum(distances, axis=(-2, -1))
        else:
            pull = lal_jax.masked_mean(distances, where=lal_jax.valid_mask(labels))
        moved = lal_jax.update_centers(
            centers, features, labels, alpha=options.center_alpha
        )
        return entropy + options.center_weight * pull, moved

    return loss


@LOSSES.register("loss_max_pooling", "cross-entropy weighted toward the hard pixels")
def _loss_max_pooling(options: LossOptions) -> Loss:
    """Cross-entropy under loss max-pooling."""
    pool = over_valid(POOLS["loss_max_pooling"](options))
    return of_logits(_per_image(_cross_entropy(options), pool))


@LOSSES.register("hard_pixel", "cross-entropy over the hardest pixels")
def _hard_pixel(options: LossOptions) -> Loss:
    """Mean cross-entropy over the hardest pixels."""
    pool = over_valid(POOLS["hard_pixel"](options))
    return of_logits(_per_image(_cross_entropy(options), pool))


def _cross_entropy(options: LossOptions) -> LogitLoss:
    """Returns the cross-entropy of each pixel, weighted and smoothed as asked."""
    import lal_jax

    return functools.partial(
        lal_jax.softmax_cross_entropy,
        class_weights=options.weight_per_class(),
        label_smoothing=options.label_smoothing,
    )


def mean_cross_entropy(options: LossOptions) -> LogitLoss:
    """Returns each image's mean cross-entropy, of logits and labels."""
    return _per_image(_cross_entropy(options), mean_pool(options))


def _per_image(pixel_loss: LogitLoss, pool: LabelPooling) -> LogitLoss:
    """Returns a loss of each image from one of each pixel and its pooling."""
    return lambda logits, labels: pool(
        pixel_loss(logits, labels), labels, logits.shape[-1]
    )


def of_logits(image_loss: LogitLoss) -> Loss:
    """Returns a loss from one of each image, of logits and labels."""

    def loss(
        outputs: NetworkOutputs,
        labels: jax.Array,
        centers: jax.Array,
        score_scale: jax.Array | None = None,
    ) -> tuple[jax.Array, jax.Array]:
        return image_loss(outputs.logits, labels), centers

    return loss


def initial_centers(options: LossOptions, model: DeepLab) -> jax.Array:
    """Returns the centers of step 0, for the center loss: zeros `[classes, depth]`."""
    import jax.numpy as jnp

    of_head = options.center_features == "head_input"
    depth = model.backbone.channels[-1] if of_head else model.classes
    return jnp.zeros((model.classes, depth))

"""Losses a run can choose by name, and their options.

A loss takes the network's outputs, labels `[batch, height, width]` and the centers of
the classes, and returns one number an image, `[batch]`, and the centers of the next
step; they stay what they are, except for the center loss.

To add one: the loss itself in `lal_jax`, a function here under `@LOSSES.register`, and
a field of `LossOptions` for each option it has. JAX is imported where it is used, so
that the options load without it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from models.registry import Registry
from train.common.errors import UserError
from train.common.options import (
    FRACTION,
    NOT_NEGATIVE,
    POSITIVE,
    Group,
    Limit,
    choice,
    one_of,
    option,
)
from train.training.pools import NEIGHBOR_WEIGHTS, POOLS, Pooling

if TYPE_CHECKING:
    import jax

    from models.deeplab import DeepLab, NetworkOutputs

Loss = Callable[
    ["NetworkOutputs", "jax.Array", "jax.Array"], tuple["jax.Array", "jax.Array"]
]
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
        normalization=cast("Any", options.normalization),
        neighbor_weights=weights,
        normalizer=cast("Any", options.normalizer),
        pool=POOLS[options.pool](options),
    )
    return _of_logits(image_loss)


@LOSSES.register("softmax_cross_entropy", "the baseline")
def _softmax_cross_entropy(options: LossOptions) -> Loss:
    """Mean cross-entropy over valid pixels."""
    import lal_jax

    return _pooled(lal_jax.softmax_cross_entropy, lal_jax.masked_mean)


@LOSSES.register("focal", "fades where a pixel is right")
def _focal(options: LossOptions) -> Loss:
    """Mean focal loss over valid pixels."""
    import lal_jax

    pixel_loss = functools.partial(
        lal_jax.focal_loss, alpha=options.focal_alpha, gamma=options.focal_gamma
    )
    return _pooled(pixel_loss, lal_jax.masked_mean)


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

    def loss(
        outputs: NetworkOutputs, labels: jax.Array, centers: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        entropy = lal_jax.softmax_cross_entropy(outputs.logits, labels)
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
    import lal_jax

    return _pooled(lal_jax.softmax_cross_entropy, POOLS["loss_max_pooling"](options))


@LOSSES.register("hard_pixel", "cross-entropy over the hardest pixels")
def _hard_pixel(options: LossOptions) -> Loss:
    """Mean cross-entropy over the hardest pixels."""
    import lal_jax

    return _pooled(lal_jax.softmax_cross_entropy, POOLS["hard_pixel"](options))


def _pooled(pixel_loss: LogitLoss, pool: Pooling) -> Loss:
    """Returns a loss from one of each pixel, `(logits, labels)`, and its pooling."""
    import lal_jax

    def image_loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
        return pool(pixel_loss(logits, labels), where=lal_jax.valid_mask(labels))

    return _of_logits(image_loss)


def _of_logits(image_loss: LogitLoss) -> Loss:
    """Returns a loss that needs neither features nor centers."""

    def loss(
        outputs: NetworkOutputs, labels: jax.Array, centers: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        return image_loss(outputs.logits, labels), centers

    return loss


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossOptions(Group):
    """The loss, and its options."""

    name: str = choice("locally_adaptive", "Loss", LOSSES, name="loss")
    loss_resolution: str = option(
        "full",
        "full, or network: the loss looks at the logits before upsampling, and labels "
        "shrunk to them.",
        one_of(("full", "network")),
    )
    input_scales: tuple[float, ...] = option(
        (),
        "Trains on the images resized by these as well, and on the largest logits over "
        "all scales; the losses add up. The paper has none; DeepLabV2 has 0.75 and "
        "0.5.",
        Limit(
            lambda scales: all(0.1 <= s <= 4 and s != 1 for s in scales),
            "must lie in [0.1, 4], 1 left out (it is always there)",
        ),
    )
    kernel_size: int = option(
        5,
        "Window of the locally adaptive loss, pixels, odd.",
        Limit(
            lambda size: size > 0 and size % 2 == 1,
            "must be odd, so that the window has a center",
        ),
    )
    normalization: str = option(
        "standard_score",
        "standard_score, or none to pool the logits as they are (for two classes).",
        one_of(("standard_score", "none")),
    )
    neighbor_weights: str = choice(
        "chessboard", "How much a neighbor counts", NEIGHBOR_WEIGHTS
    )
    normalizer: str = option(
        "count",
        "What a window's sum is divided by: count (of pixels of the label, the "
        "paper's) or weights (their sum).",
        one_of(("count", "weights")),
    )
    power: float = option(
        3.0,
        "Power of the Minkowski pooling of the locally adaptive loss; 1 is the mean.",
        POSITIVE,
    )
    pool: str = choice(
        "minkowski", "How the locally adaptive loss pools its pixels", POOLS
    )
    focal_alpha: float = option(0.25, "Factor of the focal loss.", POSITIVE)
    focal_gamma: float = option(
        2.0,
        "How fast the focal loss fades where a pixel is right; 0 never.",
        NOT_NEGATIVE,
    )
    center_weight: float = option(
        3e-4, "Factor of the center loss beside cross-entropy.", NOT_NEGATIVE
    )
    center_alpha: float = option(
        0.5, "Rate at which the centers follow the features, in (0, 1].", FRACTION
    )
    center_features: str = option(
        "logits",
        "What the center loss looks at: logits (upsampled) or head_input.",
        one_of(("logits", "head_input")),
    )
    center_reduction: str = option(
        "mean",
        "mean or sum of the center loss over an image's valid pixels. The mean is "
        "nearly inert at the paper's weight of 3e-4, as is the paper's result; a sum "
        "is some 10⁵ times as much.",
        one_of(("mean", "sum")),
    )
    max_pooling_norm: float = option(
        1.7,
        "p of loss max-pooling, above 1; toward 1 the hardest pixels take all.",
        Limit(lambda norm: 1 < norm < float("inf"), "must be above 1"),
    )
    max_pooling_fraction: float = option(
        0.3,
        "Smallest fraction of the pixels that loss max-pooling weighs, in (0, 1].",
        FRACTION,
    )
    hard_fraction: float = option(
        0.25, "Fraction of the pixels that hard_pixel takes, in (0, 1].", FRACTION
    )


def make_loss(options: LossOptions) -> Loss:
    """Returns the loss of a run."""
    return LOSSES[options.name](options)


def initial_centers(options: LossOptions, model: DeepLab) -> jax.Array:
    """Returns the centers of step 0, for the center loss: zeros `[classes, depth]`."""
    import jax.numpy as jnp

    of_head = options.center_features == "head_input"
    depth = model.backbone.channels[-1] if of_head else model.classes
    return jnp.zeros((model.classes, depth))


def check_classes(options: LossOptions, classes: int) -> None:
    """Refuses a loss that could not learn this number of classes.

    Raises:
      UserError: it names both.
    """
    scored = options.normalization == "standard_score"
    if options.name == "locally_adaptive" and scored and classes < 3:
        raise UserError(
            f"--loss locally_adaptive cannot learn {classes} classes: the standard "
            "score of two numbers is ±1 whatever they are. Add --normalization none."
        )

"""Losses at the edge of their inputs, in float32.

Two images of 8×8 pixels and 21 classes, four blocks of 4×4 with labels 0–3.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lal_jax import (
    boundary_loss,
    center_loss,
    cl_dice_loss,
    class_balanced_mean,
    dice_loss,
    focal_loss,
    generalized_dice_loss,
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
    softmax_cross_entropy,
    tversky_loss,
    valid_mask,
)
from tests.lal_jax.effort import full_jit

CLASSES = 21
BLOCKS = np.kron([[0, 1], [2, 3]], np.ones((4, 4), np.int32))
LABELS = np.stack([BLOCKS, BLOCKS[::-1]])
WEIGHTS = np.linspace(0.5, 2.0, CLASSES)
LARGEST = float(np.finfo(np.float32).max)
SMALL: dict[str, Any] = {"kernel_size": 3}


def pooled(pool):
    """Cross-entropy, pooled over each image."""
    return lambda x, y: pool(softmax_cross_entropy(x, y), where=valid_mask(y))


Losses = dict[str, Callable[[jax.Array, jax.Array], jax.Array]]
BY_SCORE: Losses = {
    "locally adaptive": locally_adaptive_loss,
    "with a power of 2.5": functools.partial(
        locally_adaptive_loss, power=2.5, normalizer="weights", **SMALL
    ),
    "with max-pooling": functools.partial(
        locally_adaptive_loss, pool=loss_max_pooling, **SMALL
    ),
    "with hard pixels": functools.partial(
        locally_adaptive_loss, pool=hard_pixel_mean, stride=2, **SMALL
    ),
    "class balanced": functools.partial(
        locally_adaptive_loss, pool=class_balanced_mean, **SMALL
    ),
    "image score": functools.partial(
        locally_adaptive_loss, normalization="image_score", score_scale=4.0, **SMALL
    ),
    "dilated": functools.partial(
        locally_adaptive_loss, dilation=3, score_scale=8.0, stride=2, **SMALL
    ),
    "by pixel": functools.partial(
        selective_cross_entropy, class_weights=WEIGHTS, label_smoothing=0.1, **SMALL
    ),
}
BY_LOGITS: Losses = {
    "raw logits": functools.partial(
        locally_adaptive_loss, normalization="none", **SMALL
    ),
    "cross-entropy": softmax_cross_entropy,
    "with weights": functools.partial(
        softmax_cross_entropy, class_weights=WEIGHTS, label_smoothing=0.1
    ),
    "focal": focal_loss,
    "focal root": functools.partial(focal_loss, gamma=0.5),
    "mean": pooled(masked_mean),
    "power mean": pooled(minkowski_mean),
    "root mean": pooled(functools.partial(minkowski_mean, power=0.5)),
    "balanced mean": lambda x, y: class_balanced_mean(
        softmax_cross_entropy(x, y), y, power=2.0
    ),
    "max-pooling": pooled(loss_max_pooling),
    "hard pixels": pooled(hard_pixel_mean),
}
BY_FEATURES: Losses = {
    "center": lambda x, y: center_loss(x, y, jnp.ones((CLASSES, CLASSES), "float32")),
    "contrast": lambda x, y: pixel_contrast_loss(x, y, key=jax.random.key(0)),
    "triplets": lambda x, y: pixel_triplet_loss(x, y, key=jax.random.key(0)),
}
NOT_SMOOTH: dict[str, Any] = {"smooth": 0.0, "classes": "all"}
BY_OVERLAP: Losses = {
    "dice": dice_loss,
    "bare dice": functools.partial(dice_loss, **NOT_SMOOTH),
    "dice of sigmoids": functools.partial(
        dice_loss, activation="sigmoid", squared=True, **NOT_SMOOTH
    ),
    "focal tversky": functools.partial(tversky_loss, gamma=0.5, **NOT_SMOOTH),
    "jaccard of sigmoids": functools.partial(
        jaccard_loss, activation="sigmoid", class_weights=WEIGHTS, **NOT_SMOOTH
    ),
    "generalized dice": generalized_dice_loss,
    "lovasz": lovasz_softmax_loss,
    "lovasz of sigmoids": functools.partial(
        lovasz_softmax_loss, activation="sigmoid", classes="all", class_weights=WEIGHTS
    ),
}
# Which may be below 0.
BY_DISTANCE: Losses = {
    "boundary": boundary_loss,
    "boundary of sigmoids": functools.partial(
        boundary_loss, activation="sigmoid", class_weights=WEIGHTS
    ),
}
BY_REGION: Losses = {
    "region mutual information": functools.partial(
        region_mutual_information_loss, radius=2, downsampling=2
    ),
    "windows of sigmoids": functools.partial(
        region_mutual_information_loss, downsampling=1, activation="sigmoid"
    ),
    "clDice": cl_dice_loss,
    "bare clDice": functools.partial(
        cl_dice_loss, activation="sigmoid", class_weights=WEIGHTS, **NOT_SMOOTH
    ),
}
LOSSES = {
    **BY_SCORE,
    **BY_LOGITS,
    **BY_OVERLAP,
    **BY_REGION,
    **BY_DISTANCE,
    **BY_FEATURES,
}


def value_and_gradient(loss, logits, labels):
    """The losses and the gradient of their sum."""
    losses, pullback = jax.vjp(lambda x: loss(x, labels), logits)
    return losses, pullback(jnp.ones_like(losses))[0]


@functools.cache
def compiled(loss):
    return full_jit(functools.partial(value_and_gradient, loss))


def evaluate(loss, logits, labels=LABELS):
    return compiled(loss)(jnp.asarray(logits, "float32"), jnp.asarray(labels))


def every(losses: Losses):
    return pytest.mark.parametrize("loss", losses.values(), ids=losses.keys())


def random_logits(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(*LABELS.shape, CLASSES)).astype(np.float32)

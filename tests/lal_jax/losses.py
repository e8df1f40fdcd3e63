"""Every loss beside its reference, on one batch, for the tests of transforms."""

import functools
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import lal_jax
from tests import (
    reference,
    reference_boundary,
    reference_counterparts,
    reference_features,
    reference_means,
    reference_overlap,
    reference_regions,
    reference_scores,
)
from tests.lal_jax.scenes import LOPSIDED

# Every function of the references by the name that the library has for it.
REFERENCE = types.SimpleNamespace(
    **(
        vars(reference_counterparts)
        | vars(reference_scores)
        | vars(reference_means)
        | vars(reference_overlap)
        | vars(reference_boundary)
        | vars(reference_regions)
        | vars(reference_features)
        | vars(reference)
    )
)

IMAGES, HEIGHT, WIDTH, CLASSES = SHAPE = (4, 8, 6, 4)
TERMS = 5 * 5 * CLASSES * HEIGHT * WIDTH
CENTERS = np.cos(np.arange(CLASSES * CLASSES)).reshape(CLASSES, CLASSES)
CLASS_WEIGHTS = np.array([0.5, 2.0, 1.0, 3.0])
BALANCE: dict[str, Any] = {"exponent": 1.0, "power": 2.0}
KEY = np.zeros(2, np.uint32)
TARGETS: dict[str, Any] = {"class_weights": CLASS_WEIGHTS, "label_smoothing": 0.1}
# A column, since every place is compiled for every test, and columns cross the shards.
COLUMN: dict[str, Any] = {"kernel_size": (3, 1), "neighbor_weights": LOPSIDED[:, :1]}
IMAGE_SCORE: dict[str, Any] = {
    "normalization": "image_score",
    "score_scale": 2.0,
    "dilation": (2, 1),
}


class Loss(NamedTuple):
    """A loss of logits and labels, and the same by NumPy's loops."""

    function: Callable[[Any, Any], Any]
    expected: Callable[[Any, Any], Any]


def same(compute: Callable[[Any, Any, Any], Any]) -> Loss:
    """A loss whose functions have the same names in the library and the reference."""
    return Loss(
        functools.partial(compute, lal_jax), functools.partial(compute, REFERENCE)
    )


def squares(x: Any) -> Any:
    """Stand-in losses, for functions of losses."""
    return (x**2).sum(-1)


def valid(y: Any) -> Any:
    return y != 255


def as_volume(x: Any, y: Any) -> tuple[Any, Any]:
    """Every row of six as three rows of two."""
    return x.reshape(*y.shape[:-1], 3, 2, x.shape[-1]), y.reshape(*y.shape[:-1], 3, 2)


LOSSES = {
    "locally_adaptive": same(
        lambda lib, x, y: lib.locally_adaptive_loss(x, y, kernel_size=3)
    ),
    "with stride and targets": same(
        lambda lib, x, y: lib.locally_adaptive_loss(x, y, stride=2, **COLUMN, **TARGETS)
    ),
    "on sequences": same(
        lambda lib, x, y: lib.locally_adaptive_loss(x, y, kernel_size=(3,))
    ),
    "on volumes": same(
        lambda lib, x, y: lib.locally_adaptive_loss(
            *as_volume(x, y), kernel_size=(3, 1, 1)
        )
    ),
    "with hard_pixel_mean": Loss(
        lambda x, y: lal_jax.locally_adaptive_loss(
            x, y, **COLUMN, pool=lal_jax.hard_pixel_mean
        ),
        lambda x, y: reference_counterparts.hard_pixel_mean(
            reference.selective_cross_entropy(x, y, **COLUMN), where=valid(y)
        ),
    ),
    "with loss_max_pooling": Loss(
        lambda x, y: lal_jax.locally_adaptive_loss(
            x, y, **COLUMN, pool=lal_jax.loss_max_pooling
        ),
        lambda x, y: reference_counterparts.loss_max_pooling(
            reference.selective_cross_entropy(x, y, **COLUMN), where=valid(y)
        ),
    ),
    "class balanced": Loss(
        lambda x, y: lal_jax.locally_adaptive_loss(
            x,
            y,
            **COLUMN,
            pool=functools.partial(lal_jax.class_balanced_mean, **BALANCE),
        ),
        lambda x, y: reference.locally_adaptive_loss(x, y, **COLUMN, **BALANCE),
    ),
    "image score": same(
        lambda lib, x, y: lib.locally_adaptive_loss(x, y, **IMAGE_SCORE, **COLUMN)
    ),
    # Times 10, so that Σ sin g is more than Σ g, which is 0, and rounding.
    "its gradient, class balanced": Loss(
        lambda x, y: (
            10
            * lal_jax.gradients.locally_adaptive_gradient(
                x,
                y,
                **IMAGE_SCORE,
                **COLUMN,
                pool_gradient=functools.partial(
                    lal_jax.gradients.class_balanced_gradient, **BALANCE
                ),
            )
        ),
        lambda x, y: (
            10
            * reference.locally_adaptive_gradient(
                x, y, **IMAGE_SCORE, **COLUMN, **BALANCE
            )
        ),
    ),
    "locally_adaptive_gradient": Loss(
        lambda x, y: lal_jax.gradients.locally_adaptive_gradient(
            x, y, **COLUMN, **TARGETS
        ),
        lambda x, y: reference.locally_adaptive_gradient(x, y, **COLUMN, **TARGETS),
    ),
    "selective_pool": same(lambda lib, x, y: lib.selective_pool(x, y, **COLUMN)),
    "selective_cross_entropy": same(
        lambda lib, x, y: lib.selective_cross_entropy(x, y, **COLUMN)
    ),
    "softmax_cross_entropy": same(
        lambda lib, x, y: lib.softmax_cross_entropy(x, y, **TARGETS)
    ),
    "focal_loss": same(
        lambda lib, x, y: lib.focal_loss(x, y, class_weights=CLASS_WEIGHTS)
    ),
    "dice_loss": same(
        lambda lib, x, y: lib.dice_loss(
            x, y, classes="all", class_weights=CLASS_WEIGHTS
        )
    ),
    "dice_loss of sigmoids": same(
        lambda lib, x, y: lib.dice_loss(x, y, activation="sigmoid", squared=True)
    ),
    "focal tversky_loss": same(lambda lib, x, y: lib.tversky_loss(x, y, gamma=0.75)),
    "jaccard_loss": same(lambda lib, x, y: lib.jaccard_loss(x, y, smooth=0.0)),
    "generalized_dice_loss": same(lambda lib, x, y: lib.generalized_dice_loss(x, y)),
    "lovasz_softmax_loss": same(lambda lib, x, y: lib.lovasz_softmax_loss(x, y)),
    "lovasz_softmax_loss of all classes": same(
        lambda lib, x, y: lib.lovasz_softmax_loss(
            x, y, classes="all", class_weights=CLASS_WEIGHTS, activation="sigmoid"
        )
    ),
    "boundary_loss": same(
        lambda lib, x, y: lib.boundary_loss(x, y, class_weights=CLASS_WEIGHTS)
    ),
    "boundary_loss of sigmoids on volumes": same(
        lambda lib, x, y: lib.boundary_loss(
            *as_volume(x, y), spacing=(2.0, 1.0, 0.5), activation="sigmoid"
        )
    ),
    "region_mutual_information_loss": same(
        lambda lib, x, y: lib.region_mutual_information_loss(
            x, y, radius=2, downsampling=1
        )
    ),
    "cl_dice_loss": same(lambda lib, x, y: lib.cl_dice_loss(x, y, iterations=2)),
    # Of all pixels, since reference, batch and image draw others.
    "pixel_contrast_loss": same(
        lambda lib, x, y: lib.pixel_contrast_loss(x, y, key=KEY, samples=48)
    ),
    "pixel_triplet_loss on sequences": same(
        lambda lib, x, y: lib.pixel_triplet_loss(
            x, y, key=KEY, samples=6, margin=1.0, spatial_axes=1
        )
    ),
    "center_loss": same(lambda lib, x, y: lib.center_loss(x, y, CENTERS)),
    "update_centers": same(lambda lib, x, y: lib.update_centers(CENTERS, x, y)),
    "standard_score": same(lambda lib, x, y: lib.standard_score(x)),
    "masked_mean": same(lambda lib, x, y: lib.masked_mean(squares(x), where=valid(y))),
    "minkowski_mean": same(
        lambda lib, x, y: lib.minkowski_mean(squares(x), where=valid(y))
    ),
    "hard_pixel_mean": same(
        lambda lib, x, y: lib.hard_pixel_mean(squares(x), where=valid(y))
    ),
    "hard_pixel_mean above a threshold": same(
        lambda lib, x, y: lib.hard_pixel_mean(
            squares(x), threshold=4.0, minimum=9, where=valid(y)
        )
    ),
    "loss_max_pooling": same(
        lambda lib, x, y: lib.loss_max_pooling(squares(x), where=valid(y))
    ),
    "class_balanced_mean": same(
        lambda lib, x, y: lib.class_balanced_mean(squares(x), y, classes=CLASSES)
    ),
    "class_balanced_mean of any labels": same(
        lambda lib, x, y: lib.class_balanced_mean(squares(x), y, power=3.0)
    ),
    "weighted_ensemble": Loss(
        lambda x, y: lal_jax.weighted_ensemble([x, x**2], [1.0, 3.0]),
        lambda x, y: (x + 3 * x**2) / 4,
    ),
}
# Adds up over the whole batch, and lets no gradient through.
OVER_THE_BATCH = "update_centers"
# Their weights are constants in the gradient, which is exact in its value alone.
FIRST_DERIVATIVE_ONLY = ["with loss_max_pooling", "loss_max_pooling"]
DIFFERENTIABLE = [name for name in LOSSES if name != OVER_THE_BATCH]


@functools.cache
def batch() -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels, some of them ignored."""
    rng = np.random.default_rng(0)
    labels = rng.integers(CLASSES - 1, size=SHAPE[:-1])
    labels[rng.uniform(size=labels.shape) < 0.1] = 255
    return rng.normal(size=SHAPE), labels


def value_and_gradient(function: Callable[..., jax.Array]) -> Callable[..., Any]:
    """Maps logits and labels to the losses and the gradient of Σ sin(losses).

    Sines, since the sum of standard scores and that of their squares are constants.
    """

    def objective(x, y):
        losses = function(x, y)
        return jnp.sum(jnp.sin(losses)), losses

    def both(x, y):
        gradient, losses = jax.grad(objective, has_aux=True)(x, y)
        return losses, gradient

    return both


@functools.cache
def compiled(name: str) -> Callable[..., tuple[jax.Array, jax.Array]]:
    return jax.jit(value_and_gradient(LOSSES[name].function))

"""clDice: Dice of centerlines, which counts whether thin regions stay connected."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from lal_jax import _checks
from lal_jax.class_by_class import map_classes
from lal_jax.overlap_sums import (
    Activation,
    WhichClasses,
    check_image,
    class_average,
    probabilities_and_targets,
    ratio,
    vanishes,
)
from lal_jax.soft_skeleton import soft_skeleton

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Shaped


def cl_dice_loss(
    logits: Float[Array, "*batch height width classes"],
    labels: Shaped[Array, "..."],
    *,
    iterations: int = 10,
    smooth: float = 1.0,
    classes: WhichClasses = "present",
    spatial_axes: int = 2,
    activation: Activation = "softmax",
    per_image: bool = True,
    class_weights: ArrayLike | None = None,
    ignore_label: int | Sequence[int] = 255,
    where: Bool[Array, "*batch height width"] | None = None,
) -> Float[Array, "*batch"]:
    r"""Returns the clDice loss of each image: Dice of centerlines.

    .. math:: L = \frac{\sum_c w_c \ell_c}{\sum_c w_c}, \quad
              \ell_c = 1 - \frac{2\,T_p T_s}{T_p + T_s}, \quad
              T_p = \frac{\sum S(p)\,t + s}{\sum S(p) + s}, \quad
              T_s = \frac{\sum S(t)\,p + s}{\sum S(t) + s}

    over the valid pixels: how much of the predicted centerline lies in the region, and
    of the true one in the prediction. S(I) is the soft skeleton: 1 − Π (1 − δ) over
    δ = ReLU(I − open(I)) of I and of its repeated erosions. An erosion is the minimum
    of a pixel and its 4 direct neighbors (6 in a volume), an opening the maximum of an
    erosion over 3×3 pixels (3×3×3).

    For thin regions that must stay connected, beside a loss of whole regions, as in its
    paper.

    Args:
      logits: raw scores, `[..., height, width, classes]`, floating point; with
        `spatial_axes=3` `[..., depth, height, width, classes]`.
      labels: class indices, `[..., height, width]`, integer; or targets t in [0, 1],
        `[..., height, width, classes]`, floating point or boolean.
      iterations: how many erosions, 0 or more; n find the centerline of regions up to
        2n + 2 pixels wide.
      smooth: s in pixels, 0 or more; keeps the slope small for short centerlines.
      classes: `"present"` averages over the classes with a target in the sums, `"all"`
        over all. Of a class that is absent the predicted skeleton costs, of length m
        m / (m + 2s), and nothing if it is empty.
      spatial_axes: 2 for images, 3 for volumes.
      activation: how p comes from the logits: `"softmax"`, `"sigmoid"` for several
        labels a pixel, or `"none"` where probabilities are given, in [0, 1].
      per_image: True sums over each image or volume; False over all of the batch, with
        the skeletons of each.
      class_weights: w, one factor per class, `[classes]`; None means 1.
      ignore_label: the label of ignored pixels, or several; of labels alone, targets
        are ignored by `where`.
      where: False marks further pixels to ignore, of the shape of the labels. Pools
        leave ignored pixels out as they do those beyond the edge, so no region is
        eroded from that side.

    Returns:
      One loss per image, `[...]`, or with `per_image=False` one in all, `[]`;
      in [0, 1], float32, or float64 for float64 logits. Without a valid pixel, or
      a class to average over, 0 with gradient 0.

    Raises:
      ValueError: shapes, dtypes or options do not fit; the message has the values.

    >>> import jax.numpy as jnp
    >>> labels = jnp.zeros((5, 9), int).at[2].set(1)
    >>> p = jnp.stack([1.0 - labels, labels * 1.0], axis=-1)
    >>> float(cl_dice_loss(p, labels, activation="none", smooth=0.0))
    0.0
    >>> cut = p.at[2, 4].set(jnp.array([1.0, 0.0]))
    >>> round(float(cl_dice_loss(cut, labels, activation="none", smooth=0.0)), 4)
    0.0294

    Source: Shit et al. 2021 (arXiv:2003.07311), Algorithms 1 and 2, without the Dice
    loss beside it; the shapes of the pools are those of the authors' PyTorch program,
    which makes one ratio of all images and classes. Values that tie in a pool share its
    slope alike, and a pixel that its opening leaves as it is has none: gradients are
    finite, and turn with the image. A label out of range is left out, as an ignored
    pixel.

    Classes are computed in turn, and again in reverse mode. Value and gradient take
    about 2.5 + (14 + 2 · iterations) / classes times the memory of the logits.
    """
    _checks.check_integer("iterations", iterations, least=0)
    _checks.check_not_negative("smooth", smooth)
    if spatial_axes not in (2, 3):
        raise ValueError(
            f"spatial_axes must be 2 for images or 3 for volumes, got {spatial_axes!r}"
        )
    check_image(logits, spatial_axes)
    probabilities, targets, counted, axes = probabilities_and_targets(
        logits,
        labels,
        activation=activation,
        per_image=per_image,
        ignore_label=ignore_label,
        where=where,
        rank=spatial_axes,
    )

    losses, present = _losses(
        probabilities,
        targets,
        counted,
        iterations=iterations,
        smooth=float(smooth),
        spatial=spatial_axes,
        axes=axes,
    )
    return class_average(losses, present, classes=classes, class_weights=class_weights)


@functools.partial(jax.jit, static_argnames=("iterations", "smooth", "spatial", "axes"))
def _losses(
    probabilities: Float[Array, "*batch *space classes"],
    targets: Shaped[Array, "*batch *space classes"],
    counted: Bool[Array, "*batch *space"],
    *,
    iterations: int,
    smooth: float,
    spatial: int,
    axes: tuple[int, ...],
) -> tuple[Float[Array, "*images classes"], Bool[Array, "*images classes"]]:
    """Returns the classes' losses, and which have a target, as one program anywhere."""
    skeleton = functools.partial(
        soft_skeleton, counted=counted, iterations=iterations, spatial=spatial
    )

    def class_loss(p: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array]:
        t = t.astype(p.dtype)
        loss = _harmonic_error(
            *_shares(skeleton(p), t, axes, smooth),
            *_shares(skeleton(t), p, axes, smooth),
        )
        return loss, jnp.any(t > 0, axis=axes)

    return map_classes(class_loss, probabilities, targets)


def _shares(
    skeleton: Float[Array, "*batch *space"],
    region: Float[Array, "*batch *space"],
    axes: tuple[int, ...],
    smooth: float,
) -> tuple[Float[Array, "*images"], Float[Array, "*images"]]:
    """Returns the shares of a skeleton in a region and outside; 1 and 0 of none."""
    inside = jnp.sum(skeleton * region, axis=axes) + smooth
    outside = jnp.sum(skeleton * (1.0 - region), axis=axes)
    total = inside + outside
    share = jnp.where(vanishes(total), 1.0, ratio(inside, total))
    return share, ratio(outside, total)


def _harmonic_error(
    precision: Float[Array, "*images"],
    stray: Float[Array, "*images"],
    sensitivity: Float[Array, "*images"],
    missed: Float[Array, "*images"],
) -> Float[Array, "*images"]:
    """Returns 1 − 2PS / (P + S) from P, 1 − P, S and 1 − S; 1 where P and S are 0.

    (P (1−S) + S (1−P)) / (P + S), which keeps its digits near 0.
    """
    weight = ratio(precision, precision + sensitivity)
    return weight * missed + (1.0 - weight) * stray

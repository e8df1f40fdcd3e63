"""The Lovász-Softmax loss: 1 − IoU, a function of sets, extended to probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from lal_jax.overlap_sums import (
    Activation,
    WhichClasses,
    class_average,
    probabilities_and_targets,
)

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Int, Shaped, UInt


def lovasz_softmax_loss(
    logits: Float[Array, "*batch height width classes"],
    labels: Shaped[Array, "..."],
    *,
    classes: WhichClasses = "present",
    activation: Activation = "softmax",
    per_image: bool = True,
    class_weights: ArrayLike | None = None,
    ignore_label: int | Sequence[int] = 255,
    where: Bool[Array, "*batch height width"] | None = None,
) -> Float[Array, "*batch"]:
    r"""Returns the Lovász-Softmax loss of each image, 1 − IoU of its classes extended.

    .. math:: L = \frac{\sum_c w_c \ell_c}{\sum_c w_c}, \quad
              \ell = \sum_i m_{\pi_i} \bigl(\Delta(\{\pi_1, \dots, \pi_i\})
              - \Delta(\{\pi_1, \dots, \pi_{i-1}\})\bigr), \quad
              \Delta(M) = \frac{|M|}{|T \cup M|}

    with, for each class, T its valid pixels, the errors m = 1 − p in T and p elsewhere,
    and π the valid pixels by falling m. Δ is 1 − IoU if the pixels M are wrong, and ℓ
    is Δ where all p are 0 or 1, linear between while the order stays.

    Args:
      logits: raw scores, `[..., height, width, classes]`, floating point.
      labels: class indices, `[..., height, width]`, integer; or boolean targets,
        `[..., height, width, classes]`. Sets have no soft members: targets between 0
        and 1 are refused, `jaccard_loss` takes them.
      classes: `"present"` averages over the classes with a target in the image, `"all"`
        over all. A class that is absent costs its largest p.
      activation: how p comes from the logits: `"softmax"`, `"sigmoid"` for several
        labels a pixel, or `"none"` where probabilities are given.
      per_image: True compares the pixels of each image, the last two axes before the
        classes (merge the axes of a volume by `reshape`); False those of the batch.
      class_weights: w, one factor per class, `[classes]`; None means 1.
      ignore_label: the label of ignored pixels, or several; of labels alone, targets
        are ignored by `where`.
      where: False marks further pixels to ignore, `[..., height, width]`.

    Returns:
      One loss per image, `[...]`, or with `per_image=False` one in all, `[]`;
      in [0, 1], float32, or float64 for float64 logits. Without a valid pixel, or
      a class to average over, 0 with gradient 0. Pixels of equal m may come in any
      order. Where the slope depends on it, the gradient is that of those outside T
      first, each with the same share, so that it does not depend on their places.

    Raises:
      ValueError: shapes, dtypes or options do not fit; the message has the values.

    >>> import jax.numpy as jnp
    >>> p = jnp.array([[[0.8, 0.2], [0.4, 0.6]]])
    >>> labels = jnp.array([[0, 1]])
    >>> round(float(lovasz_softmax_loss(p, labels, activation="none")), 4)
    0.35

    Source: Berman et al. 2018 (arXiv:1705.08790), Definition 2 and Section 3, whose
    average is over all classes. A label out of range is left out, as an ignored pixel.
    """
    probabilities, targets, counted, axes = probabilities_and_targets(
        logits,
        labels,
        activation=activation,
        per_image=per_image,
        ignore_label=ignore_label,
        where=where,
    )
    if targets.dtype != jnp.bool_:
        given = jnp.asarray(labels)
        raise ValueError(
            "labels must be class indices or boolean targets, since the loss extends "
            f"a function of sets: got {given.dtype} {given.shape}; take "
            "labels > 0.5, or dice_loss with squared=True"
        )
    errors = jnp.where(targets, 1.0 - probabilities, probabilities)  # m
    # Probabilities that round to more than 1 are no gain.
    errors = jnp.where(errors < 0, 0.0, errors)
    errors, members, valid = (
        _pixels_last(array, len(axes))
        for array in (errors, targets, counted[..., None])
    )
    slopes = _slopes(jax.lax.stop_gradient(errors), members, valid)
    return class_average(
        jnp.sum(slopes * errors, axis=-1),
        jnp.any(members, axis=-1),
        classes=classes,
        class_weights=class_weights,
    )


def _pixels_last(array: Shaped[Array, "..."], count: int) -> Shaped[Array, "..."]:
    """Returns `[..., pixels, classes]`, pixels of so many axes, with these last."""
    *shape, classes = array.shape
    kept, merged = shape[: len(shape) - count], shape[len(shape) - count :]
    return jnp.swapaxes(array.reshape(*kept, math.prod(merged), classes), -1, -2)


def _slopes(
    errors: Float[Array, "*rows pixels"],
    members: Bool[Array, "*rows pixels"],
    valid: Bool[Array, "*rows pixels"],
) -> Float[Array, "*rows pixels"]:
    """Returns ∂ℓ/∂m, the step of Δ at each pixel; anything finite where not valid.

    Integers are sorted without what belongs to them, and each pixel then looks for its
    own: XLA's CPU code sorts pairs four times as slowly, and pixels of equal error find
    the same place.
    """
    keys = _keys(errors, members, valid)
    ordered = jax.lax.sort(keys, is_stable=False)
    size = jnp.sum(members, axis=-1, keepdims=True, dtype=jnp.int32)
    steps = _steps(ordered, size, errors.dtype)
    places = _first_places(ordered, keys)
    return jnp.take_along_axis(steps, places, axis=-1, mode="promise_in_bounds")


def _keys(
    errors: Float[Array, "*rows pixels"],
    members: Bool[Array, "*rows pixels"],
    valid: Bool[Array, "*rows pixels"],
) -> UInt[Array, "*rows pixels"]:
    """Returns integers that rise as errors fall, odd for members of the class.

    The bits of floats that are not negative are in the order of the floats. Pixels that
    are not valid come last.
    """
    infinity = np.array(np.inf, errors.dtype)
    integer = np.dtype(f"uint{8 * infinity.itemsize}")
    # Neither NaN nor −0, whose bits are out of order.
    bits = jax.lax.bitcast_convert_type(jnp.where(errors > 0, errors, 0.0), integer)
    keys = 2 * (infinity.view(integer) - bits) + members.astype(integer)
    return jnp.where(valid, keys, integer.type(np.iinfo(integer).max))


def _steps(
    ordered: UInt[Array, "*rows pixels"], size: Int[Array, "*rows 1"], dtype: np.dtype
) -> Float[Array, "*rows pixels"]:
    """Returns the steps of Δ in order; the first of equal pixels has their mean step.

    With the class's `size`, and `missed` members and `added` others before a pixel,
    Δ = (missed + added) / (size + added). The difference to the next, written out, is
    no difference of nearly equal numbers.
    """
    pixels = ordered.shape[-1]
    place = jax.lax.broadcasted_iota(jnp.int32, ordered.shape, ordered.ndim - 1)
    member = ordered % 2 == 1
    missed = jnp.cumsum(member, axis=-1, dtype=jnp.int32) - member.astype(jnp.int32)
    last = ordered[..., 1:] != ordered[..., :-1]
    last = jnp.concatenate([last, jnp.ones_like(last[..., :1])], axis=-1)
    end = jnp.where(last, place + 1, pixels)
    end = jax.lax.cummin(end, axis=end.ndim - 1, reverse=True)
    equal = (end - place).astype(dtype)
    union = jnp.maximum(size + place - missed, 1).astype(dtype)
    outside = (size - missed).astype(dtype) / union / (union + equal)
    # Of an absent class Δ is 1 as soon as one pixel is wrong.
    outside = jnp.where((size == 0) & (place == 0), 1.0 / equal, outside)
    return jnp.where(member, 1.0 / union, outside)


@jax.jit  # or each call outside jit would compile its loop
def _first_places(
    ordered: UInt[Array, "*rows pixels"], keys: UInt[Array, "*rows pixels"]
) -> Int[Array, "*rows pixels"]:
    """Returns where each key first stands in its row of the ordered, by bisection."""
    pixels = keys.shape[-1]
    strides = 2 ** np.arange(pixels.bit_length(), dtype=np.int32)[::-1]

    def advance(places, stride):
        ahead = places + stride
        before = jnp.take_along_axis(
            ordered, jnp.minimum(ahead, pixels) - 1, axis=-1, mode="promise_in_bounds"
        )
        return jnp.where((ahead <= pixels) & (before < keys), ahead, places), None

    return jax.lax.scan(advance, jnp.zeros_like(keys, jnp.int32), strides)[0]

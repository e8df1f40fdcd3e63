"""What the kernels of the window losses do: a thread has `SPAN` neighboring pixels.

The neighbors that share a pixel's label are bits of one word, and a place is a product
with its weight or with 0, so what is read around the pixels must be zeros: the programs
write them. Each reads a number once for all its pixels, as the speed is that of the
first level of caches.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from lal_jax.standard_score import EPSILON, LARGEST_LOGIT
from lal_jax.window_losses import WindowLoss
from lal_jax.window_planes import BLOCK, SPAN, Planes

if TYPE_CHECKING:
    from jaxtyping import Array, Float

_ZERO, _ONE = np.float32(0), np.float32(1)
_FINITE = np.finfo(np.float32)


def _block(start: Any) -> Any:
    from jax.experimental import pallas as pl

    return pl.ds(start, BLOCK)


def write_scores(
    image: Any, start: Any, logits: Any, words: Any, out: Any, inverse: Any
):
    """Writes the standard scores and 1/√(σ² + ε), 0 where no pixel counts."""
    at, classes = _block(start), logits.shape[1] // SPAN
    share, largest = np.float32(1 / classes), np.float32(LARGEST_LOGIT)
    for q in range(SPAN):
        valid = words[image, q, at] != 0
        values = []
        for c in range(classes):
            value = logits[image, q * classes + c, at]
            bounded = jnp.minimum(jnp.maximum(value, -largest), largest)
            far = jnp.abs(value) > _FINITE.max
            values.append(jnp.where(far, np.float32(np.nan), bounded))
        top = functools.reduce(jnp.maximum, values)
        shifted = [value - top for value in values]
        mean = _sum(shifted) * share
        centered = [value - mean for value in shifted]
        variance = _sum([value * value for value in centered]) * share
        # Of up to 32 classes, all bounded, it does not overflow.
        root = lax.rsqrt(variance + np.float32(EPSILON))
        inverse[image, q, at] = jnp.where(valid, root, _ZERO)
        for c in range(classes):
            score = jnp.where(valid, centered[c] * root, _ZERO)
            out[image, q * classes + c, at] = score


def write_losses(
    image: Any,
    start: Any,
    values: Any,
    words: Any,
    labels: Any,
    share: Any,
    losses: Any,
    slope: Any = None,
    *,
    planes: Planes,
    loss: WindowLoss,
):
    """Writes the losses and their slopes by the pooled logits, divided by ξ.

    Blocks without pixels read where they may and write zeros, which neighbors' windows
    reach.
    """
    at, classes = _block(start), values.shape[1] // SPAN
    found = [words[image, q, at] for q in range(SPAN)]
    weights = [_weights(word, planes, loss.weights) for word in found]
    sums = _windows(values, image, _inside(start, planes), weights, planes)
    for q in range(SPAN):
        factor, label = share[image, q, at], labels[image, q, at]
        counted = (found[q] != 0) & (label >= 0) & (label < classes)
        pooled = [factor * total for total in sums[q]]
        one, slopes = _loss_and_slopes(pooled, label, loss.label_smoothing)
        losses[image, q, at] = jnp.where(counted, one, _ZERO)
        if slope is not None:
            for c in range(classes):
                number = jnp.where(counted, slopes(c) * factor, _ZERO)
                slope[image, q * classes + c, at] = number


def _loss_and_slopes(
    pooled: list[Array], label: Array, smoothing: float
) -> tuple[Array, Callable[[int], Array]]:
    """Returns the cross-entropy and its derivative by each class's pooled logit.

    Finite where the difference of two logits overflows. As each number is computed
    once, the largest exponential is 1, and no loss is below 0.
    """
    classes = len(pooled)
    top = functools.reduce(jnp.maximum, pooled)
    shifted = [value - top for value in pooled]
    exponentials = [jnp.exp(value) for value in shifted]
    total = _sum(exponentials)
    hits = [label == np.int32(c) for c in range(classes)]
    pairs = zip(hits, shifted, strict=True)
    own = _sum([jnp.where(hit, value, _ZERO) for hit, value in pairs])
    if smoothing:
        uniform = _sum(shifted) * np.float32(1 / classes)
        own = np.float32(1 - smoothing) * own + np.float32(smoothing) * uniform
    own = jnp.maximum(own, _FINITE.min)
    inverse = _ONE / total
    other = np.float32(smoothing / classes)
    target = np.float32(1 - smoothing + smoothing / classes)

    def slope(c: int) -> Array:
        return exponentials[c] * inverse - jnp.where(hits[c], target, other)

    return jnp.log(total) - own, slope


def write_gradient(
    image: Any,
    start: Any,
    slope: Any,
    factors: Any,
    words: Any,
    *refs: Any,
    planes: Planes,
    loss: WindowLoss,
):
    """Writes the gradient: the window sum of the slopes, through the score.

    μ is symmetric, so the sum's transpose is the sum with mirrored weights.
    """
    *scored, out = refs
    at, classes = _block(start), slope.shape[1] // SPAN
    base = _inside(start, planes)
    found = [words[image, q, at] for q in range(SPAN)]
    mirrored = loss.weights[::-1, ::-1]
    weights = [
        [weight * factor for weight, factor in zip(row, around, strict=True)]
        for row, around in zip(
            [_weights(word, planes, mirrored) for word in found],
            _neighbors(factors, image, lambda q: q, base, planes),
            strict=True,
        )
    ]
    sums = _windows(slope, image, base, weights, planes)
    for q, change in enumerate(sums):
        planes_of_q = range(q * classes, (q + 1) * classes)
        if scored:
            score = [scored[0][image, plane, at] for plane in planes_of_q]
            change = _through_score(change, score, scored[1][image, q, at])
        for plane, number in zip(planes_of_q, change, strict=True):
            out[image, plane, at] = jnp.where(found[q] != 0, number, _ZERO)


def _through_score(
    change: list[Array], score: list[Array], inverse: Array
) -> list[Array]:
    """Returns (d − mean d − x mean(x d)) / σ, as `lal_jax.standard_score` has it."""
    share = np.float32(1 / len(change))
    mean = _sum(change) * share
    overlap = _sum([d * x for d, x in zip(change, score, strict=True)]) * share
    pairs = zip(change, score, strict=True)
    return [inverse * (d - mean - x * overlap) for d, x in pairs]


def _inside(start: Any, planes: Planes) -> Any:
    """Returns the block's start, moved to where every offset stays in the plane."""
    last = np.int32(planes.end - BLOCK)
    return jnp.minimum(jnp.maximum(start, np.int32(planes.first)), last)


def _weights(
    word: Array, planes: Planes, weights: Float[np.ndarray, "height width"]
) -> list[Array]:
    """Returns μ ω of each place."""
    return [
        jnp.where((word & np.int32(1 << bit)) != 0, weights[place], _ZERO)
        for bit, place in enumerate(planes.places)
    ]


def _windows(
    ref: Any, image: Any, base: Any, weights: list[list[Array]], planes: Planes
) -> list[list[Array]]:
    """Returns Σ μ ω x of each of the thread's pixels and each class."""
    classes = ref.shape[1] // SPAN
    sums: list[list[Array]] = [[] for _ in weights]
    for c in range(classes):
        around = _neighbors(
            ref, image, functools.partial(_plane, c, classes), base, planes
        )
        for total, row, parts in zip(sums, weights, around, strict=True):
            products = [w * part for w, part in zip(row, parts, strict=True)]
            total.append(_sum(products))
    return sums


def _plane(c: int, classes: int, q: int) -> int:
    return q * classes + c


def _neighbors(
    ref: Any, image: Any, plane: Callable[[int], int], base: Any, planes: Planes
) -> list[list[Array]]:
    """Returns what is at each place of each pixel's window, read once.

    `plane` is that of a pixel among its `SPAN`.
    """
    read: dict[tuple[int, int], Array] = {}
    for q in range(SPAN):
        for offset in planes.offsets:
            shift, other = key = divmod(q + offset, SPAN)
            if key not in read:
                at = _block(base + np.int32(shift))
                read[key] = ref[image, plane(other), at]
    return [
        [read[divmod(q + offset, SPAN)] for offset in planes.offsets]
        for q in range(SPAN)
    ]


def _sum(terms: Sequence[Array]) -> Array:
    return functools.reduce(jnp.add, terms)

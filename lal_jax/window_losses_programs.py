"""What the kernels of the window losses do: a thread has `SPAN` neighboring pixels.

The neighbors that share a pixel's label are bits of one word, and a place is a product
with its weight or with 0, so what is read around the pixels must be finite: the
programs write it so, and say in other numbers what is not. Each reads a number once for
all its pixels, as the speed is that of the first level of caches.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from lal_jax.standard_score import DOWN, EPSILON, FARTHEST
from lal_jax.window_losses import WindowLoss
from lal_jax.window_planes import BLOCK, SPAN, TILE, Planes
from lal_jax.window_tiles import (
    block,
    inside,
    neighbors,
    parts_of,
    start_of,
)

if TYPE_CHECKING:
    from jaxtyping import Array

_ZERO, _ONE, _NAN = np.float32(0), np.float32(1), np.float32(np.nan)
_FINITE = np.finfo(np.float32)


def write_scores(
    image: Any,
    tile: Any,
    logits: Any,
    words: Any,
    out: Any,
    inverse: Any,
    memory: Any,
    *,
    planes: Planes,
    loss: WindowLoss,
) -> None:
    """Writes the standard scores and 1/√(σ² + ε), or the logits and 1.

    Both are 0 where no pixel counts. Where a logit is not finite the first are 0, and
    the second is NaN; but without the score −∞, a class that cannot be, is the least
    number that is.
    """
    classes = memory.shape[0] // TILE
    of_pixels = tile - np.int32(planes.tiles_before)
    for there, here in parts_of(of_pixels, classes, planes):
        memory[here] = logits[image, there]
    pixels = memory.reshape(BLOCK, SPAN, classes)
    at = block(start_of(tile, planes))
    for q in range(SPAN):
        valid = words[image, q, at] != 0
        values = [pixels[:, q, c] for c in range(classes)]
        sizes = [jnp.abs(value) for value in values] if loss.scored else values
        bounded = [size <= _FINITE.max for size in sizes]
        sound = functools.reduce(jnp.logical_and, bounded)
        if loss.scored:
            scores, root = _standard_scores(values)
        else:
            scores = [jnp.maximum(value, _FINITE.min) for value in values]
            root = jnp.ones_like(values[0])
        root = jnp.where(sound, root, _NAN)
        inverse[image, q, at] = jnp.where(valid, root, _ZERO)
        for c in range(classes):
            score = jnp.where(valid & sound, scores[c], _ZERO)
            out[image, q * classes + c, at] = score


def _standard_scores(logits: list[Array]) -> tuple[list[Array], Array]:
    """Returns the standard scores of finite logits, and 1/√(σ² + ε)."""
    share, farthest, down = map(np.float32, (1 / len(logits), FARTHEST, DOWN))
    top = functools.reduce(jnp.maximum, logits)
    shifted = [jnp.maximum(value - top, -farthest) for value in logits]
    mean = _sum(shifted) * share
    centered = [value - mean for value in shifted]
    lower = [value * down for value in centered]
    variance = _sum([value * value for value in lower]) * share
    root = lax.rsqrt(variance + np.float32(EPSILON * DOWN**2)) * down
    return [value * root for value in centered], root


def write_losses(
    image: Any,
    tile: Any,
    values: Any,
    inverse: Any,
    words: Any,
    labels: Any,
    share: Any,
    losses: Any,
    *refs: Any,
    planes: Planes,
    loss: WindowLoss,
) -> None:
    """Writes the losses and their slopes by the pooled logits, divided by ξ.

    Where a pixel of the window is not finite the loss is NaN, and the slopes are 0.
    Tiles without pixels read where they may and write zeros, which neighbors' windows
    reach.
    """
    slope = refs
    start, classes = start_of(tile, planes), values.shape[1] // SPAN
    at, base = block(start), inside(start, planes)
    found = [words[image, q, at] for q in range(SPAN)]
    places = [loss.weights[place] for place in planes.places]
    weights = [_where_same(word, places) for word in found]
    flaws = [
        _sum(_where_same(word, around))
        for word, around in zip(
            found, neighbors(inverse, image, base, planes), strict=True
        )
    ]
    sums = _windows(values, image, base, weights, planes)
    for q in range(SPAN):
        factor, label = share[image, q, at], labels[image, q, at]
        counted = (found[q] != 0) & (label >= 0) & (label < classes)
        pooled = [factor * total for total in sums[q]]
        one, slopes = _loss_and_slopes(pooled, label, loss.label_smoothing)
        one = jnp.where(jnp.isnan(flaws[q]), _NAN, one)
        losses[image, q, at] = jnp.where(counted, one, _ZERO)
        counted &= ~jnp.isnan(one)
        for c in range(classes if slope else 0):
            number = jnp.where(counted, slopes(c) * factor, _ZERO)
            slope[0][image, q * classes + c, at] = number


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
    tile: Any,
    slope: Any,
    factors: Any,
    words: Any,
    *refs: Any,
    planes: Planes,
    loss: WindowLoss,
) -> None:
    """Writes the gradient: the window sum of the slopes, through the score.

    μ is symmetric, so the sum's transpose is the sum with mirrored weights.
    """
    *scored, out, memory = refs
    start = start_of(tile + np.int32(planes.tiles_before), planes)
    at, classes = block(start), memory.shape[2]
    found = [words[image, q, at] for q in range(SPAN)]
    mirrored = [loss.weights[::-1, ::-1][place] for place in planes.places]
    weights = [
        _where_same(word, [w * f for w, f in zip(mirrored, around, strict=True)])
        for word, around in zip(
            found, neighbors(factors, image, start, planes), strict=True
        )
    ]
    sums = _windows(slope, image, start, weights, planes)
    for q, change in enumerate(sums):
        if scored:
            score = [scored[0][image, q * classes + c, at] for c in range(classes)]
            change = _through_score(change, score, scored[1][image, q, at])
        for c, number in enumerate(change):
            memory[:, q, c] = jnp.where(found[q] != 0, number, _ZERO)
    pixels = memory.reshape(TILE * classes)
    for there, here in parts_of(tile, classes, planes):
        out[image, there] = pixels[here]


def _through_score(
    change: list[Array], score: list[Array], inverse: Array
) -> list[Array]:
    """Returns (d − mean d − x mean(x d)) / σ, as `lal_jax.standard_score` has it."""
    share = np.float32(1 / len(change))
    mean = _sum(change) * share
    overlap = _sum([d * x for d, x in zip(change, score, strict=True)]) * share
    pairs = zip(change, score, strict=True)
    return [inverse * (d - mean - x * overlap) for d, x in pairs]


def _where_same(word: Array, numbers: Iterable[Any]) -> list[Array]:
    """Returns the number of each place, 0 where its mark is not the center's."""
    return [
        jnp.where((word & np.int32(1 << bit)) != 0, number, _ZERO)
        for bit, number in enumerate(numbers)
    ]


def _windows(
    ref: Any, image: Any, base: Any, weights: list[list[Array]], planes: Planes
) -> list[list[Array]]:
    """Returns Σ μ ω x of each of the thread's pixels and each class."""
    classes = ref.shape[1] // SPAN
    sums: list[list[Array]] = [[] for _ in weights]
    for c in range(classes):
        around = neighbors(ref, image, base, planes, stack=c, classes=classes)
        for total, row, parts in zip(sums, weights, around, strict=True):
            products = [w * part for w, part in zip(row, parts, strict=True)]
            total.append(_sum(products))
    return sums


def _sum(terms: Sequence[Array]) -> Array:
    return functools.reduce(jnp.add, terms)

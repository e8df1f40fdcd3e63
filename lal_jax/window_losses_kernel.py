"""The window losses on NVIDIA GPUs: three kernels in Pallas.

Scores, losses, gradient: each reads and writes planes (`lal_jax.window_planes`) once.
A thread has `SPAN` pixels; what the first level of caches delivers limits the speed.
The neighbors that share a pixel's label are bits of one word, and a place is a product
with its weight or with 0, so what is read around the pixels must be zeros: the kernels
write them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from lal_jax.standard_score import EPSILON, LARGEST_LOGIT
from lal_jax.window_planes import (
    BLOCK,
    SPAN,
    Planes,
    from_planes,
    inverse_divisor,
    same_mark_bits,
    to_planes,
    to_rows,
)
from lal_jax.windows import NO_CLASS

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int

    from lal_jax.fused_window_losses import WindowLoss

_ZERO, _ONE = np.float32(0), np.float32(1)
_FINITE = np.finfo(np.float32)


def losses_and_residuals(
    logits: Float[Array, "n height width classes"],
    marks: Int[Array, "n height width"],
    loss: WindowLoss,
    residuals: bool,
) -> list[Array]:
    """Returns the losses, `[n, height, width]`, and what their gradient needs.

    That is: their derivative by the pooled logits over ξ, the words of neighbors, and
    of the standard score the scores and 1/σ, all in planes.
    """
    planes = loss.planes(marks.shape[1:])
    images, classes = len(logits), logits.shape[-1]
    flat = to_rows(marks, planes, NO_CLASS)
    words = to_planes(same_mark_bits(flat, planes), planes)
    words = lax.optimization_barrier(words)
    share = inverse_divisor(words, planes, loss.weights, loss.normalizer, loss.scale)
    single = jax.ShapeDtypeStruct((images, SPAN, planes.length), jnp.float32)
    stacks = jax.ShapeDtypeStruct((images, SPAN * classes, planes.length), jnp.float32)
    run = functools.partial(_run, planes=planes, interpret=loss.interpret)
    if loss.scored:
        values = to_planes(to_rows(logits, planes), planes)
        kept = values, _ = run(_scores, (stacks, single), values, words)
    else:
        inside = (marks != NO_CLASS)[..., None]
        values = to_planes(to_rows(jnp.where(inside, logits, _ZERO), planes), planes)
        kept = ()
    body = functools.partial(_losses, planes=planes, loss=loss)
    outputs = (single, stacks) if residuals else (single,)
    labels = to_planes(flat, planes)
    losses, *slope = run(body, outputs, values, words, labels, share)
    first = from_planes(losses, planes)
    return [first, *slope, words, *kept] if residuals else [first]


def gradient(
    cotangents: Float[Array, "n height width"],
    marks: Int[Array, "n height width"],
    residuals: Sequence[Array],
    loss: WindowLoss,
) -> Float[Array, "n height width classes"]:
    """Returns the gradient of Σ cotangents · losses by the logits."""
    planes = loss.planes(marks.shape[1:])
    slope, words, *scored = residuals
    # What comes in at ignored pixels never enters.
    factors = to_rows(jnp.where(marks == NO_CLASS, _ZERO, cotangents), planes)
    arguments = (slope, to_planes(factors, planes), words, *scored)
    body = functools.partial(_gradient, planes=planes, loss=loss)
    out = (jax.ShapeDtypeStruct(slope.shape, slope.dtype),)
    (flat,) = _run(body, out, *arguments, planes=planes, interpret=loss.interpret)
    return from_planes(flat, planes, slope.shape[1] // SPAN)


def _run(
    body: Callable[..., None],
    outputs: tuple[jax.ShapeDtypeStruct, ...],
    *arguments: Array,
    planes: Planes,
    interpret: bool,
) -> Sequence[Array]:
    """Runs the body once for each block of each image."""
    from jax.experimental import pallas as pl

    blocks = planes.length // BLOCK
    grid = (len(arguments[0]) * blocks,)

    def program(*refs: Any) -> None:
        index = pl.program_id(0) if interpret else lax.axis_index("block")
        image = lax.div(index, np.int32(blocks))
        start = lax.rem(index, np.int32(blocks)) * np.int32(BLOCK)
        body(image, start, *refs)

    if interpret:
        call = pl.pallas_call(program, out_shape=outputs, grid=grid, interpret=True)
        return call(*arguments)
    from jax.experimental.pallas import mosaic_gpu as plgpu

    call = plgpu.kernel(
        program,
        out_type=outputs,
        grid=grid,
        grid_names=("block",),
        compiler_params=plgpu.CompilerParams(
            lowering_semantics=plgpu.LoweringSemantics.Lane, approx_math=False
        ),
    )
    return call(*arguments)


def _block(start: Any) -> Any:
    from jax.experimental import pallas as pl

    return pl.ds(start, BLOCK)


def _scores(image: Any, start: Any, logits: Any, words: Any, out: Any, inverse: Any):
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
        root = lax.rsqrt(variance + np.float32(EPSILON))
        root = jnp.where(variance > _FINITE.max, _ZERO, root)
        inverse[image, q, at] = jnp.where(valid, root, _ZERO)
        for c in range(classes):
            score = jnp.where(valid, centered[c] * root, _ZERO)
            out[image, q * classes + c, at] = score


def _losses(
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

    With the bounds of `lal_jax.cross_entropy`.
    """
    classes = len(pooled)
    top = functools.reduce(jnp.maximum, pooled)
    shifted = [value - top for value in pooled]
    exponentials = [jnp.exp(value) for value in shifted]
    total = jnp.minimum(jnp.maximum(_sum(exponentials), _ONE), np.float32(classes))
    hits = [label == np.int32(c) for c in range(classes)]
    pairs = zip(hits, shifted, strict=True)
    own = _sum([jnp.where(hit, value, _ZERO) for hit, value in pairs])
    if smoothing:
        uniform = _sum(shifted) * np.float32(1 / classes)
        own = np.float32(1 - smoothing) * own + np.float32(smoothing) * uniform
    own = jnp.minimum(jnp.maximum(own, _FINITE.min), _ZERO)
    inverse = _ONE / total
    other = np.float32(smoothing / classes)
    target = np.float32(1 - smoothing + smoothing / classes)

    def slope(c: int) -> Array:
        probability = jnp.minimum(exponentials[c] * inverse, _ONE)
        return probability - jnp.where(hits[c], target, other)

    return jnp.log(total) - own, slope


def _gradient(
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
        around = _neighbors(ref, image, lambda q, c=c: q * classes + c, base, planes)
        for total, row, parts in zip(sums, weights, around, strict=True):
            products = [w * part for w, part in zip(row, parts, strict=True)]
            total.append(_sum(products))
    return sums


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

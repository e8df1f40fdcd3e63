"""The window losses on NVIDIA GPUs: three kernels in Pallas, a thread for each pixel.

Scores, losses, gradient: each reads and writes planes (`lal_jax.window_planes`) once.
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
    Planes,
    from_planes,
    inverse_divisor,
    same_mark_bits,
    to_planes,
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
    count, classes = len(logits), logits.shape[-1]
    flat = to_planes(marks, planes, NO_CLASS)
    words = lax.optimization_barrier(same_mark_bits(flat, planes))
    share = inverse_divisor(words, planes, loss.weights, loss.normalizer, loss.scale)
    plane = jax.ShapeDtypeStruct((count, planes.size), jnp.float32)
    stack = jax.ShapeDtypeStruct((count, classes, planes.size), jnp.float32)
    run = functools.partial(_run, planes=planes, images=count, interpret=loss.interpret)
    if loss.scored:
        scored = (stack, plane)
        values, inverse = run(_scores, scored, to_planes(logits, planes), words)
        kept = [values, inverse]
    else:
        inside = (marks != NO_CLASS)[..., None]
        values = to_planes(jnp.where(inside, logits, _ZERO), planes)
        kept = []
    body = functools.partial(_losses, planes=planes, loss=loss)
    outputs = (plane, stack) if residuals else (plane,)
    losses, *slope = run(body, outputs, values, words, flat, share)
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
    factors = to_planes(jnp.where(marks == NO_CLASS, _ZERO, cotangents), planes)
    body = functools.partial(_gradient, planes=planes, loss=loss)
    out = jax.ShapeDtypeStruct(slope.shape, slope.dtype)
    (flat,) = _run(
        body,
        (out,),
        slope,
        factors,
        words,
        *scored,
        planes=planes,
        images=len(marks),
        interpret=loss.interpret,
    )
    return from_planes(flat, planes)


def _run(
    body: Callable[..., None],
    outputs: tuple[jax.ShapeDtypeStruct, ...],
    *arguments: Array,
    planes: Planes,
    images: int,
    interpret: bool,
) -> Sequence[Array]:
    """Runs the body once for each block of each image."""
    from jax.experimental import pallas as pl

    blocks = planes.size // BLOCK
    grid = (images * blocks,)

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
    at, classes = _block(start), range(logits.shape[1])
    valid = words[image, at] != 0
    largest = np.float32(LARGEST_LOGIT)
    values = []
    for c in classes:
        value = logits[image, c, at]
        bounded = jnp.minimum(jnp.maximum(value, -largest), largest)
        far = jnp.abs(value) > _FINITE.max
        values.append(jnp.where(far, np.float32(np.nan), bounded))
    top = functools.reduce(jnp.maximum, values)
    share = np.float32(1 / len(values))
    shifted = [value - top for value in values]
    mean = _sum(shifted) * share
    centered = [value - mean for value in shifted]
    variance = _sum([value * value for value in centered]) * share
    root = lax.rsqrt(variance + np.float32(EPSILON))
    root = jnp.where(variance > _FINITE.max, _ZERO, root)
    inverse[image, at] = jnp.where(valid, root, _ZERO)
    for c in classes:
        out[image, c, at] = jnp.where(valid, centered[c] * root, _ZERO)


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
    at, classes = _block(start), values.shape[1]
    base = _inside(start, planes)
    word, label, factor = (ref[image, at] for ref in (words, labels, share))
    weights = _weights(word, planes, loss.weights)
    pooled = [
        factor * _window(values, image, c, base, weights, planes)
        for c in range(classes)
    ]
    top = functools.reduce(jnp.maximum, pooled)
    shifted = [value - top for value in pooled]
    exponentials = [jnp.exp(value) for value in shifted]
    total = jnp.minimum(jnp.maximum(_sum(exponentials), _ONE), np.float32(classes))
    hits = [label == np.int32(c) for c in range(classes)]
    pairs = zip(hits, shifted, strict=True)
    own = _sum([jnp.where(hit, value, _ZERO) for hit, value in pairs])
    smoothing = loss.label_smoothing
    if smoothing:
        uniform = _sum(shifted) * np.float32(1 / classes)
        own = np.float32(1 - smoothing) * own + np.float32(smoothing) * uniform
    own = jnp.minimum(jnp.maximum(own, _FINITE.min), _ZERO)
    counted = (word != 0) & (label >= 0) & (label < classes)
    losses[image, at] = jnp.where(counted, jnp.log(total) - own, _ZERO)
    if slope is None:
        return
    inverse = _ONE / total
    others = np.float32(smoothing / classes)
    target = np.float32(1 - smoothing + smoothing / classes)
    for c in range(classes):
        probability = jnp.minimum(exponentials[c] * inverse, _ONE)
        error = probability - jnp.where(hits[c], target, others)
        slope[image, c, at] = jnp.where(counted, error * factor, _ZERO)


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
    at, classes = _block(start), range(slope.shape[1])
    base = _inside(start, planes)
    word = words[image, at]
    valid = word != 0
    weights = [
        weight * factors[image, _block(base + np.int32(offset))]
        for weight, offset in zip(
            _weights(word, planes, loss.weights[::-1, ::-1]),
            planes.offsets,
            strict=True,
        )
    ]
    sums = [_window(slope, image, c, base, weights, planes) for c in classes]
    if scored:
        scores, inverse = scored
        score = [scores[image, c, at] for c in classes]
        share = np.float32(1 / len(sums))
        mean = _sum(sums) * share
        overlap = _sum([a * b for a, b in zip(sums, score, strict=True)]) * share
        root = inverse[image, at]
        sums = [root * (sums[c] - mean - score[c] * overlap) for c in classes]
    for c in classes:
        out[image, c, at] = jnp.where(valid, sums[c], _ZERO)


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


def _window(
    ref: Any, image: Any, c: int, base: Any, weights: list[Array], planes: Planes
) -> Array:
    """Returns Σ μ ω x of one class."""
    offsets = map(np.int32, planes.offsets)
    parts = (ref[image, c, _block(base + offset)] for offset in offsets)
    return _sum([w * part for w, part in zip(weights, parts, strict=True)])


def _sum(terms: Sequence[Array]) -> Array:
    return functools.reduce(jnp.add, terms)

"""The window losses on NVIDIA GPUs: three kernels in Pallas, called.

Scores, losses, gradient: each reads and writes planes (`lal_jax.window_planes`) once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from lal_jax import window_losses_programs as programs
from lal_jax.window_losses import WindowLoss
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

_ZERO = np.float32(0)


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
        kept = values, _ = run(programs.write_scores, (stacks, single), values, words)
    else:
        inside = (marks != NO_CLASS)[..., None]
        values = to_planes(to_rows(jnp.where(inside, logits, _ZERO), planes), planes)
        kept = ()
    body = functools.partial(programs.write_losses, planes=planes, loss=loss)
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
    body = functools.partial(programs.write_gradient, planes=planes, loss=loss)
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

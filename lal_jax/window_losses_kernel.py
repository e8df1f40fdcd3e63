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
    TILE,
    Planes,
    from_pixels,
    from_planes,
    inverse_divisor,
    same_mark_bits,
    to_pixels,
    to_planes,
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

    That is: their derivative by the pooled logits over ξ and the words of neighbors, in
    planes, of the standard score the scores and 1/σ likewise, and the losses.
    """
    planes = loss.planes(marks.shape[1:])
    images, classes = len(logits), logits.shape[-1]
    words = to_planes(same_mark_bits(marks, planes), planes)
    words = lax.optimization_barrier(words)
    share = inverse_divisor(words, planes, loss.weights, loss.normalizer, loss.scale)
    single = jax.ShapeDtypeStruct((images, SPAN, planes.length), jnp.float32)
    stacks = jax.ShapeDtypeStruct((images, SPAN * classes, planes.length), jnp.float32)
    tiles = planes.tiles_before + planes.tiles + planes.tiles_after
    run = functools.partial(_run, tiles=tiles, planes=planes, loss=loss)
    values, inverse = run(
        programs.write_scores,
        (stacks, single),
        (TILE * classes,),
        to_pixels(logits, planes),
        words,
    )
    outputs = (single, stacks) if residuals else (single,)
    labels = to_planes(marks, planes, NO_CLASS)
    arguments = (values, inverse, words, labels, share)
    one, *slope = run(programs.write_losses, outputs, None, *arguments)
    losses = from_planes(one, planes)
    kept = (values, inverse) if loss.scored else ()
    return [losses, *slope, words, losses, *kept] if residuals else [losses]


def gradient(
    cotangents: Float[Array, "n height width"],
    marks: Int[Array, "n height width"],
    residuals: Sequence[Array],
    loss: WindowLoss,
) -> Float[Array, "n height width classes"]:
    """Returns the gradient of Σ cotangents · losses by the logits."""
    planes = loss.planes(marks.shape[1:])
    slope, words, losses, *scored = residuals
    classes = slope.shape[1] // SPAN
    factors = jnp.where(jnp.isnan(losses), losses, cotangents)
    # What comes in at ignored pixels never enters.
    factors = to_planes(jnp.where(marks == NO_CLASS, _ZERO, factors), planes)
    out = (jax.ShapeDtypeStruct((len(slope), planes.pixels * classes), slope.dtype),)
    memory = (BLOCK, SPAN, classes)
    arguments = (slope, factors, words, *scored)
    run = functools.partial(_run, tiles=planes.tiles, planes=planes, loss=loss)
    (rows,) = run(programs.write_gradient, out, memory, *arguments)
    return from_pixels(rows, planes)


def _run(
    body: Callable[..., None],
    outputs: tuple[jax.ShapeDtypeStruct, ...],
    memory: tuple[int, ...] | None,
    *arguments: Array,
    tiles: int,
    planes: Planes,
    loss: WindowLoss,
) -> Sequence[Array]:
    """Runs the body once for each tile of each image, with memory of its own if any."""
    from jax.experimental import pallas as pl

    grid = (len(arguments[0]) * tiles,)

    def program(*refs: Any) -> None:
        index = pl.program_id(0) if loss.interpret else lax.axis_index("tile")
        image = lax.div(index, np.int32(tiles))
        tile = lax.rem(index, np.int32(tiles))
        body(image, tile, *refs, planes=planes, loss=loss)

    if loss.interpret:
        own = jax.core.ShapedArray(memory or (), jnp.float32)
        call = pl.pallas_call(
            program,
            out_shape=outputs,
            grid=grid,
            scratch_shapes=[pl.MemoryRef(own, pl.ANY)] if memory else [],
            interpret=True,
        )
        return call(*arguments)
    from jax.experimental.pallas import mosaic_gpu as plgpu

    call = plgpu.kernel(
        program,
        out_type=outputs,
        grid=grid,
        grid_names=("tile",),
        scratch_types=[plgpu.SMEM(memory, jnp.float32)] if memory else [],
        compiler_params=plgpu.CompilerParams(
            lowering_semantics=plgpu.LoweringSemantics.Lane, approx_math=False
        ),
    )
    return call(*arguments)

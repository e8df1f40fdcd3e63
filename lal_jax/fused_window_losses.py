"""The window losses as one operation of JAX, a GPU kernel where one is lowered.

Three primitives: the losses with what their gradient needs, the change of the losses by
the logits, and its transpose, the gradient. The residuals are a cache: everything is a
function of logits and marks, and whatever is not a kernel (other devices, a second
derivative) is computed from these by XLA's form, the library's own functions.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from lal_jax import kernel_switch
from lal_jax.window_losses import WindowLoss, xla_losses, xla_residuals
from lal_jax.window_planes import SPAN

if TYPE_CHECKING:
    from jaxtyping import Array, Float

    from lal_jax.windows import Windows


def fused_losses(
    logits: Float[Array, "*batch height width classes"],
    windows: Windows,
    *,
    mode: str,
    normalization: str,
    score_scale: Any,
    label_smoothing: float,
) -> Float[Array, "*batch height width"]:
    """Returns L^S without class weights, of arguments that the kernel can do."""
    loss = WindowLoss(
        window=windows.weights.shape,
        weight_bytes=np.asarray(windows.weights).tobytes(),
        dilation=windows.dilation,
        normalizer=windows.normalizer,
        scored=normalization == "standard_score",
        scale=float(score_scale),
        label_smoothing=float(label_smoothing),
        mode=mode,
    )
    images = (math.prod(logits.shape[:-3]), *logits.shape[-3:])
    marks = windows.marks().reshape(images[:-1])
    (losses,) = losses_p.bind(logits.reshape(images), marks, loss=loss, residuals=False)
    return losses.reshape(logits.shape[:-1])


def _xla_losses_and_residuals(
    logits: Array, marks: Array, *, loss: WindowLoss, residuals: bool
) -> list[Array]:
    kept = xla_residuals(logits, marks, loss) if residuals else []
    return [xla_losses(logits, marks, loss), *kept]


def _xla_change(
    change: Array, logits: Array, marks: Array, *residuals: Array, loss: WindowLoss
) -> list[Array]:
    losses = functools.partial(xla_losses, marks=marks, loss=loss)
    return [jax.jvp(losses, (logits,), (change,))[1]]


def _xla_gradient(
    cotangents: Array, logits: Array, marks: Array, *residuals: Array, loss: WindowLoss
) -> list[Array]:
    losses = functools.partial(xla_losses, marks=marks, loss=loss)
    return list(jax.vjp(losses, logits)[1](cotangents))


def _kernel_losses(
    logits: Array, marks: Array, *, loss: WindowLoss, residuals: bool
) -> list[Array]:
    from lal_jax.window_losses_kernel import losses_and_residuals

    return losses_and_residuals(logits, marks, loss, residuals)


def _kernel_gradient(
    cotangents: Array, logits: Array, marks: Array, *residuals: Array, loss: WindowLoss
) -> list[Array]:
    from lal_jax.window_losses_kernel import gradient

    return [gradient(cotangents, marks, residuals, loss)]


def _residuals(logits: Any, loss: WindowLoss) -> list[ShapedArray]:
    """Returns the shapes of what the kernels keep for the gradient."""
    length = loss.planes(logits.shape[1:3]).length
    single = (logits.shape[0], SPAN, length)
    classes = logits.shape[-1]
    stack = ShapedArray((single[0], SPAN * classes, length), np.dtype(np.float32))
    words = ShapedArray(single, np.dtype(np.int32))
    losses = ShapedArray(logits.shape[:-1], logits.dtype)
    scored = [stack, ShapedArray(single, np.dtype(np.float32))] if loss.scored else []
    return [stack, words, losses, *scored]


def _primitive(
    name: str,
    shapes: Callable[..., list[ShapedArray]],
    xla: Callable[..., list[Array]],
    kernel: Callable[..., list[Array]],
) -> Primitive:
    """Returns a primitive with its rules but those of derivatives."""
    primitive = Primitive(name)
    primitive.multiple_results = True
    primitive.def_abstract_eval(shapes)
    static = ("loss", "residuals")
    primitive.def_impl(jax.jit(primitive.bind, static_argnames=static))
    batching.primitive_batchers[primitive] = functools.partial(_batched, primitive)
    by_xla, by_kernel = mlir.lower_fun(xla), mlir.lower_fun(kernel)

    def elsewhere(context: Any, *arguments: Any, loss: WindowLoss, **options: Any):
        if loss.mode == "on":
            raise kernel_switch.refusal("on", "the program is for another platform")
        lower = by_kernel if loss.interpret else by_xla
        return lower(context, *arguments, loss=loss, **options)

    def on_cuda(context: Any, *arguments: Any, loss: WindowLoss, **options: Any):
        reason = _obstacle(context.module_context)
        if reason is None:
            try:
                return by_kernel(context, *arguments, loss=loss, **options)
            except Exception as error:
                if loss.mode == "on":
                    raise
                _warn(f"{type(error).__name__}: {error}")
        elif loss.mode == "on":
            raise kernel_switch.refusal("on", reason)
        return by_xla(context, *arguments, loss=loss, **options)

    mlir.register_lowering(primitive, elsewhere)
    mlir.register_lowering(primitive, on_cuda, platform="cuda")
    return primitive


def _obstacle(module: Any) -> str | None:
    """Returns why a program for CUDA cannot have the kernels, or None."""
    devices = getattr(module.axis_context, "num_devices", None)
    if devices != 1:
        return "the program is for more than one device"
    if module.lowering_parameters.for_export:
        return "exported programs may not have kernels"
    return None


@functools.cache
def _warn(reason: str) -> None:
    """Warns once of each failure."""
    warnings.warn(
        "the GPU kernel of the locally adaptive loss could not be built, XLA's form is "
        f"used: {reason} ({kernel_switch.VARIABLE}=off says so from the start)",
        stacklevel=2,
    )


def _batched(
    primitive: Primitive,
    arguments: Sequence[Array],
    dimensions: Sequence[int | None],
    **options: Any,
) -> tuple[list[Array], list[int]]:
    """Joins the mapped axis with the images."""
    pairs = list(zip(arguments, dimensions, strict=True))
    size = next(array.shape[axis] for array, axis in pairs if axis is not None)
    fronts = [batching.bdim_at_front(array, axis, size) for array, axis in pairs]
    joined = [front.reshape(-1, *front.shape[2:]) for front in fronts]
    outputs = primitive.bind(*joined, **options)
    apart = [output.reshape(size, -1, *output.shape[1:]) for output in outputs]
    return apart, [0] * len(apart)


def _like(array: Any) -> ShapedArray:
    return ShapedArray(array.shape, array.dtype)


losses_p = _primitive(
    "window_losses",
    lambda logits, marks, *, loss, residuals: [
        ShapedArray(marks.shape, logits.dtype),
        *(_residuals(logits, loss) if residuals else ()),
    ],
    _xla_losses_and_residuals,
    _kernel_losses,
)
change_p = _primitive(
    "window_losses_change",
    lambda change, logits, marks, *residuals, loss: [
        ShapedArray(marks.shape, logits.dtype)
    ],
    _xla_change,
    _xla_change,
)
gradient_p = _primitive(
    "window_losses_gradient",
    lambda cotangents, logits, marks, *residuals, loss: [_like(logits)],
    _xla_gradient,
    _kernel_gradient,
)


def _losses_jvp(primals, tangents, *, loss, residuals):
    """The residuals' own tangents are of no use: all is derived by the logits."""
    change = tangents[0]
    if type(change) is ad.Zero:
        outputs = losses_p.bind(*primals, loss=loss, residuals=residuals)
        return outputs, [_zero(output) for output in outputs]
    losses, *kept = losses_p.bind(*primals, loss=loss, residuals=True)
    outputs = [losses, *kept] if residuals else [losses]
    (d_losses,) = change_p.bind(change, *primals, *kept, loss=loss)
    return outputs, [d_losses, *map(_zero, outputs[1:])]


def _zero(output: Any) -> ad.Zero:
    return ad.Zero(jax.typeof(output).to_tangent_aval())


def _linear_jvp(primitive, xla, primals, tangents, *, loss):
    """Of a primitive linear in its first argument; by the logits, XLA's form."""
    given, logits, *rest = primals
    d_given, d_logits, *_ = tangents
    (output,) = primitive.bind(*primals, loss=loss)
    total = _zero(output)
    if type(d_given) is not ad.Zero:
        (total,) = primitive.bind(d_given, logits, *rest, loss=loss)
    if type(d_logits) is not ad.Zero:
        by_logits = functools.partial(xla, given, loss=loss)
        change = jax.jvp(lambda x: by_logits(x, *rest)[0], (logits,), (d_logits,))[1]
        total = change if type(total) is ad.Zero else total + change
    return [output], [total]


def _transposed(primitive, cotangents, given, *rest, loss):
    """The transpose by the first argument."""
    (cotangent,) = cotangents
    if type(cotangent) is ad.Zero:
        return [ad.Zero(given.aval), *(None for _ in rest)]
    (result,) = primitive.bind(cotangent, *rest, loss=loss)
    return [result, *(None for _ in rest)]


ad.primitive_jvps[losses_p] = _losses_jvp
for _linear, _other, _xla in (
    (change_p, gradient_p, _xla_change),
    (gradient_p, change_p, _xla_gradient),
):
    ad.primitive_jvps[_linear] = functools.partial(_linear_jvp, _linear, _xla)
    ad.primitive_transposes[_linear] = functools.partial(_transposed, _other)

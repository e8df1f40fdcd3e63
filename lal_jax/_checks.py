"""Static checks and conversions shared by the losses.

They look at what is known while tracing, and never at the values of a traced array.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float


def as_float(values: ArrayLike, name: str) -> Float[Array, "..."]:
    """Returns floating point values as float32, float64 ones as they are."""
    values = jnp.asarray(values)
    if not jnp.issubdtype(values.dtype, jnp.floating):
        raise ValueError(
            f"{name} must be floating point, got {values.dtype}; "
            f"convert them with {name}.astype(jnp.float32)"
        )
    return values if values.dtype == jnp.float64 else values.astype(jnp.float32)


def as_logits(values: ArrayLike, name: str = "logits") -> Float[Array, "..."]:
    """Returns logits as `as_float` does, after requiring a last axis of classes."""
    values = as_float(values, name)
    if values.ndim == 0 or values.shape[-1] == 0:
        raise ValueError(
            f"{name} must have shape [..., classes] with at least one class, got "
            f"{values.shape}"
        )
    return values


def as_where(
    where: ArrayLike | None,
    shape: tuple[int, ...],
    name: str,
    *,
    argument: str = "where",
    xp: Any = jnp,
) -> Bool[Array, "..."]:
    """Returns the mask, all True for None; its shape must be the named array's."""
    if where is None:
        return xp.ones(shape, bool)
    mask: Array = xp.asarray(where)
    if mask.dtype != jnp.bool_:
        raise ValueError(
            f"{argument} must be boolean, got {mask.dtype}; write {argument}=mask > 0"
        )
    if mask.shape != shape:
        raise ValueError(
            f"{argument} must have the shape of the {name}: "
            f"got {argument} {mask.shape} and {name} {shape}"
        )
    return mask


def check_rank(array: jax.Array, name: str, rank: int) -> None:
    """Requires `rank` axes of pixels before the last axis, the classes."""
    if array.ndim <= rank:
        axes = {1: "length", 2: "height, width", 3: "depth, height, width"}
        raise ValueError(
            f"{name} must have shape [..., {axes.get(rank, f'{rank} spatial axes')}, "
            f"classes] for a window of {rank} sizes (kernel_size): got {array.shape}"
        )


def check_axes(
    axis: int | Sequence[int] | None, shape: tuple[int, ...]
) -> tuple[int, ...]:
    """Returns the axes to pool over as indices from 0; None means all."""
    axes = range(len(shape)) if axis is None else axis
    axes = tuple(axes) if isinstance(axes, Sequence) else (axes,)
    known = all(
        isinstance(one, int | np.integer) and -len(shape) <= one < len(shape)
        for one in axes
    )
    if not known or len({one % len(shape) for one in axes}) < len(axes):
        raise ValueError(
            f"axis must name axes of the losses {shape}, each once, got {axis!r}; pass "
            "axis=None to pool over all of them"
        )
    return tuple(int(one) % len(shape) for one in axes)


def check_kernel_size(kernel_size: int | Sequence[int]) -> tuple[int, ...]:
    """Returns the window's odd size along each axis; an integer is a square window."""
    _check_static("kernel_size", kernel_size)
    sizes: tuple[int, ...] = ()
    if isinstance(kernel_size, int | np.integer):
        sizes = (kernel_size, kernel_size)
    elif isinstance(kernel_size, Sequence):
        sizes = tuple(kernel_size)
    if not sizes or any(
        not isinstance(size, int | np.integer) or size < 1 or size % 2 == 0
        for size in sizes
    ):
        raise ValueError(
            "kernel_size must be a positive odd integer, or a tuple of them with one "
            "for each spatial axis, so that the window has a center: got "
            f"{kernel_size!r}"
        )
    return tuple(int(size) for size in sizes)


def check_dilation(
    dilation: int | Sequence[int], window: tuple[int, ...]
) -> tuple[int, ...]:
    """Returns the distance of a window's places along each of its axes."""
    _check_static("dilation", dilation)
    steps = (
        tuple(dilation) if isinstance(dilation, Sequence) else (dilation,) * len(window)
    )
    if len(steps) != len(window) or any(
        not isinstance(step, int | np.integer) or step < 1 for step in steps
    ):
        raise ValueError(
            "dilation must be an integer of at least 1, or a tuple with one for each "
            f"of the window's {len(window)} axes: got {dilation!r}"
        )
    return tuple(int(step) for step in steps)


def check_ignore_label(ignore_label: int) -> None:
    """Requires a 32-bit integer, not the ends, which stand for labels beyond them."""
    _check_static("ignore_label", ignore_label)
    last = np.iinfo(np.int32).max
    if not isinstance(ignore_label, int | np.integer) or not (
        -last < ignore_label < last
    ):
        raise ValueError(
            f"ignore_label must be an integer above {-last} and below {last}, or a "
            f"tuple of them, -1 to ignore no pixel: got {ignore_label!r}"
        )


def check_power(power: float) -> None:
    """Requires a finite positive exponent."""
    if not 0 < _number("power", power) < math.inf:
        raise ValueError(
            f"power must be a finite number above 0 (the paper takes 3), got {power!r}"
        )


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Requires one of the named choices."""
    if value not in choices:
        listed = " or ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be {listed}, got {value!r}")


def check_below_one(name: str, value: float) -> None:
    """Requires a number in [0, 1)."""
    if not 0 <= _number(name, value) < 1:
        raise ValueError(f"{name} must lie in [0, 1), got {value!r}")


def check_integer(name: str, value: int, *, least: int | None = None) -> None:
    """Requires an integer, of at least `least` if that is given."""
    _check_static(name, value)
    if not isinstance(value, int | np.integer) or (least is not None and value < least):
        bound = "" if least is None else f" of at least {least}"
        raise ValueError(f"{name} must be an integer{bound}, got {value!r}")


def as_class_weights(
    class_weights: ArrayLike | None, logits: Float[Array, "..."]
) -> Float[Array, " classes"] | None:
    """Returns class weights in the logits' dtype, or None."""
    if class_weights is None:
        return None
    if isinstance(class_weights, str | dict) or np.iscomplexobj(class_weights):
        raise ValueError(
            f"class_weights must be one real number a class, got {class_weights!r}; "
            "class_weights_from_counts computes them"
        )
    weights = jnp.asarray(class_weights)
    if weights.shape != logits.shape[-1:]:
        raise ValueError(
            f"class_weights must hold one weight for each of the {logits.shape[-1]} "
            f"classes, got shape {weights.shape}"
        )
    check_weights("class_weights", class_weights)
    return weights.astype(logits.dtype)


def as_scale(name: str, scale: ArrayLike, dtype: np.dtype) -> Float[Array, ""]:
    """Returns one number in the given dtype, above 0 in it unless it is traced."""
    fits = np.shape(scale) == () and np.isrealobj(scale)
    if fits and _has_values(scale):
        fits = np.finfo(dtype).tiny <= _number(name, scale) <= np.finfo(dtype).max
    if not fits:
        raise ValueError(
            f"{name} must be one finite {dtype} above 0 (default 1), got {scale!r}"
        )
    return jnp.asarray(scale, dtype)


def check_weights(name: str, weights: ArrayLike | Sequence[float]) -> None:
    """Requires finite weights that are not negative, unless they are traced."""
    if not _has_values(weights):
        return
    values = np.asarray(weights, np.float64)
    if not (np.isfinite(values) & (values >= 0)).all():
        raise ValueError(f"{name} must be finite and not negative, got {weights!r}")


def _has_values(array: object) -> bool:
    """Whether an array's values can be looked at: not traced, nor on other hosts."""
    if isinstance(array, jax.core.Tracer):
        return False
    return not isinstance(array, jax.Array) or array.is_fully_addressable


def check_positive(name: str, value: float) -> None:
    """Requires a finite number above 0."""
    if not 0 < _number(name, value) < math.inf:
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}")


def check_not_negative(name: str, value: float) -> None:
    """Requires a finite number of at least 0."""
    if not 0 <= _number(name, value) < math.inf:
        raise ValueError(f"{name} must be a finite number of at least 0, got {value!r}")


def check_share(name: str, value: float) -> None:
    """Requires a number in (0, 1]."""
    if not 0 < _number(name, value) <= 1:
        raise ValueError(f"{name} must lie in (0, 1], got {value!r}")


def check_exponent(exponent: float) -> None:
    """Requires a number in [0, 1]."""
    if not 0 <= _number("exponent", exponent) <= 1:
        raise ValueError(
            f"exponent must lie in [0, 1], 1 for all classes alike, got {exponent!r}"
        )


def check_norm(norm: float) -> None:
    """Requires a finite exponent above 1."""
    if not 1 < _number("norm", norm) < math.inf:
        raise ValueError(
            f"norm must be a finite number above 1 (its paper takes 1.7), got {norm!r}"
        )


def _check_static(name: str, value: object) -> None:
    """Requires a value that is not traced, nor a sequence with a traced part."""
    parts = value if isinstance(value, tuple | list) else [value]
    if any(isinstance(part, jax.core.Tracer) for part in parts):
        raise ValueError(
            f"{name} must be known before tracing, got {value!r}; under jit close over "
            f'it or name it in static_argnames=("{name}",)'
        )


def _number(name: str, value: ArrayLike) -> float:
    """Returns the value in float64; it must be one number, known before tracing."""
    _check_static(name, value)
    if isinstance(value, str) or value is None or np.ndim(value) != 0:
        raise ValueError(f"{name} must be a single number, got {value!r}")
    return np.float64(np.asarray(value))

"""Whether the GPU kernel of the locally adaptive loss runs: the user's switch."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType

if TYPE_CHECKING:
    from jaxtyping import Array, Float

    from lal_jax.windows import Windows

VARIABLE = "LAL_JAX_KERNEL"
MODES = ("auto", "off", "on", "interpret")

_FEWEST_CLASSES, _MOST_CLASSES = 3, 32
_MOST_PLACES = 31  # bits of a word, its sign left out
_LARGEST = 2**31 - 1  # numbers in an array, so that indices are int32
_LEAST_JAX = (0, 11)
_LEAST_CAPABILITY = 9.0
_TRIED = (9.0,)  # where the kernels have run


def kernel_mode(
    logits: Float[Array, "*batch_pixels classes"],
    windows: Windows,
    *,
    normalization: str,
    score_scale: Any,
) -> str | None:
    """Returns `"auto"`, `"on"` or `"interpret"`, or None where XLA's form runs.

    Raises:
      ValueError: the environment variable names no mode, or it is `on` or `interpret`
        where the kernel cannot run; the message says why.
    """
    mode = os.environ.get(VARIABLE, "auto")
    if mode not in MODES:
        raise ValueError(
            f"{VARIABLE} must be one of {', '.join(MODES)} (default auto), got {mode!r}"
        )
    if mode == "off" or (mode == "auto" and (several_devices() or untried())):
        return None
    # The platform first: on a CPU nothing else is looked at.
    reason = None if mode == "interpret" else platform_obstacle()
    reason = reason or _obstacle(logits, windows, normalization, score_scale)
    if reason is None:
        return mode
    if mode != "auto":
        raise refusal(mode, reason)
    return None


def several_devices() -> bool:
    """Whether programs may be divided, which the kernels are not.

    Known only when a program is lowered, too late for XLA's form as it is without them.
    """
    return jax.device_count() > 1


def untried() -> bool:
    """Whether the kernels have not been run on GPUs of this one's capability."""
    return _capability() not in (None, *_TRIED)


def _capability() -> float | None:
    """Returns the compute capability of the default device, None for no CUDA GPU."""
    capability: Any = getattr(jax.devices()[0], "compute_capability", None)
    try:
        return float(capability)
    except (TypeError, ValueError):  # none, or another maker's
        return None


def refusal(mode: str, reason: str) -> ValueError:
    """Returns the error of a kernel that was asked for and cannot run."""
    return ValueError(
        f"{VARIABLE}={mode}, but the kernel cannot run: {reason}; {VARIABLE}=auto uses "
        f"it only where it can, {VARIABLE}=off never"
    )


def platform_obstacle() -> str | None:
    """Returns why no kernel runs on this process's default device, or None."""
    if jax.__version_info__[:2] < _LEAST_JAX:
        return f"it needs JAX 0.11 or later, this is {jax.__version__}"
    if jax.default_backend() != "gpu":
        return f"it needs a CUDA GPU, JAX's default is {jax.default_backend()!r}"
    capability = _capability()
    if capability is not None and capability >= _LEAST_CAPABILITY:
        return None
    return f"it needs compute capability {_LEAST_CAPABILITY} or more, got {capability}"


def _obstacle(
    logits: Float[Array, "*batch_pixels classes"],
    windows: Windows,
    normalization: str,
    score_scale: Any,
) -> str | None:
    """Returns what about a call the kernel does not do, or None."""
    shape, weights = logits.shape, windows.weights
    if not all(isinstance(size, int) and size > 0 for size in shape):
        return f"it needs known sizes above 0, got logits {shape}"
    if math.prod(shape) > _LARGEST // 4:  # planes are padded
        return f"it takes up to {_LARGEST // 4} logits, got {shape}"
    if not _FEWEST_CLASSES <= shape[-1] <= _MOST_CLASSES:
        return f"it takes {_FEWEST_CLASSES} to {_MOST_CLASSES} classes, got {shape[-1]}"
    if logits.dtype != jnp.float32 or windows.labels.dtype != jnp.int32:
        types = f"{logits.dtype} and {windows.labels.dtype}"
        return f"it takes logits up to float32 and labels up to int32, got {types}"
    if weights.ndim != 2 or weights.size > _MOST_PLACES:
        return (
            f"it takes windows of 2 axes and up to {_MOST_PLACES} places, got "
            f"kernel_size={weights.shape}"
        )
    if windows.stride != 1:
        return f"it takes stride=1, got {windows.stride}"
    if normalization == "image_score":
        return f"it does not know normalization={normalization!r}"
    for name, value in (("neighbor_weights", weights), ("score_scale", score_scale)):
        if not isinstance(value, np.ndarray | np.generic | float | int):
            return f"{name} must be NumPy's or Python's, got {type(value).__name__}"
    kinds = set(jax.typeof(logits).sharding.mesh.axis_types)
    if kinds - {AxisType.Auto}:
        return f"the mesh has axes that are not Auto: {kinds}"
    return None

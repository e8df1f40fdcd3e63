"""How XLA compiles a training step on a GPU: the user's switch."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import jax

SWITCH = "LAL_JAX_COMPILER"

# All launches of a step are one.
_GRAPH = {
    "xla_gpu_enable_command_buffer": (
        "FUSION,CUBLAS,CUBLASLT,CUDNN,CUSTOM_CALL,CONVOLUTION,DYNAMIC_SLICE_FUSION"
    )
}
# Products and convolutions add what follows them, and bound it.
_FUSED = {
    "xla_gpu_enable_triton_gemm": False,
    "xla_gpu_experimental_enable_conv_fusion": True,
}
OPTIONS_BY_MODE: dict[str, dict[str, Any]] = {
    "off": {},
    "graph": _GRAPH,
    "fused": _GRAPH | _FUSED,
}


def chosen_options() -> dict[str, Any]:
    """Returns the options of XLA's that the user's switch stands for.

    None but on a CUDA GPU.

    Raises:
      ValueError: the environment variable names no mode.
    """
    mode = os.environ.get(SWITCH, "off")
    if mode not in OPTIONS_BY_MODE:
        known = ", ".join(OPTIONS_BY_MODE)
        raise ValueError(f"{SWITCH} must be one of {known} (default off), got {mode!r}")
    return OPTIONS_BY_MODE[mode] if jax.default_backend() == "gpu" else {}


class Compiled:
    """A function compiled with options, or without where XLA does not take them.

    It consumes its first argument.

    Args:
      function: is compiled when it is first called.
      options: XLA's.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]):
        self._plain = jax.jit(function, donate_argnums=0)
        self._jitted = self._plain
        if options:
            self._jitted = jax.jit(function, donate_argnums=0, compiler_options=options)

    def __call__(self, state: Any, *arguments: Any) -> Any:
        """Returns the function's result."""
        try:
            return self._jitted(state, *arguments)
        except jax.errors.JaxRuntimeError as error:
            full = "RESOURCE_EXHAUSTED" in str(error)
            if full or self._jitted is self._plain or _is_consumed(state):
                raise
            warnings.warn(
                f"the step could not be compiled as {SWITCH} says, and is compiled "
                f"without its options, as with {SWITCH}=off: {error}",
                stacklevel=2,
            )
        self._jitted = self._plain
        return self._plain(state, *arguments)

    def lower(self, *arguments: Any) -> jax.stages.Lowered:
        """Returns the lowered program for arrays, or shapes, like these."""
        return self._jitted.lower(*arguments)


def _is_consumed(state: Any) -> bool:
    leaves = jax.tree.leaves(state)
    return any(isinstance(x, jax.Array) and x.is_deleted() for x in leaves)

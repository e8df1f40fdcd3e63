"""Compiling with little effort, for programs that run once or twice."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax


def quick_jit(function: Callable[..., Any]) -> Any:
    """`jax.jit` in a quarter of the time it takes to compile as users do.

    Each kind of loss is compiled as users do in `test_locally_adaptive.py`,
    `test_cross_entropy.py`, `test_gradients.py` and the tests of ugly inputs.
    """
    options: dict[str, Any] = {"xla_backend_optimization_level": 0}
    if jax.__version_info__ < (0, 11):  # which has no other code generator
        options["xla_cpu_use_fusion_emitters"] = False
    return jax.jit(function, compiler_options=options)


@contextlib.contextmanager
def compilations() -> Iterator[list[float]]:
    """Lists the seconds of each compilation within the block."""
    seconds: list[float] = []

    def note(event: str, duration_secs: float, **unused: str | int) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            seconds.append(duration_secs)

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        jax.jit(lambda: 1.5)()
        assert seconds, "compilations are not seen"
        seconds.clear()
        yield seconds
    finally:
        jax.monitoring.unregister_event_duration_listener(note)

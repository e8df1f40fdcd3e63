"""What is compiled: as users compile it, once, and how often."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

_FULL: dict[str, Any] = {
    "xla_backend_optimization_level": 3,
    "xla_llvm_disable_expensive_passes": False,
    "xla_cpu_parallel_codegen_split_count": 32,
}
if jax.__version_info__ < (0, 11):  # which has no other code generator
    _FULL["xla_cpu_use_fusion_emitters"] = True


def full_jit(function: Callable[..., Any], **options: Any) -> Any:
    """`jax.jit` as users compile, in four times the time.

    So each kind of loss is compiled in `test_locally_adaptive.py`,
    `test_cross_entropy.py`, `test_gradients.py` and the tests of ugly inputs.
    """
    return jax.jit(function, compiler_options=_FULL, **options)


@functools.cache
def _losses_and_gradient(function: Callable[..., Any], **options: Any) -> Any:
    @jax.jit
    def both(x, y, where):
        loss = functools.partial(function, **options)
        losses, pullback = jax.vjp(lambda x: loss(x, y, where=where), x)
        return losses, pullback(jnp.ones_like(losses))[0]

    return both


def losses_and_gradient(
    function: Callable[..., Any],
    logits: Any,
    labels: Any,
    where: Any = None,
    **options: Any,
) -> tuple[jax.Array, jax.Array]:
    """The losses of logits, labels and `where`, and the gradient of their sum.

    Compiled once for each function and options, which are hashable.
    """
    valid = jnp.ones(logits.shape[:-1], bool) if where is None else where
    both = _losses_and_gradient(function, **options)
    return both(*map(jnp.asarray, (logits, labels, valid)))


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

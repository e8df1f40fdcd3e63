"""What a device can do: the time of a call, and the most arithmetic per second."""

from __future__ import annotations

import functools
import math
import statistics
import time
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

# Dense bfloat16 FLOP/s of the makers' datasheets; the first that a name contains.
PEAKS = (
    ("H200 NVL", 835e12),
    ("H200", 989e12),
    ("H100 NVL", 835e12),
    ("H100 PCIe", 756e12),
    ("H100", 989e12),
    ("A100", 312e12),
)


def seconds(
    call: Callable[[], object], *, blocks: int = 5, block_seconds: float = 0.25
) -> float:
    """Returns the time of a call: the median over blocks of calls in a row.

    Args:
      call: returns what is ready only once the device is done.
      blocks: how many are timed.
      block_seconds: what a block lasts at least, so that the wait at its end does not
        matter.
    """

    def block(repeats: int) -> float:
        began = time.perf_counter()
        for _ in range(repeats):
            result = call()
        jax.block_until_ready(result)
        return (time.perf_counter() - began) / repeats

    block(3)  # to warm up
    repeats = max(1, math.ceil(block_seconds / block(1)))
    return statistics.median(block(repeats) for _ in range(blocks))


def in_turns(calls: Sequence[Callable[[], object]], turns: int) -> list[float]:
    """Returns the milliseconds of each call: medians over turns of all of them.

    So that what else the machine does falls on all alike. A turn before, in which they
    compile, does not count.
    """
    times: list[list[float]] = [[] for _ in calls]
    for turn in range(turns + 1):
        for call, spent in zip(calls, times, strict=True):
            began = time.perf_counter()
            jax.block_until_ready(call())
            if turn:
                spent.append(1e3 * (time.perf_counter() - began))
    return [statistics.median(spent) for spent in times]


def forward_and_gradients(
    function: Callable[..., jax.Array], *arguments: jax.Array
) -> list[Callable[[], object]]:
    """Returns a call of a function, compiled, and one that adds all its gradients."""

    def gradients(*arguments: jax.Array) -> object:
        outputs, pull = jax.vjp(function, *arguments)
        return outputs, pull(outputs)

    return [
        functools.partial(jax.jit(made), *arguments) for made in (function, gradients)
    ]


def peak(device: jax.Device) -> tuple[float, str]:
    """Returns a device's bfloat16 FLOP/s, and where the number is from."""
    for name, flops in PEAKS:
        if name in device.device_kind:
            return flops, "datasheet"
    side = 1024 if device.platform == "cpu" else 8192
    left, right = jax.random.normal(jax.random.key(0), (2, side, side), jnp.bfloat16)
    spent = seconds(functools.partial(jax.jit(jnp.matmul), left, right))
    return 2 * side**3 / spent, f"a product of {side}×{side} matrices"

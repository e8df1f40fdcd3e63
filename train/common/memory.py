"""Memory that is free, of the host or of an accelerator."""

from __future__ import annotations

from pathlib import Path

import jax
import psutil

# Of a container: the limit and what is used of it (control groups, version 2 and 1).
_LIMITS = tuple(
    (Path("/sys/fs/cgroup") / limit, Path("/sys/fs/cgroup") / used)
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    )
)


def free_memory() -> float:
    """Returns the bytes that the first device can still allocate.

    On a CPU, what the host has free; a container's limit counts.
    """
    stats = jax.devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return stats["bytes_limit"] - stats["bytes_in_use"]
    return min([psutil.virtual_memory().available, *map(_left, _LIMITS)])


def _left(files: tuple[Path, Path]) -> float:
    """Returns the bytes that a container may still use, infinity without a limit."""
    try:
        limit, used = (int(file.read_text()) for file in files)
    except (OSError, ValueError):  # not in such a container, or "max"
        return float("inf")
    return max(0, limit - used)

"""Memory that is free, of the host or of an accelerator."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import psutil

_OWN = Path("/proc/self/cgroup")
_ROOT = Path("/sys/fs/cgroup")


class _Group(NamedTuple):
    """Where a kind of control groups keeps what it knows of memory."""

    controller: str  # in _OWN
    folder: str
    limit: str
    used: str
    reclaimable: str  # of what is used, in memory.stat


_GROUPS = (
    _Group("", "", "memory.max", "memory.current", "inactive_file"),
    _Group(
        "memory",
        "memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
)


def free_memory() -> float:
    """Returns the bytes that the first device can still allocate.

    On a CPU, `free_host_memory`.
    """
    stats = jax.devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return stats["bytes_limit"] - stats["bytes_in_use"]
    return free_host_memory()


def free_host_memory() -> float:
    """Returns the bytes that this process can still allocate of the host's memory.

    The limits of containers and of batch systems (control groups of Linux) count.
    """
    return min(psutil.virtual_memory().available, *_left_by_limits(), float("inf"))


def _left_by_limits() -> Iterator[float]:
    """Yields the bytes that each limit on this process leaves."""
    try:
        lines = _OWN.read_text().splitlines()
    except OSError:  # not on Linux
        return
    for line, group in itertools.product(lines, _GROUPS):
        _, controllers, path = line.split(":", maxsplit=2)
        if group.controller not in controllers.split(","):
            continue
        # In a container, the path may be the host's, and its group the root.
        inner = Path(path.lstrip("/"))
        for folder in (inner, *inner.parents):
            yield _left(_ROOT / group.folder / folder, group)


def _left(folder: Path, group: _Group) -> float:
    """Returns the bytes that a control group may still use, infinity without limit."""
    try:
        limit = int((folder / group.limit).read_text())
        used = int((folder / group.used).read_text())
        stats = (folder / "memory.stat").read_text().split()
        reclaimable = int(stats[stats.index(group.reclaimable) + 1])
    except (OSError, ValueError):  # no such group, or "max"
        return float("inf")
    return max(0, limit - used + reclaimable)

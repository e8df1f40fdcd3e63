"""Where a training step's time goes: python benchmarks/profile_step.py.

A step of preset voc as in train_speed.py, recorded by JAX's profiler: the kernels'
milliseconds a step and launches, by kind and the longest by name. On a CPU, kernels run
side by side, so their sum is more than a step takes; the kinds are those of a GPU.
"""

from __future__ import annotations

import argparse
import collections
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
from jax.profiler import ProfileData

from benchmarks.step_cost import (
    Setting,
    compiled_step,
    random_batch,
    random_state,
    repeated,
)
from benchmarks.train_speed import LOSSES, parse_row

# By the first pattern that is in a kernel's name. On a GPU the first kind is what XLA
# makes of a dilated convolution's weight gradient (models/dilated.py).
KINDS = (
    ("indexed or general convolutions", "implicit_gemm_indexed|convolve_common"),
    (
        "convolutions and products",
        "conv(?!ert)|xmma|gemm|cutlass|cudnn|nvjet|dot|ynn|onednn",
    ),
    ("copies and transposes", "copy|transpose|[Mm]em(cpy|set)|pad|concatenate|slice"),
    ("reductions", "reduce"),
    ("element by element", ""),
)


class Kernel(NamedTuple):
    """A kernel's name, its time and how often it ran."""

    name: str
    seconds: float
    launches: int


def recorded(steps: int, setting: Setting) -> list[Kernel]:
    """Returns the kernels of so many training steps, the longest first."""
    config = setting.config()
    graph, state = random_state(config)
    batch = jax.device_put(random_batch(setting))
    step = repeated(compiled_step(graph, config, state, batch), state, batch)
    jax.block_until_ready(step())
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(steps):
                jax.block_until_ready(step())
        (path,) = Path(folder).rglob("*.xplane.pb")
        return kernels(ProfileData.from_file(str(path)))


def kernels(profile: ProfileData) -> list[Kernel]:
    """Returns the kernels of a profile, the longest first."""
    nanoseconds: dict[str, float] = collections.defaultdict(float)
    launches: collections.Counter[str] = collections.Counter()
    for name, duration in _events(profile):
        nanoseconds[name] += duration
        launches[name] += 1
    found = [
        Kernel(name, 1e-9 * spent, launches[name])
        for name, spent in nanoseconds.items()
    ]
    return sorted(found, key=lambda kernel: -kernel.seconds)


def _events(profile: ProfileData) -> Iterator[tuple[str, float]]:
    """Yields the kernels' names and nanoseconds, launch by launch."""
    for plane in profile.planes:
        on_gpu = "GPU" in plane.name
        events = [
            (event.name, event.duration_ns)
            for line in plane.lines
            if line.name.startswith("Stream" if on_gpu else "tf_XLA")
            for event in line.events
        ]
        ended = {name for name, _ in events}  # what else a CPU's threads do has no end
        yield from (it for it in events if on_gpu or f"end: {it[0]}" in ended)


def by_kind(found: list[Kernel]) -> list[Kernel]:
    """Returns the sums of kernels of each of `KINDS`, in their order."""
    sums = {kind: Kernel(kind, 0.0, 0) for kind, _ in KINDS}
    for kernel in found:
        kind = next(kind for kind, part in KINDS if re.search(part, kernel.name))
        total = sums[kind]
        sums[kind] = Kernel(
            kind, total.seconds + kernel.seconds, total.launches + kernel.launches
        )
    return list(sums.values())


def table(rows: list[Kernel], steps: int) -> str:
    """Returns kernels as a table, by step."""
    lines = ["| kernels | ms a step | launches |", "|---|---|---|"]
    for name, seconds, launches in rows:
        lines.append(f"| {name} | {1e3 * seconds / steps:.3f} | {launches / steps:g} |")
    return "\n".join(lines)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    add = parser.add_argument
    add("--row", type=parse_row, default=(321, 16), metavar="SIZExBATCH")
    add("--loss", choices=LOSSES, default="softmax_cross_entropy")
    add("--backbone", choices=("resnet101", "resnet50"), default="resnet101")
    add("--steps", type=int, default=5)
    add("--longest", type=int, default=12, help="kernels by name")
    arguments = parser.parse_args()
    size, batch = arguments.row
    setting = Setting(
        size=size, batch=batch, loss=arguments.loss, backbone=arguments.backbone
    )
    found = recorded(arguments.steps, setting)
    device = jax.devices()[0].device_kind
    print(f"{size}×{size}, batch {batch}; {device}, jax {jax.__version__}\n")
    print(table(by_kind(found), arguments.steps), end="\n\n")
    print(table(found[: arguments.longest], arguments.steps))


if __name__ == "__main__":
    main()

"""What a step takes on many devices: python benchmarks/scale.py [DEVICES ...].

The step of the preset `voc` (two images of 321×321 for each device) is compiled for 1,
8, 64 and 512 virtual devices, and not run: XLA's plan of the memory on each, and the
bytes that each sends into sums and gathers, by the shapes in the compiled program. Both
do not depend on the speed of anything; how long a sum takes does.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from typing import Any

IMAGES = 2  # for each device
_WIDTHS = {"f32": 4, "bf16": 2, "s32": 4, "u8": 1, "pred": 1}
_COLLECTIVE = re.compile(
    r"= (.*?) (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)"
    r"(?:-start)?\("
)
_SHAPE = re.compile(r"(\w+)\[([\d,]*)\]")


def measure(devices: int, *, shard_state: bool) -> dict[str, object]:
    """Returns memory and communication of a step, in this process."""
    import jax
    import numpy as np

    from train.config import Config
    from train.data.images import Example
    from train.presets import PRESETS
    from train.training.devices import DeviceLayout, DeviceOptions
    from train.training.step import abstract_state, make_step

    config: Config = PRESETS["voc"].replace(batch_size=IMAGES * devices)
    layout = DeviceLayout.of(DeviceOptions(shard_state=shard_state), IMAGES * devices)
    graph, state = abstract_state(config, 21)
    height, width = config.augmentation.crop
    state = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=layout.of_state(leaf.shape)
        ),
        state,
    )
    shape = (IMAGES * devices, height, width)
    batch = Example(
        jax.ShapeDtypeStruct((*shape, 3), np.uint8, sharding=layout.of_batch()),  # type: ignore[arg-type]
        jax.ShapeDtypeStruct(shape, np.uint8, sharding=layout.of_batch()),  # type: ignore[arg-type]
    )
    step = make_step(graph, config, layout)
    compiled: Any = step.lower(state, batch).compile()
    memory = compiled.memory_analysis()
    return {
        "devices": devices,
        "images": IMAGES * devices,
        "shard_state": shard_state,
        "state_mib": round(memory.argument_size_in_bytes / 2**20),
        "temporaries_mib": round(memory.temp_size_in_bytes / 2**20),
        **communication(compiled.as_text()),
        "jax": jax.__version__,
    }


def communication(program: str) -> dict[str, float]:
    """Returns MiB of a device's results of collectives, by their kind."""
    sizes: dict[str, int] = {}
    for shapes, kind in _COLLECTIVE.findall(program):
        found = sum(
            _WIDTHS.get(dtype, 4) * math.prod(int(d) for d in sides.split(",") if d)
            for dtype, sides in _SHAPE.findall(shapes)
        )
        sizes[kind] = sizes.get(kind, 0) + found
    return {f"{kind}_mib": round(size / 2**20, 1) for kind, size in sizes.items()}


def main() -> None:
    """Prints a line of JSON for each number of devices, each in its own process."""
    if sys.argv[1:2] == ["--one"]:
        devices, shard_state = int(sys.argv[2]), sys.argv[3] == "True"
        print(json.dumps(measure(devices, shard_state=shard_state)))
        return
    for devices in map(int, sys.argv[1:] or (1, 8, 64, 512)):
        for shard_state in (False, True)[: 1 + (devices > 1)]:
            subprocess.run(  # noqa: S603 - words of ours alone
                [sys.executable, __file__, "--one", str(devices), str(shard_state)],
                env={**os.environ, "JAX_NUM_CPU_DEVICES": str(devices)},
                check=True,
            )


if __name__ == "__main__":
    main()

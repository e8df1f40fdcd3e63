"""An export in onnxruntime beside JAX: python benchmarks/onnx_speed.py EXPORTED.

EXPORTED is what train/export.py wrote with --onnx and --size. One image of that size,
uint8 in, masks and confidence out; the two take turns, and printed are medians, of the
time that passes and of that of all processors, which other work disturbs less.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import jax.export
import numpy as np
import onnxruntime

from benchmarks.device import in_turns


def processor_time(call: Callable[[], object], turns: int) -> float:
    """Returns the milliseconds that a call takes of all processors, the median."""
    times = []
    for _ in range(turns):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return 1e3 * statistics.median(times)


def main() -> None:
    """Prints a line of the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exported", type=Path)
    parser.add_argument("--turns", type=int, default=15)
    arguments = parser.parse_args()
    options = onnxruntime.SessionOptions()  # threads that wait take no processor
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    file = arguments.exported / "inference.onnx"
    session = onnxruntime.InferenceSession(file, options)
    (given,) = session.get_inputs()
    if not all(isinstance(side, int) for side in given.shape[1:]):
        parser.error(f"{arguments.exported} takes any size: export it with --size")
    content = (arguments.exported / "inference.jax").read_bytes()
    function = jax.jit(jax.export.deserialize(bytearray(content)).call)
    image = np.random.default_rng(0).integers(0, 256, (1, *given.shape[1:]), np.uint8)
    wanted = ["masks", "confidence"]
    calls = [
        lambda: session.run(wanted, {"images": image}),
        lambda: jax.block_until_ready(function(image)),
    ]
    masks, expected = calls[0]()[0], np.asarray(calls[1]()[0])
    passed = in_turns(calls, arguments.turns)
    taken = [processor_time(call, arguments.turns) for call in calls]
    different = int((masks != expected).sum())
    print(f"{given.shape[1]}×{given.shape[2]}, {different} pixels of the masks differ")
    print("| | onnxruntime, ms | JAX, ms | ratio |\n|---|---|---|---|")
    for name, (ours, theirs) in (("passed", passed), ("of processors", taken)):
        print(f"| {name} | {ours:.1f} | {theirs:.1f} | {ours / theirs:.2f} |")


if __name__ == "__main__":
    main()

"""An export in onnxruntime beside JAX: python benchmarks/onnx_speed.py EXPORTED.

EXPORTED is what train/export.py wrote with --onnx and --size. One image of that size,
uint8 in, masks and confidence out; the two take turns, and printed are medians.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import jax.export
import numpy as np
import onnxruntime

from benchmarks.device import in_turns


def main() -> None:
    """Prints a line of the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exported", type=Path)
    parser.add_argument("--turns", type=int, default=15)
    arguments = parser.parse_args()
    session = onnxruntime.InferenceSession(arguments.exported / "inference.onnx")
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
    ours, theirs = in_turns(calls, arguments.turns)
    print("| Size | onnxruntime, ms | JAX, ms | ratio | pixels that differ |")
    print("|---|---|---|---|---|")
    print(
        f"| {given.shape[1]}×{given.shape[2]} | {ours:.1f} | {theirs:.1f} | "
        f"{ours / theirs:.2f} | {int((masks != expected).sum())} |"
    )


if __name__ == "__main__":
    main()

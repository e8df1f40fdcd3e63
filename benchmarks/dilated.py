"""Ways to the weight gradient of a dilated convolution: python benchmarks/dilated.py.

As JAX transposes the convolution, as a product for each tap, and over interleaved
images (`models.dilated`), compiled, 3×3, as many channels out as in. The ways take
turns; printed are medians, and which of them the layers use here.
"""

from __future__ import annotations

import argparse
import functools

import jax

from benchmarks.device import in_turns
from models.dilated import interleaved, tap_products, transposed, ways

WAYS = {"transposed": transposed, "products": tap_products, "interleaved": interleaved}

# Batch, height, width, channels and dilation: ResNet-101's stages 3 and 4 at output
# stride 8, of preset voc; DeepLabV3's head; small networks.
CASES = (
    (2, 41, 41, 256, 2),
    (2, 41, 41, 512, 4),
    (2, 41, 41, 256, 12),
    (2, 65, 65, 256, 2),
    (4, 23, 30, 128, 2),
    (8, 12, 16, 128, 2),
)


def row(case: tuple[int, ...], dtype: str, turns: int) -> list[float]:
    """Returns the milliseconds of each way."""
    *shape, dilation = case
    images, slope = (
        jax.random.normal(jax.random.key(seed), shape, dtype) for seed in range(2)
    )
    calls = [
        functools.partial(
            jax.jit(functools.partial(way, side=3, dilation=dilation)), images, slope
        )
        for way in WAYS.values()
    ]
    return in_turns(calls, turns)


def used(case: tuple[int, ...]) -> str:
    """Returns the name of the way that the layers use on this device."""
    *shape, dilation = case
    chosen = ways(shape, (3, 3, shape[-1], shape[-1]), dilation)
    way = chosen.get(jax.default_backend(), chosen["default"])
    return next(name for name, other in WAYS.items() if other is way)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--batch", type=int, default=0, help="0: each case's own")
    arguments = parser.parse_args()
    device = jax.devices()[0].device_kind
    print(f"{device}, jax {jax.__version__}, {arguments.dtype}")
    print(
        f"| features | dilation | {' | '.join(f'{name}, ms' for name in WAYS)} | used |"
    )
    print("|---" * (3 + len(WAYS)) + "|")
    for case in CASES:
        chosen = (arguments.batch or case[0], *case[1:])
        cells = [
            f"{time:.2f}" for time in row(chosen, arguments.dtype, arguments.turns)
        ]
        shape = "×".join(map(str, chosen[:-1]))
        print(f"| {shape} | {chosen[-1]} | {' | '.join(cells)} | {used(chosen)} |")


if __name__ == "__main__":
    main()

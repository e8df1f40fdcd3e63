"""Pointwise convolution beside XLA's own: python benchmarks/pointwise.py.

Forward, and both gradients, of `models.pointwise.pixel_product` and of
`jax.lax.conv_general_dilated`, compiled. The two take turns; printed are medians.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Sequence

import jax

from benchmarks.device import forward_and_gradients, in_turns
from models.pointwise import pixel_product

# Batch, height, width, inputs and outputs: of EfficientNet-Lite0 in preset voc_animals,
# of the small network, of ResNet-101's stages 1, 3 and 4 in preset voc.
CASES = (
    (8, 81, 81, 16, 96),
    (8, 11, 11, 672, 112),
    (4, 16, 16, 96, 128),
    (2, 81, 81, 64, 256),
    (2, 41, 41, 256, 1024),
    (2, 41, 41, 1024, 2048),
)


def xla(images: jax.Array, kernel: jax.Array, strides: Sequence[int]) -> jax.Array:
    """Returns XLA's convolution with a 1×1 window."""
    return jax.lax.conv_general_dilated(
        images, kernel, strides, "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def calls(
    function: Callable[..., jax.Array], case: tuple[int, ...], dtype: str
) -> list[Callable[[], object]]:
    """Returns a call of the convolution, and one that adds its gradients."""
    *shape, outputs = case
    images = jax.random.normal(jax.random.key(0), shape, dtype)
    kernel = jax.random.normal(jax.random.key(1), (1, 1, shape[-1], outputs), dtype)
    return forward_and_gradients(function, images, kernel)


def row(case: tuple[int, ...], dtype: str, turns: int) -> list[float]:
    """Returns the milliseconds of XLA's forward and all, then of this project's."""
    made = [
        call
        for function in (
            functools.partial(xla, strides=(1, 1)),
            functools.partial(pixel_product, (1, 1)),
        )
        for call in calls(function, case, dtype)
    ]
    return in_turns(made, turns)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--turns", type=int, default=9)
    arguments = parser.parse_args()
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}, {arguments.dtype}")
    print(
        "| features | outputs | XLA, ms | with gradients | product, ms "
        "| with gradients | ratio |"
    )
    print("|---" * 7 + "|")
    for case in CASES:
        spent = row(case, arguments.dtype, arguments.turns)
        times = " | ".join(f"{one:.2f}" for one in spent)
        shape = "×".join(map(str, case[:-1]))
        print(f"| {shape} | {case[-1]} | {times} | {spent[1] / spent[3]:.1f} |")


if __name__ == "__main__":
    main()

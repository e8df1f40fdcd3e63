"""Depthwise convolution beside XLA's own: python benchmarks/depthwise.py.

Forward, and both gradients, of `models.depthwise.shifted_products` and of
`jax.lax.conv_general_dilated`, compiled, float32, 8×41×41×240 by default. The two take
turns; printed are medians.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from typing import Any

import jax

from benchmarks.device import forward_and_gradients, in_turns
from models.depthwise import Window, shifted_products

CASES = tuple(
    (kernel, stride, dilation)
    for kernel in (3, 5)
    for stride, dilation in ((1, 1), (2, 1), (1, 2), (1, 4))
)


def xla(images: jax.Array, kernel: jax.Array, window: Window) -> jax.Array:
    """Returns XLA's depthwise convolution."""
    return jax.lax.conv_general_dilated(
        images,
        kernel,
        window.strides,
        window.padding,
        rhs_dilation=window.dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=images.shape[-1],
    )


def calls(
    function: Callable[..., jax.Array],
    shape: tuple[int, ...],
    kernel: int,
    **window: Any,
) -> list[Callable[[], object]]:
    """Returns a call of the convolution, and one that adds its gradients."""
    images = jax.random.normal(jax.random.key(0), shape)
    weights = jax.random.normal(jax.random.key(1), (kernel, kernel, 1, shape[-1]))
    convolve = functools.partial(function, window=Window(**window))
    return forward_and_gradients(convolve, images, weights)


def row(shape: tuple[int, ...], case: tuple[int, int, int], turns: int) -> list[float]:
    """Returns the milliseconds of XLA's forward and all, then of this project's."""
    kernel, stride, dilation = case
    reach = dilation * (kernel - 1) // 2
    window = {
        "strides": (stride, stride),
        "padding": ((reach, reach), (reach, reach)),
        "dilation": (dilation, dilation),
    }
    made = [
        call
        for function in (xla, shifted_products)
        for call in calls(function, shape, kernel, **window)
    ]
    return in_turns(made, turns)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs=4, default=(8, 41, 41, 240))
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    shape = tuple(arguments.shape)
    print(f"{jax.devices()[0].device_kind}, JAX {jax.__version__}, {shape}")
    print(
        "| Window | Stride | Dilation | XLA, ms | with gradients "
        "| shifted, ms | with gradients | ratio |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for case in CASES:
        kernel, stride, dilation = case
        spent = row(shape, case, arguments.turns)
        times = " | ".join(f"{one:.1f}" for one in spent)
        side = f"{kernel}×{kernel}"
        print(
            f"| {side} | {stride} | {dilation} | {times} | {spent[1] / spent[3]:.0f} |"
        )


if __name__ == "__main__":
    main()

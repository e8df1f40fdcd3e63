"""What a loss costs in training: python benchmarks/losses_in_training.py.

The application's own step of preset CAMVID_SMALL (96×96 crops, batch 4, 11 classes),
one batch of random images that stays there, under every loss of the paper's Table 2.
The losses take turns, so that what else the machine does falls on all of them; printed
are the medians over turns of a step's time and of its ratio to cross-entropy's in the
same turn.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable

import jax
import numpy as np

from train.data.images import Example
from train.experiments.experiment import Variant
from train.experiments.paper import TABLE2
from train.presets import CAMVID_SMALL
from train.training.step import make_state, make_step

CLASSES = 11


def prepare(variant: Variant, batch: Example) -> Callable[[int], float]:
    """Returns a function that takes so many steps and says what one took, seconds."""
    config = CAMVID_SMALL.replace(loss=variant.loss, **variant.options)
    graph, state = make_state(config, CLASSES, seed=0)
    step = make_step(graph, config)

    def run(steps: int) -> float:
        nonlocal state
        began = time.perf_counter()
        for _ in range(steps):
            state, metrics = step(state, batch)
        jax.block_until_ready(metrics)
        return (time.perf_counter() - began) / steps

    return run


def main() -> None:
    """Prints a line for each loss."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--steps", type=int, default=10, help="of each loss in a turn")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, 96, 96, 3), np.uint8)
    tiles = rng.integers(0, CLASSES, (4, 12, 12), np.uint8)
    labels = np.kron(tiles, np.ones((8, 8), np.uint8))
    batch = jax.device_put(Example(images, labels))

    runs = {variant.label: prepare(variant, batch) for variant in TABLE2.variants}
    for run in runs.values():
        run(3)  # compiles, and warms up
    times: dict[str, list[float]] = {label: [] for label in runs}
    for _, (label, run) in itertools.product(range(arguments.turns), runs.items()):
        times[label].append(run(arguments.steps))

    baseline = next(iter(times.values()))
    print(f"{jax.devices()[0].device_kind}, JAX {jax.__version__}")
    print(f"{'loss':<20} {'ms a step':>10} {'ratio':>7}")
    for label, spent in times.items():
        ratios = [one / other for one, other in zip(spent, baseline, strict=True)]
        middle = 1000 * statistics.median(spent)
        print(f"{label:<20} {middle:>10.1f} {statistics.median(ratios):>7.2f}")


if __name__ == "__main__":
    main()

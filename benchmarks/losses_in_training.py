"""What a loss costs in training: python benchmarks/losses_in_training.py.

The application's own step of preset CAMVID_SMALL (96×96 crops, batch 4, 11 classes),
one batch of random images that stays there, under every loss of the paper's Table 2 and
the verdict's class-weighted ones. The losses take turns, so that what else the machine
does falls on all of them; printed are the medians over turns of a step's time and of
its ratio to cross-entropy's in the same turn, and the memory that a step is planned to
take beside its state.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import statistics
import time
from collections.abc import Callable

import jax
import numpy as np

from train.data.images import Example
from train.experiments.experiment import Variant
from train.experiments.forms import RECOMMENDED, WEIGHTED
from train.experiments.paper import TABLE2
from train.presets import CAMVID_SMALL
from train.training.step import make_state, make_step

CLASSES = 11
# Counts of classes are not at hand; the weights' values cost nothing.
WEIGHTS = {"class_weights": ("1",) * CLASSES}


def variants() -> list[Variant]:
    """Returns the losses, plain cross-entropy first."""
    weighted = [
        dataclasses.replace(variant, options={**variant.options, **WEIGHTS})
        for variant in (WEIGHTED, RECOMMENDED)
    ]
    return [*TABLE2.variants, *weighted]


def prepare(variant: Variant, batch: Example) -> tuple[Callable[[int], float], float]:
    """Compiles the step under a loss.

    Returns:
      A function that takes so many steps and says what one took, seconds; and the
      planned memory, MiB.
    """
    config = CAMVID_SMALL.replace(loss=variant.loss, **variant.options)
    graph, state = make_state(config, CLASSES, seed=0)
    step = jax.jit(make_step(graph, config), donate_argnums=0)
    compiled = step.lower(state, batch).compile()
    memory = compiled.memory_analysis()
    planned = memory.temp_size_in_bytes / 2**20 if memory else float("nan")

    def run(steps: int) -> float:
        nonlocal state
        began = time.perf_counter()
        for _ in range(steps):
            state, metrics = compiled(state, batch)
        jax.block_until_ready(metrics)
        return (time.perf_counter() - began) / steps

    return run, planned


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

    prepared = {variant.label: prepare(variant, batch) for variant in variants()}
    runs = {label: run for label, (run, _) in prepared.items()}
    for run in runs.values():
        run(3)  # warms up
    times: dict[str, list[float]] = {label: [] for label in runs}
    for _, (label, run) in itertools.product(range(arguments.turns), runs.items()):
        times[label].append(run(arguments.steps))

    baseline = next(iter(times.values()))
    print(f"{jax.devices()[0].device_kind}, JAX {jax.__version__}")
    print(f"{'loss':<28} {'ms a step':>10} {'ratio':>7} {'MiB':>7}")
    for label, spent in times.items():
        ratios = [one / other for one, other in zip(spent, baseline, strict=True)]
        middle = 1000 * statistics.median(spent)
        ratio, planned = statistics.median(ratios), prepared[label][1]
        print(f"{label:<28} {middle:>10.1f} {ratio:>7.2f} {planned:>7.1f}")


if __name__ == "__main__":
    main()

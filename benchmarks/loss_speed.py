"""Time and memory of the losses: python benchmarks/loss_speed.py.

Value and gradient by the logits, compiled, float32, 5×5 windows. Times are medians, and
every ratio is to plain cross-entropy measured in the same round, so that a busy machine
slows both. Temporaries are what XLA reserves beside inputs and outputs, divided by the
size of the logits. The floor is the time to read the logits once and to write the
gradient once, measured too: the percentage is the floor's share of a loss's time.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lal_jax
from lal_jax.kernel_switch import VARIABLE
from lal_jax.patches import selective_pool_by_patches

SHAPES = ((2, 321, 321, 21), (8, 513, 513, 21))
ROUNDS = 15
LIMIT = 16 * 2**30  # bytes of temporaries beyond which a slow loss is not run

Loss = Callable[[jax.Array, jax.Array], jax.Array]


def floor(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """No loss: value and gradient read the logits once and write as many numbers."""
    del labels
    return jnp.sum(jnp.square(logits))


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Plain optax, without void pixels."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def masked_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Ours, with void pixels."""
    losses = lal_jax.softmax_cross_entropy(logits, labels)
    return lal_jax.masked_mean(losses, where=lal_jax.valid_mask(labels)).mean()


def dice(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """By overlap, with void pixels."""
    return lal_jax.dice_loss(logits, labels).mean()


def lovasz(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """By sorted errors, with void pixels."""
    return lal_jax.lovasz_softmax_loss(logits, labels).mean()


def boundary(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """By distance, which is computed from the labels each time."""
    return lal_jax.boundary_loss(logits, labels).mean()


def mutual_information(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """By windows, with void pixels."""
    return lal_jax.region_mutual_information_loss(logits, labels).mean()


def cl_dice(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """By centerlines, with void pixels."""
    return lal_jax.cl_dice_loss(logits, labels).mean()


def contrast(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """By pairs of 1024 drawn pixels, with the logits as features."""
    return lal_jax.pixel_contrast_loss(logits, labels, key=jax.random.key(0)).mean()


def triplets(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """By the hardest of these pairs."""
    return lal_jax.pixel_triplet_loss(logits, labels, key=jax.random.key(0)).mean()


def locally_adaptive(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The loss."""
    return lal_jax.locally_adaptive_loss(logits, labels).mean()


def by_xla(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The loss without its GPU kernel."""
    given = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = "off"
    try:
        return locally_adaptive(logits, labels)
    finally:
        if given is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = given


def patches(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The loss with every window stored, one image after the other."""

    def image_loss(pair: tuple[jax.Array, jax.Array]) -> jax.Array:
        image, truth = pair
        valid = lal_jax.valid_mask(truth)
        scores = lal_jax.standard_score(image)
        pooled = selective_pool_by_patches(scores, truth, valid)
        losses = lal_jax.softmax_cross_entropy(pooled, truth)
        return lal_jax.minkowski_mean(losses, where=valid)

    return jax.lax.map(image_loss, (logits, labels)).mean()


BASE = "cross-entropy (optax)"
CENTERLINES = "clDice"
PATCHES = "locally adaptive, patches"
SLOW = (CENTERLINES, PATCHES)  # apart, in few rounds
LOSSES: dict[str, Loss] = {
    "floor": floor,
    BASE: cross_entropy,
    "cross-entropy (lal_jax)": masked_cross_entropy,
    "Dice": dice,
    "Lovász-Softmax": lovasz,
    "boundary": boundary,
    "region mutual information": mutual_information,
    CENTERLINES: cl_dice,
    "pixel contrast": contrast,
    "pixel triplets": triplets,
    "locally adaptive": locally_adaptive,
    PATCHES: patches,
}


class Compiled(NamedTuple):
    """A compiled value-and-gradient."""

    call: Callable[[jax.Array, jax.Array], object]
    temporaries: int  # bytes


def compiled(loss: Loss, logits: jax.Array, labels: jax.Array) -> Compiled:
    """Compiles value and gradient for the arguments' shapes."""
    program = jax.jit(jax.value_and_grad(loss)).lower(logits, labels).compile()
    analysis = program.memory_analysis()
    return Compiled(program, analysis.temp_size_in_bytes if analysis else -1)


def seconds(program: Compiled, logits: jax.Array, labels: jax.Array) -> float:
    """Returns the time of one call."""
    began = time.perf_counter()
    jax.block_until_ready(program.call(logits, labels))
    return time.perf_counter() - began


def make_inputs(shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """Returns random logits, and labels in blocks of 16×16 pixels."""
    rng = np.random.default_rng(0)
    batch, height, width, classes = shape
    blocks = rng.integers(0, classes, (batch, -(-height // 16), -(-width // 16)))
    labels = np.kron(blocks, np.ones((16, 16), int))[:, :height, :width]
    logits = rng.standard_normal(shape, dtype=np.float32)
    return jnp.asarray(logits), jnp.asarray(labels, jnp.int32)


def interleaved(
    programs: dict[str, Compiled], logits: jax.Array, labels: jax.Array, rounds: int
) -> dict[str, list[float]]:
    """Returns each program's times, one call of each a round, after a warm-up."""
    times: dict[str, list[float]] = {name: [] for name in programs}
    for number in range(rounds + 1):
        for name, program in programs.items():
            spent = seconds(program, logits, labels)
            if number > 0:
                times[name].append(spent)
    return times


def measure(shape: tuple[int, ...]) -> None:
    """Prints the table of one shape."""
    logits, labels = make_inputs(shape)
    print(f"\n{'×'.join(map(str, shape))}, logits {logits.nbytes / 2**20:.1f} MiB")
    print(
        f"{'':<26} {'ms':>9} {'× optax':>8} {'floor':>7} {'temporaries ÷ logits':>21}"
    )
    losses = dict(LOSSES)
    if jax.default_backend() == "gpu":  # elsewhere it is the same
        losses["locally adaptive, XLA"] = by_xla
    programs = {name: compiled(loss, logits, labels) for name, loss in losses.items()}
    slow = {name: programs.pop(name) for name in SLOW}
    times = interleaved(programs, logits, labels, ROUNDS)
    least = statistics.median(times["floor"])
    for name, program in programs.items():
        report(name, program, times[name], times[BASE], least, logits.nbytes)
    for name, program in slow.items():
        if program.temporaries > LIMIT:
            share = program.temporaries / logits.nbytes
            print(f"{name:<26} {'not run':>9} {'':>8} {'':>7} {share:>21.2f}")
            continue
        # Apart: what comes after so much memory finds caches and allocator in disorder.
        pair = {BASE: programs[BASE], name: program}
        times = interleaved(pair, logits, labels, 3)
        report(name, program, times[name], times[BASE], least, logits.nbytes)


def report(
    name: str,
    program: Compiled,
    times: list[float],
    base: list[float],
    least: float,
    size: int,
) -> None:
    """Prints a row; `least` is the floor's seconds, `size` the logits' bytes."""
    middle = statistics.median(times)
    ratio = statistics.median(
        one / other for one, other in zip(times, base, strict=True)
    )
    print(
        f"{name:<26} {1e3 * middle:>9.1f} {ratio:>8.1f} {100 * least / middle:>5.1f} %"
        f" {program.temporaries / size:>21.2f}"
    )


def main() -> None:
    """Measures every shape."""
    device = jax.devices()[0]
    print(f"{device.platform} {device.device_kind}, jax {jax.__version__}")
    for shape in SHAPES:
        measure(shape)


if __name__ == "__main__":
    main()

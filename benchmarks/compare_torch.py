"""The loss beside PyTorch: python benchmarks/compare_torch.py --rmi RMI.

Value and gradient by the logits, float32, 5×5 windows: `lal_jax.locally_adaptive_loss`,
the same loss in PyTorch by `unfold`, and the region mutual information loss of Zhao et
al. 2019 from a clone of github.com/ZJULearning/RMI, which is left out without `--rmi`.
Each framework has its own layout: classes last in JAX, before the pixels in PyTorch.

Times are medians, and every ratio is to a call of the same round. Memory is what a
call holds at most beside its inputs, the gradient included: XLA's plan in JAX; in
PyTorch the allocator's peak on a GPU, the growth of a fresh process on a CPU.

PyTorch is no dependency of this project: install it in a virtual environment of its
own, with this package and optax. On a GPU, set XLA_PYTHON_CLIENT_PREALLOCATE=false so
that JAX leaves PyTorch some memory; on a CPU that others use, OMP_WAIT_POLICY=PASSIVE,
else PyTorch's threads spin while they wait for one another.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lal_jax
from benchmarks.torch_losses import (
    VOID,
    WINDOW,
    TorchLoss,
    torch,
    torch_device,
    torch_losses,
)

TOLERANCE = 1e-4  # relative to the largest entry
SOURCE = "lal_jax"  # the row to which the last ratio refers

Shape = tuple[int, int, int, int]
JaxLoss = Callable[[jax.Array, jax.Array], jax.Array]


def jax_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Plain optax, averaged over the valid pixels."""
    valid = labels != VOID
    losses = optax.softmax_cross_entropy_with_integer_labels(
        logits, jnp.where(valid, labels, 0)
    )
    return jnp.mean(losses, where=valid)


def jax_locally_adaptive(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The loss."""
    return lal_jax.locally_adaptive_loss(logits, labels, kernel_size=WINDOW).mean()


JAX_LOSSES: dict[str, JaxLoss] = {
    "cross-entropy, optax": jax_cross_entropy,
    f"locally adaptive, {SOURCE}": jax_locally_adaptive,
}


def make_inputs(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Returns random logits, and labels in blocks of 16×16 pixels, some void."""
    rng = np.random.default_rng(0)
    batch, height, width, classes = shape
    blocks = rng.integers(0, classes + 1, (batch, -(-height // 16), -(-width // 16)))
    blocks = np.where(blocks == classes, VOID, blocks)
    labels = np.kron(blocks, np.ones((16, 16), int))[:, :height, :width]
    return rng.standard_normal(shape, dtype=np.float32), labels


def torch_inputs(shape: Shape) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the same with the classes before the pixels."""
    logits, labels = make_inputs(shape)
    channels_first = np.ascontiguousarray(np.moveaxis(logits, -1, 1))
    image = torch.from_numpy(channels_first).to(torch_device()).requires_grad_()
    return image, torch.from_numpy(labels).to(torch_device())


def torch_value_and_grad(
    loss: TorchLoss, logits: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns value and gradient once they are there."""
    value = loss(logits, labels)
    (gradient,) = torch.autograd.grad(value, logits)
    if logits.is_cuda:
        torch.cuda.synchronize()
    return value.detach(), gradient


class Contender(NamedTuple):
    """A loss ready to be called."""

    call: Callable[[], tuple[Any, Any]]  # value and gradient
    baseline: str  # its framework's cross-entropy
    memory: int | None  # bytes


def jax_contenders(shape: Shape) -> dict[str, Contender]:
    """Compiles the losses for the shape."""
    logits, labels = map(jnp.asarray, make_inputs(shape))
    contenders = {}
    for name, loss in JAX_LOSSES.items():
        program = jax.jit(jax.value_and_grad(loss)).lower(logits, labels).compile()
        plan = program.memory_analysis()
        memory = plan.temp_size_in_bytes + plan.output_size_in_bytes if plan else None

        def call(program: Any = program) -> tuple[Any, Any]:
            return jax.block_until_ready(program(logits, labels))

        contenders[name] = Contender(call, "cross-entropy, optax", memory)
    return contenders


def torch_contenders(shape: Shape, rmi: Path | None) -> dict[str, Contender]:
    """Prepares the losses and measures their memory."""
    logits, labels = torch_inputs(shape)
    contenders = {}
    for name, loss in torch_losses(rmi, shape[-1]).items():

        def call(loss: TorchLoss = loss) -> tuple[Any, Any]:
            return torch_value_and_grad(loss, logits, labels)

        memory = gpu_peak(call) if logits.is_cuda else cpu_peak(name, shape, rmi)
        contenders[name] = Contender(call, "cross-entropy, torch", memory)
    return contenders


def gpu_peak(call: Callable[[], object]) -> int:
    """Returns what the allocator held at most during a call, beside what it held."""
    call()  # what is loaded once does not count
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    return torch.cuda.max_memory_allocated() - before


def cpu_peak(name: str, shape: Shape, rmi: Path | None) -> int | None:
    """Returns by how much a call grows a fresh process; None where not Linux."""
    if not Path("/proc/self/clear_refs").exists():
        return None
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        return fresh.submit(growth, name, shape, rmi).result()


def growth(name: str, shape: Shape, rmi: Path | None) -> int:
    """Returns by how much one call grows this process at most."""
    loss = torch_losses(rmi, shape[-1])[name]
    torch_value_and_grad(loss, *torch_inputs((1, 32, 32, shape[-1])))
    logits, labels = torch_inputs(shape)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    before = resident("VmRSS")
    torch_value_and_grad(loss, logits, labels)
    return resident("VmHWM") - before


def resident(field: str) -> int:
    """Returns the process's memory now (VmRSS) or at its peak (VmHWM), in bytes."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split(f"{field}:")[1].split()[0])


def check(name: str, ours: Contender, theirs: Contender) -> None:
    """Requires both frameworks to agree on value and gradient before any timing."""
    value, gradient = map(np.asarray, ours.call())
    other, channels_first = (result.cpu().numpy() for result in theirs.call())
    other_gradient = np.moveaxis(channels_first, 1, -1)
    apart = abs(other - value) / abs(value)
    steepest = np.abs(gradient).max()
    gradient_apart = np.abs(other_gradient - gradient).max() / steepest
    print(f"{name}: value {apart:.1e} apart, gradient {gradient_apart:.1e}")
    if not max(apart, gradient_apart) < TOLERANCE:
        raise SystemExit(f"the two versions of {name} are more than {TOLERANCE} apart")


def seconds(contender: Contender) -> float:
    """Returns the time of one call."""
    began = time.perf_counter()
    contender.call()
    return time.perf_counter() - began


def median_ratio(times: list[float], base: list[float]) -> float:
    """Returns the median of the ratios round by round."""
    return statistics.median(a / b for a, b in zip(times, base, strict=True))


def measure(contenders: dict[str, Contender], rounds: int, logits_size: int) -> None:
    """Prints the table."""
    for contender in contenders.values():
        contender.call()  # warm up
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            times[name].append(seconds(contender))
    print(
        f"\n{'':<26} {'ms':>9} {'× own CE':>9} {'× ' + SOURCE:>9} {'MiB':>8} ÷ logits"
    )
    for name, (_, baseline, memory) in contenders.items():
        milliseconds = 1e3 * statistics.median(times[name])
        own = median_ratio(times[name], times[baseline])
        source = median_ratio(times[name], times[f"locally adaptive, {SOURCE}"])
        held = "" if memory is None else f"{memory / 2**20:8.1f}"
        share = "" if memory is None else f"{memory / logits_size:8.2f}"
        print(
            f"{name:<26} {milliseconds:>9.1f} {own:>9.1f} {source:>9.2f} {held} {share}"
        )


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    axes = ("BATCH", "HEIGHT", "WIDTH", "CLASSES")
    parser.add_argument(
        "--shape", type=int, nargs=4, default=(2, 321, 321, 21), metavar=axes
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--rmi", type=Path, help="a clone of github.com/ZJULearning/RMI"
    )
    arguments = parser.parse_args()
    if arguments.rmi and not (arguments.rmi / "losses/rmi/rmi.py").exists():
        parser.error(f"--rmi: {arguments.rmi} is no clone, it lacks losses/rmi/rmi.py")
    return arguments


def main() -> None:
    """Checks, then measures."""
    arguments = parse_arguments()
    shape = tuple(arguments.shape)
    if torch_device() == "cuda" and not torch.cuda.is_available():
        raise SystemExit("JAX has a GPU and PyTorch has none: set JAX_PLATFORMS=cpu")
    device = jax.devices()[0]
    print(f"{device.platform} {device.device_kind}, {torch.get_num_threads()} threads")
    print(f"jax {jax.__version__}, torch {torch.__version__}")
    logits_size = 4 * int(np.prod(shape))
    print(f"{'×'.join(map(str, shape))}, logits {logits_size / 2**20:.1f} MiB")
    contenders = jax_contenders(shape) | torch_contenders(shape, arguments.rmi)
    for name, ours in (("cross-entropy", "optax"), ("locally adaptive", SOURCE)):
        check(name, contenders[f"{name}, {ours}"], contenders[f"{name}, torch"])
    measure(contenders, arguments.rounds, logits_size)


if __name__ == "__main__":
    main()

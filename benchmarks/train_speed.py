"""Speed and memory of a training step: python benchmarks/train_speed.py.

On a GPU beside the same network in PyTorch, every figure kept as soon as it is there:

    python benchmarks/train_speed.py --against torch --json train_speed.jsonl

The step is the application's own for preset voc: DeepLabV2 on ResNet-101, 21 classes,
learned upsampling; in bfloat16 with random weights, one batch, which stays there.
Every size has processes of its own, first JAX's, then PyTorch's (torch_deeplab.py), so
that neither holds the other's memory. Times are medians over blocks of steps, a block
so long that the wait at its end does not matter.

step      a whole step: preprocessing, forward, loss, backward, optimizer
loss      value and gradient of the loss by the logits, alone, and its share of the step
compile   JAX: lowering and compiling the step; PyTorch: its first step
memory    JAX: what the compiled step plans, arguments + outputs − aliases +
          temporaries; PyTorch: the allocator's peak during steps
held      JAX: the allocator's peak of the process so far, compiling included
of peak   3 × forward multiply-adds × 2 × images/s ÷ the device's bfloat16 FLOP/s: of
          backbone and head, backward twice as many as forward
input     copying a batch to the device, and augmenting images of 500×375 pixels on one
          core; their decoding is left out

PyTorch has plain cross-entropy: compare it with that line of JAX. `--torch-python`
names the Python that has PyTorch, where it is not this one; `--rows` picks sizes and
batches, where all take too long.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from models import DeepLab, Outputs
from models.cost import multiply_adds, parameter_count
from train.config import Config
from train.data import Augment, Example
from train.loop import TrainState, make_state, make_step
from train.losses import LOSSES
from train.presets import VOC_CLASSES, voc

ROWS = ((321, 2), (321, 16), (513, 8), (513, 16))
BACKBONES = ("resnet101", "resnet50", "resnet_small")  # those of the twin
COMPILE_MODES = ("default", "max-autotune-no-cudagraphs")
CLASSES = len(VOC_CLASSES)
COMPARED = "softmax_cross_entropy"  # PyTorch's loss here
LOSS = "locally_adaptive"
TWIN = Path(__file__).with_name("torch_deeplab.py")

# What the project aims at with ResNet-101 on an H200: images/s by size and batch.
AIMS = {(321, 16): 440, (513, 16): 175}
LOSS_AIM = 0.03  # of the step

# Dense bfloat16 FLOP/s of the makers' datasheets; the first that a name contains.
PEAKS = (
    ("H200 NVL", 835e12),
    ("H200", 989e12),
    ("H100 NVL", 835e12),
    ("H100 PCIe", 756e12),
    ("H100", 989e12),
    ("A100", 312e12),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """What is measured, and for how long."""

    size: int  # height and width, pixels
    batch: int
    loss: str = LOSS
    backbone: str = "resnet101"
    batch_norm: str = "frozen"
    blocks: int = 12
    block_seconds: float = 0.25

    def config(self) -> Config:
        """Returns preset voc with this in its place."""
        return dataclasses.replace(
            voc(self.loss),
            weights="",
            loss=self.loss,
            backbone=self.backbone,
            batch_norm=self.batch_norm,
            precision="bfloat16",
            crop=(self.size, self.size),
            batch_size=self.batch,
            learning_rate=1e-9,  # a step takes as long, and random weights stay finite
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurement:
    """A contender at one size. None is what it has not, or what nobody measured."""

    contender: str
    setting: Setting
    device: str
    version: str
    parameters: int  # trained
    loss_value: float  # after the last step
    step_seconds: float
    compile_seconds: float
    memory: int | None  # bytes
    multiply_adds: int  # forward, an image
    peak_flops: float
    peak_source: str
    device_peak: int | None = None  # bytes
    loss_seconds: float | None = None
    transfer_seconds: float | None = None  # a batch
    augmented_per_second: float | None = None  # images on a core

    @property
    def images_per_second(self) -> float:
        """Returns how many images a second of training takes in."""
        return self.setting.batch / self.step_seconds

    @property
    def share_of_peak(self) -> float:
        """Returns the part of the device's arithmetic that is convolutions."""
        return 6 * self.multiply_adds * self.images_per_second / self.peak_flops

    @property
    def loss_share(self) -> float | None:
        """Returns the part of the step that is the loss."""
        return self.loss_seconds and self.loss_seconds / self.step_seconds


def measure(setting: Setting) -> Measurement:
    """Measures JAX on this process's first device."""
    config = setting.config()
    graph, state = random_state(config)
    model = nnx.merge(graph, state.params, state.statistics)
    parameters, forward = parameter_count(model), forward_cost(model, config)
    example = random_batch(setting)
    batch = jax.device_put(example)
    began = time.perf_counter()
    jitted: Any = make_step(graph, config)
    program = jitted.lower(state, batch).compile()
    compile_seconds = time.perf_counter() - began

    def step() -> dict[str, jax.Array]:
        nonlocal state
        state, metrics = program(state, batch)
        return metrics

    timed = functools.partial(seconds, setting=setting)
    step_seconds = timed(step)
    device = jax.devices()[0]
    device_peak = (device.memory_stats() or {}).get("peak_bytes_in_use")
    peak_flops, peak_source = peak(device)
    return Measurement(
        contender="JAX",
        setting=setting,
        device=device.device_kind,
        version=f"jax {jax.__version__}",
        parameters=parameters,
        loss_value=float(step()["loss"]),
        step_seconds=step_seconds,
        compile_seconds=compile_seconds,
        memory=planned_memory(program),
        multiply_adds=forward,
        peak_flops=peak_flops,
        peak_source=peak_source,
        device_peak=device_peak,
        loss_seconds=timed(loss_call(config, batch)),
        transfer_seconds=timed(lambda: jax.device_put(example)),
        augmented_per_second=augmentation_rate(config),
    )


def random_state(config: Config) -> tuple[nnx.GraphDef[DeepLab], TrainState]:
    """Returns what `make_state` would, with NumPy's random numbers.

    JAX would compile a program for every shape of the weights, which takes longer than
    all steps here. What a residual block adds is scaled down where nothing normalises
    it, else 33 blocks would raise the activations to 2^16 times those of the first.
    """
    graphs = []

    def build() -> TrainState:
        graph, state = make_state(config, CLASSES)
        graphs.append(graph)
        return state

    rng = np.random.default_rng(config.seed)

    def fill(path: tuple[Any, ...], leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        names = {getattr(key, "key", None) for key in path}
        if "kernel" in names:
            height, width, _, outputs = leaf.shape
            deviation = math.sqrt(2 / (height * width * outputs))
            return deviation * rng.standard_normal(leaf.shape, np.float32)
        number = 1.0 if names & {"scale", "var"} else 0.0
        if config.batch_norm == "frozen" and {"norm3", "scale"} <= names:
            number = 0.2
        return np.full(leaf.shape, number, leaf.dtype)

    empty = jax.eval_shape(build)
    zeros = functools.partial(
        jax.tree.map, lambda leaf: np.zeros(leaf.shape, leaf.dtype)
    )
    state = TrainState(*map(zeros, empty))._replace(
        params=jax.tree_util.tree_map_with_path(fill, empty.params),
        statistics=jax.tree_util.tree_map_with_path(fill, empty.statistics),
    )
    return graphs[0], jax.device_put(state)


def forward_cost(model: DeepLab, config: Config) -> int:
    """Returns the multiply-adds of backbone and head for an image.

    Upsampling is left out: `multiply_adds` takes the zeros between the inputs of a
    transposed convolution, 63 of 64, for numbers.
    """

    def coarse(image: jax.Array) -> jax.Array:
        return model.head(model.backbone(image, train=False), train=False)

    return multiply_adds(
        coarse, jax.ShapeDtypeStruct((1, *config.crop, 3), jnp.float32)
    )


def random_batch(setting: Setting) -> Example:
    """Returns random images, and labels in tiles of 16×16 pixels, some void."""
    rng = np.random.default_rng(0)
    batch, size = setting.batch, setting.size
    tiles = rng.integers(0, CLASSES, (batch, -(-size // 16), -(-size // 16)), np.uint8)
    labels = np.kron(tiles, np.ones((16, 16), np.uint8))[:, :size, :size]
    labels[:, :4] = 255
    images = rng.integers(0, 256, (batch, size, size, 3), np.uint8)
    return Example(images, np.ascontiguousarray(labels))


def loss_call(config: Config, batch: Example) -> Callable[[], object]:
    """Returns a call of the loss and its gradient by random logits."""
    loss = LOSSES[config.loss](config)
    centers = jnp.zeros((CLASSES, CLASSES))

    def mean(logits: jax.Array, labels: jax.Array) -> jax.Array:
        return jnp.mean(loss(Outputs(logits, logits, logits), labels, centers)[0])

    labels = jnp.asarray(batch.label)
    logits = jax.random.normal(jax.random.key(0), (*labels.shape, CLASSES))
    return functools.partial(jax.jit(jax.value_and_grad(mean)), logits, labels)


def augmentation_rate(config: Config) -> float:
    """Returns how many images of 500×375 pixels one core augments a second."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (32, 375, 500, 3), np.uint8)
    labels = rng.integers(0, CLASSES, (32, 375, 500), np.uint8)
    augment = Augment(config)
    began = time.perf_counter()
    for image, label in zip(images, labels, strict=True):
        augment(Example(image, label), rng)
    return len(images) / (time.perf_counter() - began)


def seconds(call: Callable[[], object], setting: Setting) -> float:
    """Returns the time of a call: the median over blocks of calls in a row."""

    def block(repeats: int) -> float:
        began = time.perf_counter()
        for _ in range(repeats):
            result = call()
        jax.block_until_ready(result)
        return (time.perf_counter() - began) / repeats

    block(3)  # to warm up
    repeats = max(1, math.ceil(setting.block_seconds / block(1)))
    return statistics.median(block(repeats) for _ in range(setting.blocks))


def planned_memory(program: jax.stages.Compiled) -> int | None:
    """Returns the bytes a compiled program holds at most, where the backend says."""
    plan: Any = program.memory_analysis()
    return plan and (
        plan.argument_size_in_bytes
        + plan.output_size_in_bytes
        - plan.alias_size_in_bytes
        + plan.temp_size_in_bytes
    )


def peak(device: jax.Device) -> tuple[float, str]:
    """Returns a device's bfloat16 FLOP/s, and where the number is from."""
    for name, flops in PEAKS:
        if name in device.device_kind:
            return flops, "datasheet"
    side = 1024 if device.platform == "cpu" else 8192
    left, right = jax.random.normal(jax.random.key(0), (2, side, side), jnp.bfloat16)
    product = functools.partial(jax.jit(jnp.matmul), left, right)
    spent = seconds(product, Setting(size=side, batch=1, blocks=5))
    return 2 * side**3 / spent, f"a product of {side}×{side} matrices"


def measure_all(
    setting: Setting, arguments: argparse.Namespace
) -> Iterator[Measurement]:
    """Yields every contender at one size, each as soon as it is measured."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        for loss in arguments.losses:
            ours = fresh.submit(
                measure, dataclasses.replace(setting, loss=loss)
            ).result()
            yield ours
    if arguments.against == "torch":
        yield from measure_torch(ours, arguments)


def measure_torch(
    ours: Measurement, arguments: argparse.Namespace
) -> Iterator[Measurement]:
    """Yields PyTorch eager and compiled; peak and multiply-adds are those of `ours`."""
    setting = dataclasses.replace(ours.setting, loss=COMPARED)
    options = dataclasses.asdict(setting) | {
        "classes": CLASSES,
        "compile_mode": arguments.compile_mode,
        "device": "cpu" if ours.device == "cpu" else "cuda",
    }
    del options["loss"]
    command = [arguments.torch_python, str(TWIN)]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    with tempfile.TemporaryDirectory() as cache:  # a warm one would hide the compiling
        environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache}
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, text=True
        ) as twin:
            assert twin.stdout is not None
            for text in twin.stdout:
                figures = json.loads(text)
                if figures["parameters"] != ours.parameters:
                    raise RuntimeError(f"not the same network: {figures}, {ours}")
                yield Measurement(
                    contender=f"PyTorch, {figures.pop('mode')}",
                    setting=setting,
                    multiply_adds=ours.multiply_adds,
                    peak_flops=ours.peak_flops,
                    peak_source=ours.peak_source,
                    **figures,
                )
    if twin.returncode:
        raise RuntimeError(f"{TWIN.name} ended with status {twin.returncode}")


def save(measurement: Measurement, path: Path) -> None:
    """Appends a measurement to a file, a line of JSON each."""
    figures = dataclasses.asdict(measurement) | {
        name: getattr(measurement, name)
        for name in ("images_per_second", "share_of_peak", "loss_share")
    }
    with path.open("a") as file:
        file.write(json.dumps(figures) + "\n")


HEADING = (
    f"{'':<26} images/s  step, ms  loss, ms  of step  compile, s  memory, GiB  "
    "held, GiB  of peak"
)


def line(measurement: Measurement) -> str:
    """Returns a line of the table."""
    m = measurement
    name = m.contender
    if name == "JAX":
        name += f", {m.setting.loss.replace('_', ' ')}"
    if not math.isfinite(m.loss_value):
        name += f" (loss {m.loss_value})"
    cells = (
        (m.images_per_second, 1, ".1f", 9),
        (m.step_seconds, 1e-3, ".2f", 9),
        (m.loss_seconds, 1e-3, ".3f", 9),
        (m.loss_share, 1, ".1%", 8),
        (m.compile_seconds, 1, ".1f", 11),
        (m.memory, 2**30, ".2f", 12),
        (m.device_peak, 2**30, ".2f", 10),
        (m.share_of_peak, 1, ".1%", 8),
    )
    shown = (
        f"{'' if value is None else format(value / unit, form):>{width}}"
        for value, unit, form, width in cells
    )
    return f"{name:<25} " + " ".join(shown)


def notes(found: list[Measurement]) -> Iterator[str]:
    """Yields what stands below a table."""
    ours = {m.setting.loss: m for m in found if m.contender == "JAX"}
    first = found[0]
    versions = ", ".join(dict.fromkeys(m.version for m in found))
    yield f"{first.device}, {versions}; {first.parameters / 1e6:.2f} M parameters"
    yield (
        f"{first.multiply_adds / 1e9:.2f} G multiply-adds an image; peak "
        f"{first.peak_flops / 1e12:.4g} TFLOP/s ({first.peak_source})"
    )
    if first.transfer_seconds and first.augmented_per_second:
        cores = first.images_per_second / first.augmented_per_second
        yield (
            f"input: {1e3 * first.transfer_seconds:.3f} ms to copy a batch, "
            f"{first.augmented_per_second:.0f} images/s augmented on a core: "
            f"{cores:.1f} cores keep up"
        )
    for m in found:
        if m.contender == "PyTorch, compiled" and COMPARED in ours:
            ratio = ours[COMPARED].images_per_second / m.images_per_second
            yield verdict(f"{ratio:.2f} × compiled PyTorch", "above 1", ratio > 1)
    if LOSS in ours and first.setting.backbone == "resnet101":
        rate, share = ours[LOSS].images_per_second, ours[LOSS].loss_share or 0.0
        aim = AIMS.get((first.setting.size, first.setting.batch))
        if aim is not None:
            yield verdict(f"{rate:.0f} images/s", f"at least {aim}", rate >= aim)
        yield verdict(
            f"loss {share:.1%} of the step", f"under {LOSS_AIM:.0%}", share < LOSS_AIM
        )


def verdict(figure: str, aim: str, reached: bool) -> str:
    """Returns a figure beside what is aimed at."""
    return f"{figure} (aim: {aim}): {'reached' if reached else 'missed'}"


def parse_row(text: str) -> tuple[int, int]:
    """Returns size and batch of SIZExBATCH."""
    found = re.fullmatch(r"(\d+)x([1-9]\d*)", text)
    size, batch = map(int, found.groups()) if found else (0, 0)
    if size % 8 != 1 or size < 9:  # where the twin's upsampling fits
        raise argparse.ArgumentTypeError(
            f"{text!r} is not like 321x16, a multiple of 8 and 1, and a batch"
        )
    return size, batch


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    add = parser.add_argument
    add("--rows", nargs="+", type=parse_row, default=ROWS, metavar="SIZExBATCH")
    add("--losses", nargs="+", choices=LOSSES, default=(COMPARED, LOSS), metavar="LOSS")
    add("--backbone", choices=BACKBONES, default=BACKBONES[0])
    add("--batch-norm", choices=("frozen", "trained"), default="frozen")
    add("--against", choices=("torch",), help="measures PyTorch as well")
    add("--torch-python", default=sys.executable, help="a Python that has PyTorch")
    add("--compile-mode", choices=COMPILE_MODES, default="default", help="PyTorch's")
    add("--json", type=Path, metavar="FILE", help="gets a line for each measurement")
    arguments = parser.parse_args()
    python = arguments.torch_python
    probe = "import importlib.util as u, sys; sys.exit(u.find_spec('torch') is None)"
    if arguments.against and subprocess.run([python, "-c", probe]).returncode:
        parser.error(f"{python} has no PyTorch: name one that has, --torch-python PATH")
    if arguments.json:
        arguments.json.touch()  # so that a wrong path ends here
    return arguments


def main() -> None:
    """Measures row after row."""
    arguments = parse_arguments()
    # For the children: no memory held in reserve, no program kept from an earlier run.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
    failed = False
    for size, batch in arguments.rows:
        print(f"\n{size}×{size}, batch {batch}\n{HEADING}", flush=True)
        setting = Setting(
            size=size,
            batch=batch,
            backbone=arguments.backbone,
            batch_norm=arguments.batch_norm,
        )
        found: list[Measurement] = []
        try:
            for measurement in measure_all(setting, arguments):
                found.append(measurement)
                print(line(measurement), flush=True)
                if arguments.json:
                    save(measurement, arguments.json)
        except RuntimeError as error:  # memory, a crash: the other rows may fit
            print(f"failed: {error}", flush=True)
            failed = True
        if found:
            print(*notes(found), sep="\n", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()

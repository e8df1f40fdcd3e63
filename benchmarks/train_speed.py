"""Speed and memory of a training step: python benchmarks/train_speed.py.

On a GPU beside the same network in PyTorch, every figure kept as soon as it is there:

    python benchmarks/train_speed.py --against torch --json train_speed.jsonl

The step is the application's own for preset voc: DeepLabV2 on ResNet-101, 21 classes,
learned upsampling; in bfloat16 with random weights, one batch, which stays there.
Every size has processes of its own, first JAX's (step_cost.py), then PyTorch's
(torch_step.py), so that neither holds the other's memory. Times are medians over blocks
of steps.

step      a whole step: preprocessing, forward, loss, backward, optimizer
loss      value and gradient of the loss by the logits, alone, and its share of the step
compile   JAX: lowering and compiling the step; PyTorch: its first step
memory    a step's, in JAX as XLA plans it: arguments + outputs − outputs in the place
          of arguments + temporaries; in PyTorch the allocator's peak
held      the allocator's peak since JAX's process began, on a GPU: with what XLA tries
          out while it compiles, and with the losses in the lines above
of peak   6 × multiply-adds × images/s ÷ the device's bfloat16 FLOP/s: 2 FLOP each, once
          forward, twice backward; those of backbone and head, as in docs/model.md
input     copying a batch to the device, and augmenting images of 500×375 pixels on one
          core; their decoding is left out

PyTorch has plain cross-entropy: compare it with that line of JAX. `--torch-python`
names the Python that has PyTorch, where it is not this one; `--rows` picks sizes and
batches, where all take too long.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from benchmarks.step_cost import CLASSES, Measurement, Setting, measure
from train.training.losses import LOSSES

ROWS = ((321, 2), (321, 16), (513, 8), (513, 16))
BACKBONES = ("resnet101", "resnet50", "resnet_small")  # those of the twin
COMPILE_MODES = ("default", "max-autotune-no-cudagraphs")
COMPARED = "softmax_cross_entropy"  # PyTorch's loss here
LOSS = "locally_adaptive"
ROOT = Path(__file__).parents[1]
TWIN = "benchmarks.torch_step"

# What the project aims at with ResNet-101 on an H200.
RATIO_AIM = 1.2  # images/s, JAX ÷ compiled PyTorch
LOSS_AIM = 0.03  # of the step
STEP_AIMS = {(321, 2): 8e-3}  # seconds, by size and batch
MEMORY_AIMS = {(321, 16): 4 * 2**30}  # planned bytes


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
    command = [arguments.torch_python, "-m", TWIN]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    path = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    with tempfile.TemporaryDirectory() as cache:  # a warm one would hide the compiling
        environment = os.environ | {
            "PYTHONPATH": path,
            "TORCHINDUCTOR_CACHE_DIR": cache,
        }
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, text=True
        ) as twin:
            assert twin.stdout is not None
            for text in twin.stdout:
                results = json.loads(text)
                if results["parameters"] != ours.parameters:
                    raise RuntimeError(f"not the same network: {results}, {ours}")
                yield Measurement(
                    contender=f"PyTorch, {results.pop('mode')}",
                    setting=setting,
                    multiply_adds=ours.multiply_adds,
                    peak_flops=ours.peak_flops,
                    peak_source=ours.peak_source,
                    **results,
                )
    if twin.returncode:
        raise RuntimeError(f"{TWIN} ended with status {twin.returncode}")


def save(measurement: Measurement, path: Path) -> None:
    """Appends a measurement to a file, a line of JSON each."""
    results = dataclasses.asdict(measurement) | {
        name: getattr(measurement, name)
        for name in ("images_per_second", "share_of_peak", "loss_share")
    }
    with path.open("a") as file:
        file.write(json.dumps(results) + "\n")


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
    yield from aims(found)


def aims(found: list[Measurement]) -> Iterator[str]:
    """Yields what is aimed at, and whether it is reached."""
    ours = {m.setting.loss: m for m in found if m.contender == "JAX"}
    theirs = {m.contender: m for m in found}.get("PyTorch, compiled")
    if theirs and COMPARED in ours:
        ratio = ours[COMPARED].images_per_second / theirs.images_per_second
        yield verdict(
            f"{ratio:.2f} × compiled PyTorch",
            f"at least {RATIO_AIM:g}",
            ratio >= RATIO_AIM,
        )
    for measured in ours.values():
        if measured.setting.backbone == "resnet101":
            yield from _own_aims(measured)


def _own_aims(m: Measurement) -> Iterator[str]:
    """Yields the aims of JAX alone, with the loss that was measured."""
    row = m.setting.size, m.setting.batch
    name = m.setting.loss.replace("_", " ")
    if aim := STEP_AIMS.get(row):
        yield verdict(
            f"{name}: {1e3 * m.step_seconds:.1f} ms a step",
            f"at most {1e3 * aim:g}",
            m.step_seconds <= aim,
        )
    if m.memory and (aim := MEMORY_AIMS.get(row)):
        yield verdict(
            f"{name}: {m.memory / 2**30:.1f} GiB planned",
            f"at most {aim / 2**30:g}",
            m.memory <= aim,
        )
    if m.setting.loss == LOSS and m.loss_share is not None:
        yield verdict(
            f"{name}: {m.loss_share:.1%} of the step",
            f"under {LOSS_AIM:.0%}",
            m.loss_share < LOSS_AIM,
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

"""The twin of step_cost.py in PyTorch: python -m benchmarks.torch_step.

Trains as is usual there: bfloat16 autocast, channels last, cross-entropy without the
void pixels, SGD with momentum, fused where there is a GPU. Autocast makes its logits
bfloat16, where ours are float32. Prints a line of JSON for each mode, eager and
compiled: `torch.compile` has preprocessing, network, loss and their gradient; the
optimizer is PyTorch's own. `compile_seconds` is the first step's time in either mode,
the search for the fastest convolutions included.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from benchmarks.torch_deeplab import BACKBONES, STRIDE, DeepLab

VOID = 255
BGR_MEAN = (104.008, 116.669, 122.675)
LEARNING_RATE = 1e-9  # as step_cost.py's, which says why

Step = Callable[[], torch.Tensor]  # takes a step, returns its loss


def parameter_groups(net: DeepLab) -> list[dict[str, Any]]:
    """Returns what preset voc trains: rates ×10 and ×20 in the head, kernels decay."""
    groups: dict[tuple[bool, int], list[nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            kernel = parameter.ndim > 1
            rate = (10 if kernel else 20) if name.startswith("branches") else 1
            groups.setdefault((kernel, rate), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": rate * LEARNING_RATE,
            "weight_decay": 5e-4 if kernel else 0.0,
        }
        for (kernel, rate), parameters in groups.items()
    ]


def preprocess(images: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """Returns uint8 RGB `[batch, height, width, 3]` as float BGR, channels first.

    Nothing moves: the strides are those of channels last.
    """
    return (images.float().flip(-1) - mean).permute(0, 3, 1, 2)


def random_batch(
    size: int, batch: int, classes: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns images and labels as step_cost.py's."""
    shape = (batch, size, size, 3)
    images = torch.randint(256, shape, dtype=torch.uint8, device=device)
    tiles = (batch, -(-size // 16), -(-size // 16))
    labels = torch.randint(classes, tiles, device=device)
    labels = labels.repeat_interleave(16, 1).repeat_interleave(16, 2)
    labels = labels[:, :size, :size].contiguous()
    labels[:, :4] = VOID
    return images, labels


def make_step(
    net: DeepLab, images: torch.Tensor, labels: torch.Tensor, compile_mode: str | None
) -> Step:
    """Returns a training step on one batch, which stays on the device.

    Args:
      net: on its device.
      images: uint8 RGB `[batch, height, width, 3]`.
      labels: int64 `[batch, height, width]`.
      compile_mode: of `torch.compile`; None for eager.
    """
    device = images.device
    mean = torch.tensor(BGR_MEAN, device=device)

    def batch_loss(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            logits = net(preprocess(images, mean))
            return functional.cross_entropy(logits, labels, ignore_index=VOID)

    if compile_mode is not None:
        batch_loss = torch.compile(batch_loss, mode=compile_mode)
    optimizer = torch.optim.SGD(
        parameter_groups(net), momentum=0.9, fused=device.type == "cuda"
    )
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, 20_000, power=0.9)

    def step() -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = batch_loss(images, labels)
        loss.backward()
        optimizer.step()
        schedule.step()
        return loss.detach()

    return step


def seconds(call: Step, repeats: int) -> float:
    """Returns the time of one of several steps in a row."""
    began = time.perf_counter()
    for _ in range(repeats):
        loss = call()
    if loss.is_cuda:
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / repeats


def measure(arguments: argparse.Namespace, compile_mode: str | None) -> dict[str, Any]:
    """Returns the measurements of one mode."""
    device = torch.device(arguments.device)
    on_gpu = device.type == "cuda"
    torch.manual_seed(0)
    net = DeepLab(
        classes=arguments.classes,
        backbone=arguments.backbone,
        frozen_norm=arguments.batch_norm == "frozen",
    ).to(device, memory_format=torch.channels_last)
    batch = random_batch(arguments.size, arguments.batch, arguments.classes, device)
    step = make_step(net, *batch, compile_mode)
    first = seconds(step, 1)
    seconds(step, 2)  # to warm up
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    repeats = max(1, math.ceil(arguments.block_seconds / seconds(step, 1)))
    times = [seconds(step, repeats) for _ in range(arguments.blocks)]
    return {
        "mode": "eager" if compile_mode is None else "compiled",
        "step_seconds": statistics.median(times),
        "compile_seconds": first,
        "memory": torch.cuda.max_memory_allocated() if on_gpu else None,
        "parameters": sum(p.numel() for p in net.parameters() if p.requires_grad),
        "loss_value": step().item(),
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "version": f"torch {torch.__version__}",
    }


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--size", type=int, default=321, help="height and width")
    parser.add_argument("--batch", type=int, default=2, help="images per step")
    parser.add_argument("--classes", type=int, default=21)
    parser.add_argument("--backbone", choices=BACKBONES, default="resnet101")
    parser.add_argument("--batch-norm", choices=("frozen", "trained"), default="frozen")
    found = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=("cuda", "cpu"), default=found)
    parser.add_argument("--compile-mode", default="default")
    parser.add_argument("--blocks", type=int, default=12, help="the median is of these")
    parser.add_argument("--block-seconds", type=float, default=0.25)
    arguments = parser.parse_args()
    if arguments.size % STRIDE != 1:
        parser.error(f"--size must be 1 more than a multiple of {STRIDE}")
    return arguments


def main() -> None:
    """Measures eager, then compiled."""
    arguments = parse_arguments()
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    for compile_mode in (None, arguments.compile_mode):
        print(json.dumps(measure(arguments, compile_mode)), flush=True)
        gc.collect()  # frees the network before the next
        if arguments.device == "cuda":
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()

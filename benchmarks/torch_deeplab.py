"""DeepLabV2 in PyTorch, for train_speed.py: python benchmarks/torch_deeplab.py.

The network of preset voc: Caffe's ResNet, frozen batch norm, the summed pyramid and a
transposed convolution to full resolution. It trains as is usual in PyTorch: bfloat16
autocast, channels last, cross-entropy without the void pixels, SGD with momentum, fused
where there is a GPU. Autocast makes its logits bfloat16, where ours are float32. Prints
a line of JSON for each mode, eager and compiled.

Compiled, by `torch.compile`, are preprocessing, network, loss and their gradient; the
optimizer is PyTorch's own. `compile_seconds` is the first step's time in either mode,
the search for the fastest convolutions included.

PyTorch is no dependency of this project, and this file needs nothing else.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import statistics
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

try:
    import torch  # type: ignore[import-not-found, unused-ignore]
    from torch import nn  # type: ignore[import-not-found, unused-ignore]
    from torch.nn import functional  # type: ignore[import-not-found, unused-ignore]
except ModuleNotFoundError:
    raise SystemExit(
        "torch_deeplab.py needs PyTorch, which this project does without; in a virtual "
        "environment of its own run: pip install torch"
    ) from None

VOID = 255
BGR_MEAN = (104.008, 116.669, 122.675)
RATES = (6, 12, 18, 24)
STRIDE = 8  # pixels per feature
LEARNING_RATE = 1e-9  # as train_speed.py's, which says why
COMPILE_MODES = ("default", "max-autotune-no-cudagraphs")

Step = Callable[[], torch.Tensor]  # takes a step, returns its loss


def convolution(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, dilation: int = 1
) -> nn.Conv2d:
    """Returns one that is padded by half its window, He-initialised."""
    reach = dilation * (kernel - 1) // 2
    conv = nn.Conv2d(inputs, outputs, kernel, stride, reach, dilation, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Returns a block's way around."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    conv = convolution(inputs, outputs, 1, stride=stride)
    return nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm2d(outputs)))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, dilation: int):
        super().__init__()
        self.conv1 = convolution(inputs, width, 3, stride=stride, dilation=dilation)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = convolution(width, width, 3, dilation=dilation)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut = shortcut(inputs, width, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the block's features."""
        y = functional.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(y))
        return functional.relu(y + self.shortcut(x), inplace=True)


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions, the stride on the first."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, dilation: int):
        super().__init__()
        outputs = self.expansion * width
        self.conv1 = convolution(inputs, width, 1, stride=stride)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = convolution(width, width, 3, dilation=dilation)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv3 = convolution(width, outputs, 1)
        self.norm3 = nn.BatchNorm2d(outputs)
        self.shortcut = shortcut(inputs, outputs, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the block's features."""
        y = functional.relu(self.norm1(self.conv1(x)), inplace=True)
        y = functional.relu(self.norm2(self.conv2(y)), inplace=True)
        y = self.norm3(self.conv3(y))
        return functional.relu(y + self.shortcut(x), inplace=True)


class Spec(NamedTuple):
    """What tells one backbone from another; as `models.RESNETS`."""

    block: type[BasicBlock] | type[Bottleneck]
    blocks: tuple[int, ...]
    widths: tuple[int, ...] = (64, 128, 256, 512)
    stem_width: int = 64
    stem_kernel: int = 7
    pool: bool = True


BACKBONES = {
    "resnet_small": Spec(BasicBlock, (1, 1, 1, 1), (32, 64, 96, 128), 24, 3, False),
    "resnet50": Spec(Bottleneck, (3, 4, 6, 3)),
    "resnet101": Spec(Bottleneck, (3, 4, 23, 3)),
}


class DeepLab(nn.Module):
    """Images `[batch, 3, height, width]` in, logits of the same size out.

    Args:
      classes: number of classes.
      backbone: one of `BACKBONES`.
      frozen_norm: batch norm keeps its statistics and affine.
    """

    def __init__(self, *, classes: int, backbone: str, frozen_norm: bool):
        super().__init__()
        spec = BACKBONES[backbone]
        self.stem = convolution(3, spec.stem_width, spec.stem_kernel, stride=2)
        self.stem_norm = nn.BatchNorm2d(spec.stem_width)
        self.pool = nn.MaxPool2d(3, 2, 1, ceil_mode=True) if spec.pool else None
        stages, inputs = [], spec.stem_width
        strides, dilations = (1 if spec.pool else 2, 2, 1, 1), (1, 1, 2, 4)
        for count, width, stride, dilation in zip(
            spec.blocks, spec.widths, strides, dilations, strict=True
        ):
            stage = []
            for place in range(count):
                here = stride if place == 0 else 1
                stage.append(spec.block(inputs, width, here, dilation))
                inputs = spec.block.expansion * width
            stages.append(nn.Sequential(*stage))
        self.stages = nn.Sequential(*stages)
        self.branches = nn.ModuleList(
            [
                nn.Conv2d(inputs, classes, 3, padding=rate, dilation=rate)
                for rate in RATES
            ]
        )
        for branch in self.branches:
            nn.init.normal_(branch.weight, std=0.01)
            nn.init.zeros_(branch.bias)
        # Padding cuts what lies before the first feature and past the last.
        self.deconvolution = nn.ConvTranspose2d(
            classes, classes, 2 * STRIDE - 1, STRIDE, padding=STRIDE - 1, bias=False
        )
        ramp = 1 - (torch.arange(2 * STRIDE - 1) - (STRIDE - 1)).abs() / STRIDE
        window = ramp[:, None] * ramp
        with torch.no_grad():
            self.deconvolution.weight.copy_(
                torch.eye(classes)[..., None, None] * window
            )
        if frozen_norm:
            self.freeze_norms()

    def freeze_norms(self) -> None:
        """Stops the statistics and the affine of every batch norm."""
        for name, module in self.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval().requires_grad_(False)
                if name.endswith(
                    "norm3"
                ):  # as train_speed.random_state, which says why
                    nn.init.constant_(module.weight, 0.2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns logits; height and width are 1 more than a multiple of 8."""
        x = functional.relu(self.stem_norm(self.stem(images)), inplace=True)
        if self.pool is not None:
            x = self.pool(x)
        x = self.stages(x)
        return self.deconvolution(sum(branch(x) for branch in self.branches))


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


def make_step(net: DeepLab, size: int, batch: int, compile_mode: str | None) -> Step:
    """Returns a training step on one batch that stays on the device.

    Args:
      net: on its device.
      size: height and width, pixels.
      batch: images.
      compile_mode: of `torch.compile`; None for eager.
    """
    device = next(net.parameters()).device
    mean = torch.tensor(BGR_MEAN, device=device)
    shape = (batch, size, size, 3)
    images = torch.randint(256, shape, dtype=torch.uint8, device=device)
    tiles = (batch, -(-size // 16), -(-size // 16))
    labels = torch.randint(net.branches[0].out_channels, tiles, device=device)
    labels = labels.repeat_interleave(16, 1).repeat_interleave(16, 2)
    labels = labels[:, :size, :size].contiguous()
    labels[:, :4] = VOID

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
    """Returns the figures of one mode."""
    device = torch.device(arguments.device)
    on_gpu = device.type == "cuda"
    torch.manual_seed(0)
    net = DeepLab(
        classes=arguments.classes,
        backbone=arguments.backbone,
        frozen_norm=arguments.batch_norm == "frozen",
    ).to(device, memory_format=torch.channels_last)
    step = make_step(net, arguments.size, arguments.batch, compile_mode)
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
    parser.add_argument("--batch", type=int, default=2, help="images a step")
    parser.add_argument("--classes", type=int, default=21)
    parser.add_argument("--backbone", choices=BACKBONES, default="resnet101")
    parser.add_argument("--batch-norm", choices=("frozen", "trained"), default="frozen")
    found = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=("cuda", "cpu"), default=found)
    parser.add_argument("--compile-mode", choices=COMPILE_MODES, default="default")
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

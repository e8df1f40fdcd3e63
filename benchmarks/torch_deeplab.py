"""The network of preset voc in PyTorch, the twin of models.deeplab.DeepLab.

Caffe's ResNet, batch norm that may be frozen, the summed pyramid of DeepLabV2 and a
transposed convolution to full resolution. tests/test_train_speed.py holds it to ours.
PyTorch is no dependency of this project, and this file needs nothing else.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

DILATIONS = (6, 12, 18, 24)
STRIDE = 8  # pixels per feature


def convolution(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, dilation: int = 1
) -> nn.Conv2d:
    """Returns one that is padded by half its window, He-initialized."""
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
    """What tells one backbone from another; as `models.resnet.ResNet`."""

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
        self.stages = stages(spec)
        features = spec.block.expansion * spec.widths[-1]
        self.branches = nn.ModuleList(
            nn.Conv2d(features, classes, 3, padding=rate, dilation=rate)
            for rate in DILATIONS
        )
        for branch in self.branches:
            nn.init.normal_(branch.weight, std=0.01)
            nn.init.zeros_(branch.bias)
        self.deconvolution = bilinear_deconvolution(classes)
        if frozen_norm:
            self.freeze_norms()

    def freeze_norms(self) -> None:
        """Stops the statistics and the affine of every batch norm."""
        for name, module in self.named_modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval().requires_grad_(False)
                if name.endswith("norm3"):  # step_cost.random_state says why
                    nn.init.constant_(module.weight, 0.2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns logits; height and width are 1 more than a multiple of 8."""
        x = functional.relu(self.stem_norm(self.stem(images)), inplace=True)
        if self.pool is not None:
            x = self.pool(x)
        x = self.stages(x)
        return self.deconvolution(sum(branch(x) for branch in self.branches))


def stages(spec: Spec) -> nn.Sequential:
    """Returns the residual blocks, four stages of them."""
    found, inputs = [], spec.stem_width
    strides, dilations = (1 if spec.pool else 2, 2, 1, 1), (1, 1, 2, 4)
    for count, width, stride, dilation in zip(
        spec.blocks, spec.widths, strides, dilations, strict=True
    ):
        blocks = []
        for place in range(count):
            here = stride if place == 0 else 1
            blocks.append(spec.block(inputs, width, here, dilation))
            inputs = spec.block.expansion * width
        found.append(nn.Sequential(*blocks))
    return nn.Sequential(*found)


def bilinear_deconvolution(classes: int) -> nn.ConvTranspose2d:
    """Returns a transposed convolution that interpolates each class by itself.

    Its padding cuts what lies before the first feature and past the last.
    """
    window, reach = 2 * STRIDE - 1, STRIDE - 1
    conv = nn.ConvTranspose2d(
        classes, classes, window, STRIDE, padding=reach, bias=False
    )
    ramp = 1 - (torch.arange(window) - reach).abs() / STRIDE
    with torch.no_grad():
        conv.weight.copy_(torch.eye(classes)[..., None, None] * ramp[:, None] * ramp)
    return conv

"""Residual networks whose last stages dilate instead of striding (atrous).

He et al. 2015 (arXiv:1512.03385), with the dilation of Chen et al. 2016
(arXiv:1606.00915). Images are `[batch, height, width, 3]` float, in any normalisation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
from flax import nnx

# Where a stage keeps its resolution instead of halving it, what follows must dilate to
# see the same pixels: the convolution that would have strided still sees dense features
# and keeps the dilation `before`, the ones behind it take the stage's own.

# Stage strides and dilations after a stem of stride 4, by output stride.
ATROUS = {
    8: ((1, 2, 1, 1), (1, 1, 2, 4)),
    16: ((1, 2, 2, 1), (1, 1, 1, 2)),
}


class Conv(nnx.Conv):
    """A convolution without bias, padded by half its window, He-initialised."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        rngs: nnx.Rngs,
    ):
        reach = dilation * (kernel - 1) // 2
        super().__init__(
            inputs,
            outputs,
            (kernel, kernel),
            strides=stride,
            kernel_dilation=dilation,
            padding=((reach, reach), (reach, reach)),
            use_bias=False,
            kernel_init=nnx.initializers.variance_scaling(2.0, "fan_out", "normal"),
            rngs=rngs,
        )


# PyTorch's running statistics move by 0.1 a step: Flax names the part that stays.
BatchNorm = partial(nnx.BatchNorm, momentum=0.9, epsilon=1e-5)


class BasicBlock(nnx.Module):
    """Two 3×3 convolutions and a shortcut, for ResNet-18 and 34."""

    expansion = 1

    def __init__(
        self,
        inputs: int,
        width: int,
        *,
        stride: int,
        dilations: tuple[int, int],
        rngs: nnx.Rngs,
    ):
        before, dilation = dilations
        self.conv1 = Conv(inputs, width, 3, stride=stride, dilation=before, rngs=rngs)
        self.norm1 = BatchNorm(width, rngs=rngs)
        self.conv2 = Conv(width, width, 3, dilation=dilation, rngs=rngs)
        self.norm2 = BatchNorm(width, rngs=rngs)
        self.shortcut = _shortcut(inputs, width, stride, rngs)

    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Returns `[batch, ⌈height/stride⌉, ⌈width/stride⌉, width]`."""
        y = nnx.relu(self.norm1(self.conv1(x), use_running_average=not train))
        y = self.norm2(self.conv2(y), use_running_average=not train)
        return nnx.relu(y + _apply_shortcut(self.shortcut, x, train))


class Bottleneck(nnx.Module):
    """1×1, 3×3 and 1×1 convolutions and a shortcut, for ResNet-50 and 101.

    The stride is on the 3×3, as in torchvision.
    """

    expansion = 4

    def __init__(
        self,
        inputs: int,
        width: int,
        *,
        stride: int,
        dilations: tuple[int, int],
        rngs: nnx.Rngs,
    ):
        before, _ = dilations
        outputs = width * self.expansion
        self.conv1 = Conv(inputs, width, 1, rngs=rngs)
        self.norm1 = BatchNorm(width, rngs=rngs)
        self.conv2 = Conv(width, width, 3, stride=stride, dilation=before, rngs=rngs)
        self.norm2 = BatchNorm(width, rngs=rngs)
        self.conv3 = Conv(width, outputs, 1, rngs=rngs)
        self.norm3 = BatchNorm(outputs, rngs=rngs)
        self.shortcut = _shortcut(inputs, outputs, stride, rngs)

    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Returns `[batch, ⌈height/stride⌉, ⌈width/stride⌉, 4 × width]`."""
        y = nnx.relu(self.norm1(self.conv1(x), use_running_average=not train))
        y = nnx.relu(self.norm2(self.conv2(y), use_running_average=not train))
        y = self.norm3(self.conv3(y), use_running_average=not train)
        return nnx.relu(y + _apply_shortcut(self.shortcut, x, train))


class Projection(nnx.Module):
    """A 1×1 convolution and norm, where a block changes shape."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, rngs: nnx.Rngs):
        self.conv = Conv(inputs, outputs, 1, stride=stride, rngs=rngs)
        self.norm = BatchNorm(outputs, rngs=rngs)

    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Returns `[batch, ⌈height/stride⌉, ⌈width/stride⌉, outputs]`."""
        return self.norm(self.conv(x), use_running_average=not train)


def _shortcut(
    inputs: int, outputs: int, stride: int, rngs: nnx.Rngs
) -> Projection | None:
    if stride == 1 and inputs == outputs:
        return None
    return Projection(inputs, outputs, stride, rngs=rngs)


def _apply_shortcut(
    shortcut: Projection | None, x: jax.Array, train: bool
) -> jax.Array:
    return x if shortcut is None else shortcut(x, train=train)


class Spec(NamedTuple):
    """What tells one network of the family from another."""

    block: type[BasicBlock] | type[Bottleneck]
    blocks: Sequence[int]
    widths: Sequence[int] = (64, 128, 256, 512)
    stem_width: int = 64
    stem_kernel: int = 7
    pool: bool = True  # else the first stage strides, which is faster on CPUs


RESNETS = {
    "resnet_small": Spec(BasicBlock, (1, 1, 1, 1), (32, 64, 96, 128), 24, 3, False),
    "resnet18": Spec(BasicBlock, (2, 2, 2, 2)),
    "resnet34": Spec(BasicBlock, (3, 4, 6, 3)),
    "resnet50": Spec(Bottleneck, (3, 4, 6, 3)),
    "resnet101": Spec(Bottleneck, (3, 4, 23, 3)),
}


class ResNet(nnx.Module):
    """An atrous residual network without its classifier.

    Args:
      name: one of `RESNETS`; `resnet_small` is for CPUs.
      output_stride: input pixels per feature, 8 or 16.
      rngs: the source of the initial weights.

    Raises:
      ValueError: unknown name or output stride.
    """

    def __init__(self, name: str, *, output_stride: int = 8, rngs: nnx.Rngs):
        if name not in RESNETS:
            raise ValueError(f"backbone must be one of {list(RESNETS)}, got {name!r}")
        if output_stride not in ATROUS:
            raise ValueError(
                f"output_stride must be one of {list(ATROUS)}, got {output_stride!r}"
            )
        spec = RESNETS[name]
        self.stem = Conv(3, spec.stem_width, spec.stem_kernel, stride=2, rngs=rngs)
        self.stem_norm = BatchNorm(spec.stem_width, rngs=rngs)
        self.pool = spec.pool
        strides, dilations = ATROUS[output_stride]
        if not spec.pool:
            strides = (2, *strides[1:])
        blocks: list[BasicBlock | Bottleneck] = []
        inputs, before = spec.stem_width, 1
        for count, width, stride, dilation in zip(
            spec.blocks, spec.widths, strides, dilations, strict=True
        ):
            for index in range(count):
                blocks.append(
                    spec.block(
                        inputs,
                        width,
                        stride=stride if index == 0 else 1,
                        dilations=(before, dilation),
                        rngs=rngs,
                    )
                )
                inputs, before = width * spec.block.expansion, dilation
        self.blocks = nnx.List(blocks)
        self.features = inputs

    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Returns features `[batch, ⌈h/stride⌉, ⌈w/stride⌉, features]`.

        Args:
          images: `[batch, height, width, 3]` float.
          train: normalise by the batch and update the running statistics.
        """
        x = self.stem_norm(self.stem(images), use_running_average=not train)
        x = nnx.relu(x)
        if self.pool:
            x = nnx.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        for block in self.blocks:
            x = block(x, train=train)
        return x


def parameter_count(module: nnx.Module) -> int:
    """Returns how many trained numbers a module holds."""
    leaves = jax.tree.leaves(nnx.state(module, nnx.Param))
    return sum(math.prod(leaf.shape) for leaf in leaves)

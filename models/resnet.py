"""Atrous ResNets: residual networks whose last stages dilate instead of striding.

He et al. 2015 (arXiv:1512.03385), with the dilation of Chen et al. 2016
(arXiv:1606.00915).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
from flax import nnx
from jax.typing import DTypeLike

from models.activations import relu
from models.layers import (
    BatchNorm,
    Conv,
    FrozenBatchNorm,
    Layers,
    Remat,
    normalized,
    stage_maps,
)
from models.styles import STYLES, Style

# Stage strides and dilations after a stem of stride 4, by output stride.
ATROUS = {
    8: ((1, 2, 1, 1), (1, 1, 2, 4)),
    16: ((1, 2, 2, 1), (1, 1, 1, 2)),
    32: ((1, 2, 2, 2), (1, 1, 1, 1)),
}


class Place(NamedTuple):
    """Position of a block: its stride and dilations."""

    stride: int
    dilation: int  # of the stage
    first_dilation: int  # of the block's first 3×3 convolution


class BasicBlock(nnx.Module):
    """Two 3×3 convolutions and a shortcut, for ResNet-18 and 34."""

    expansion = 1

    def __init__(
        self, inputs: int, width: int, place: Place, *, style: Style, layers: Layers
    ):
        del style  # it has no 1×1 convolution that could stride
        conv, norm = layers
        stride, dilation, first_dilation = place
        self.conv1 = conv(inputs, width, 3, stride=stride, dilation=first_dilation)
        self.norm1 = norm(width)
        self.conv2 = conv(width, width, 3, dilation=dilation)
        self.norm2 = norm(width)
        self.shortcut = _shortcut(inputs, width, stride, layers)

    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Returns `[batch, ⌈height/stride⌉, ⌈width/stride⌉, width]`."""
        y = relu(normalized(self.conv1, self.norm1, x, train=train))
        y = normalized(self.conv2, self.norm2, y, train=train)
        return relu(y, _apply_shortcut(self.shortcut, x, train))


class Bottleneck(nnx.Module):
    """1×1, 3×3 and 1×1 convolutions and a shortcut, for ResNet-50 and 101.

    The stride is on the 3×3 in torchvision's style, on the first 1×1 in Caffe's.
    """

    expansion = 4

    def __init__(
        self, inputs: int, width: int, place: Place, *, style: Style, layers: Layers
    ):
        conv, norm = layers
        stride, _, first_dilation = place
        outputs = width * self.expansion
        first, second = (stride, 1) if style.strides_first else (1, stride)
        self.conv1 = conv(inputs, width, 1, stride=first)
        self.norm1 = norm(width)
        self.conv2 = conv(width, width, 3, stride=second, dilation=first_dilation)
        self.norm2 = norm(width)
        self.conv3 = conv(width, outputs, 1)
        self.norm3 = norm(outputs)
        self.shortcut = _shortcut(inputs, outputs, stride, layers)

    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Returns `[batch, ⌈height/stride⌉, ⌈width/stride⌉, 4 × width]`."""
        y = relu(normalized(self.conv1, self.norm1, x, train=train))
        y = relu(normalized(self.conv2, self.norm2, y, train=train))
        y = normalized(self.conv3, self.norm3, y, train=train)
        return relu(y, _apply_shortcut(self.shortcut, x, train))


class Projection(nnx.Module):
    """The shortcut of a block that changes shape: a 1×1 convolution and batch norm."""

    def __init__(self, inputs: int, outputs: int, stride: int, layers: Layers):
        self.conv = layers.conv(inputs, outputs, 1, stride=stride)
        self.norm = layers.norm(outputs)

    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Returns `[batch, ⌈height/stride⌉, ⌈width/stride⌉, outputs]`."""
        return normalized(self.conv, self.norm, x, train=train)


def _shortcut(
    inputs: int, outputs: int, stride: int, layers: Layers
) -> Projection | None:
    if stride == 1 and inputs == outputs:
        return None
    return Projection(inputs, outputs, stride, layers)


def _apply_shortcut(
    shortcut: Projection | None, x: jax.Array, train: bool
) -> jax.Array:
    return x if shortcut is None else shortcut(x, train=train)


Block = BasicBlock | Bottleneck


class ResNet(nnx.Module):
    """An atrous residual network without its classifier.

    The two styles have the same weights and compute differently with them:

    | | torchvision | caffe |
    |---|---|---|
    | stride of a bottleneck | on its 3×3 | on its first 1×1 |
    | first block of a dilated stage | dilates as the stage before | as its own |
    | pool after the stem, even sizes | rounds down | rounds up |

    Torchvision's dilation makes output strides 8 and 16 see the same pixels as 32;
    Caffe's is that of DeepLabV2.

    Args:
      block: `BasicBlock` or `Bottleneck`.
      blocks: number of blocks in each of the stages, four or fewer.
      widths: of each stage, in channels before a bottleneck's expansion.
      stem_width: channels of the first convolution.
      stem_kernel: side of its window.
      pool: a 3×3 max pool follows; else the first stage strides, which is faster on
        CPUs.
      inputs: channels of the images.
      output_stride: input pixels per feature of the last stage, 8, 16 or 32; of three
        stages 8 or 16.
      style: `"torchvision"` or `"caffe"`.
      frozen_norm: batch norm keeps its statistics and affine.
      norm_epsilon: added to batch norm's variances.
      remat: recomputes each block in the backward pass instead of storing it, or
        with `"norms"` all of it but its convolutions.
      dtype: of the computation; None for that of the images. Parameters are float32.
      rngs: the source of the initial weights.
    """

    def __init__(
        self,
        block: type[Block],
        blocks: Sequence[int],
        *,
        widths: Sequence[int] = (64, 128, 256, 512),
        stem_width: int = 64,
        stem_kernel: int = 7,
        pool: bool = True,
        inputs: int = 3,
        output_stride: int = 8,
        style: str = "torchvision",
        frozen_norm: bool = False,
        norm_epsilon: float = 1e-5,
        remat: Remat = False,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        norm = FrozenBatchNorm if frozen_norm else BatchNorm
        layers = Layers(
            partial(Conv, dtype=dtype, rngs=rngs),
            partial(norm, epsilon=norm_epsilon, dtype=dtype, rngs=rngs),
        )
        self.pool, self.remat = pool, remat
        self.pool_rounds_up = STYLES[style].pool_rounds_up
        self.stem = layers.conv(inputs, stem_width, stem_kernel, stride=2)
        self.stem_norm = layers.norm(stem_width)
        self.channels = tuple(width * block.expansion for width in widths)
        places = _places(blocks, ATROUS[output_stride], STYLES[style], pool)
        before = stem_width
        stages = []
        for width, outputs, stage in zip(widths, self.channels, places, strict=True):
            made: list[Block] = []
            for place in stage:
                made.append(
                    block(before, width, place, style=STYLES[style], layers=layers)
                )
                before = outputs
            stages.append(nnx.List(made))
        self.stages = nnx.List(stages)

    def __call__(self, images: jax.Array, *, train: bool) -> list[jax.Array]:
        """Returns the feature maps of the stages, finest first.

        Args:
          images: `[batch, height, width, inputs]` float.
          train: normalize by the batch and update the running statistics.

        Returns:
          Arrays `[batch, ⌈height/s⌉, ⌈width/s⌉, channels]` at strides s of 4 to the
          output stride; in Caffe's style one more where the pool rounds up.
        """
        x = relu(normalized(self.stem, self.stem_norm, images, train=train))
        if self.pool:
            end = 2 if self.pool_rounds_up else 1
            x = nnx.max_pool(x, (3, 3), (2, 2), ((1, end), (1, end)))
        return stage_maps(self.stages, x, train=train, remat=self.remat)


def _places(
    blocks: Sequence[int],
    atrous: tuple[Sequence[int], Sequence[int]],
    style: Style,
    pool: bool,
) -> list[list[Place]]:
    """Returns the positions of all blocks, by stage."""
    strides, dilations = (values[: len(blocks)] for values in atrous)
    if not pool:
        strides = (2, *strides[1:])
    stages, before = [], 1
    for count, stride, dilation in zip(blocks, strides, dilations, strict=True):
        first = Place(stride, dilation, dilation if style.dilates_first else before)
        rest = Place(1, dilation, dilation)
        stages.append([first] + [rest] * (count - 1))
        before = dilation
    return stages

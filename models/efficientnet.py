"""Atrous EfficientNet-Lite0: inverted residual blocks that dilate instead of striding.

Tan and Le 2019 (arXiv:1905.11946), without squeeze-and-excitation and with ReLU6, as in
the authors' EfficientNet-Lite; blocks of Sandler et al. 2018 (arXiv:1801.04381).
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
from flax import nnx
from jax.typing import DTypeLike

from models.layers import (
    BatchNorm,
    Conv,
    FrozenBatchNorm,
    Layers,
    Remat,
    normalized,
    stage_maps,
)
from models.resnet import ATROUS


class BlockGroup(NamedTuple):
    """Blocks of one width and window."""

    blocks: int
    kernel: int
    expansion: int
    outputs: int
    strides: bool = True  # the first block, unless its stage dilates instead


STEM = 32
# What each feature map's stage is made of.
STAGES = (
    (BlockGroup(1, 3, 1, 16, strides=False), BlockGroup(2, 3, 6, 24)),
    (BlockGroup(2, 5, 6, 40),),
    (BlockGroup(3, 3, 6, 80), BlockGroup(3, 5, 6, 112, strides=False)),
    (BlockGroup(4, 5, 6, 192), BlockGroup(1, 3, 6, 320, strides=False)),
)
MOMENTUM = 0.99  # of the running statistics, as the published weights were trained


class InvertedResidual(nnx.Module):
    """A 1×1 convolution that widens, a depthwise one, and a 1×1 that narrows again.

    Args:
      inputs: channels; where they are as many as the outputs and nothing strides, the
        input is added.
      group: the block's; at an expansion of 1 nothing widens.
      stride: of the depthwise convolution.
      dilation: likewise.
      layers: constructors.
    """

    def __init__(
        self,
        inputs: int,
        group: BlockGroup,
        *,
        stride: int,
        dilation: int,
        layers: Layers,
    ):
        conv, norm = layers
        width, outputs = inputs * group.expansion, group.outputs
        self.adds = stride == 1 and inputs == outputs
        self.expand = conv(inputs, width, 1) if group.expansion > 1 else None
        self.expand_norm = norm(width) if group.expansion > 1 else None
        self.depthwise = conv(
            width,
            width,
            group.kernel,
            stride=stride,
            dilation=dilation,
            groups=width,
        )
        self.depthwise_norm = norm(width)
        self.project = conv(width, outputs, 1)
        self.project_norm = norm(outputs)

    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Returns `[batch, ⌈height/stride⌉, ⌈width/stride⌉, outputs]`."""
        y = x
        if self.expand is not None and self.expand_norm is not None:
            y = nnx.relu6(normalized(self.expand, self.expand_norm, y, train=train))
        y = nnx.relu6(normalized(self.depthwise, self.depthwise_norm, y, train=train))
        y = normalized(self.project, self.project_norm, y, train=train)
        return x + y if self.adds else y


class EfficientNetLite(nnx.Module):
    """EfficientNet-Lite0 up to its last block, without the 1280 channels behind it.

    A stage that no longer strides dilates instead, its first block as the stage before:
    a feature sees the same pixels at every output stride.

    Strided convolutions are padded on both sides, and feature i stands on pixel
    i × stride. TensorFlow, where the published weights were trained, pads images of
    even size one pixel less in front: its features stand stride − 1 pixels later and
    are otherwise the same. So with one pixel of zeros before the image, feature i + 1
    here is feature i there, but for what borders reach; at sizes 32·n + 1 both pad
    alike, and all features are equal. Stochastic depth is left out.

    Args:
      inputs: channels of the images.
      output_stride: input pixels per feature of the last map, 8, 16 or 32.
      style: unused; there is one.
      frozen_norm: batch norm keeps its statistics and affine.
      norm_epsilon: added to batch norm's variances; 1e-3 in the published weights.
      remat: recomputes each block in the backward pass instead of storing it, or
        with `"norms"` all of it but its convolutions.
      dtype: of the computation; None for that of the images. Parameters are float32.
      rngs: the source of the initial weights.
    """

    channels: tuple[int, ...] = (24, 40, 112, 320)

    def __init__(
        self,
        *,
        inputs: int = 3,
        output_stride: int = 8,
        style: str = "torchvision",
        frozen_norm: bool = False,
        norm_epsilon: float = 1e-3,
        remat: Remat = False,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        del style
        norm = FrozenBatchNorm if frozen_norm else partial(BatchNorm, momentum=MOMENTUM)
        layers = Layers(
            partial(Conv, dtype=dtype, rngs=rngs),
            partial(norm, epsilon=norm_epsilon, dtype=dtype, rngs=rngs),
        )
        self.remat = remat
        self.stem = layers.conv(inputs, STEM, 3, stride=2)
        self.stem_norm = layers.norm(STEM)
        strides, dilations = ATROUS[output_stride]
        strides = (2, *strides[1:])  # the stem's stride is 2, not 4
        width, before, stages = STEM, 1, []
        for groups, stride, dilation in zip(STAGES, strides, dilations, strict=True):
            made = []
            for group in groups:
                for block in range(group.blocks):
                    first = group.strides and block == 0
                    made.append(
                        InvertedResidual(
                            width,
                            group,
                            stride=stride if first else 1,
                            dilation=before if first else dilation,
                            layers=layers,
                        )
                    )
                    width = group.outputs
            stages.append(nnx.List(made))
            before = dilation
        self.stages = nnx.List(stages)

    def __call__(self, images: jax.Array, *, train: bool) -> list[jax.Array]:
        """Returns the feature maps of the four stages, finest first.

        Args:
          images: `[batch, height, width, inputs]` float.
          train: normalize by the batch and update the running statistics.

        Returns:
          Arrays `[batch, ⌈height/s⌉, ⌈width/s⌉, channels]` at strides s of 4 to the
          output stride.
        """
        x = nnx.relu6(normalized(self.stem, self.stem_norm, images, train=train))
        return stage_maps(self.stages, x, train=train, remat=self.remat)

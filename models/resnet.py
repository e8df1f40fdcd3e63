"""Residual networks whose last stages dilate instead of striding (atrous).

He et al. 2015 (arXiv:1512.03385), with the dilation of Chen et al. 2016
(arXiv:1606.00915). Images are `[batch, height, width, 3]` float, in any normalisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal, NamedTuple

import jax
from flax import nnx
from jax.typing import DTypeLike

from models.layers import BatchNorm, Conv, FrozenBatchNorm, Layers

# Stage strides and dilations after a stem of stride 4, by output stride.
ATROUS = {
    8: ((1, 2, 1, 1), (1, 1, 2, 4)),
    16: ((1, 2, 2, 1), (1, 1, 1, 2)),
    32: ((1, 2, 2, 2), (1, 1, 1, 1)),
}

Style = Literal["torchvision", "caffe"]
STYLES = ("torchvision", "caffe")


class Place(NamedTuple):
    """Where a block stands: what tells the first of a stage from the others."""

    stride: int
    dilation: int  # of the stage
    before: int  # dilation of the features that come in


class BasicBlock(nnx.Module):
    """Two 3×3 convolutions and a shortcut, for ResNet-18 and 34."""

    expansion = 1

    def __init__(
        self, inputs: int, width: int, place: Place, *, style: Style, layers: Layers
    ):
        del style  # there is no 1×1 convolution that could stride
        conv, norm = layers
        stride, dilation, before = place
        self.conv1 = conv(inputs, width, 3, stride=stride, dilation=before)
        self.norm1 = norm(width)
        self.conv2 = conv(width, width, 3, dilation=dilation)
        self.norm2 = norm(width)
        self.shortcut = _shortcut(inputs, width, stride, layers)

    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Returns `[batch, ⌈height/stride⌉, ⌈width/stride⌉, width]`."""
        y = nnx.relu(self.norm1(self.conv1(x), train=train))
        y = self.norm2(self.conv2(y), train=train)
        return nnx.relu(y + _apply_shortcut(self.shortcut, x, train))


class Bottleneck(nnx.Module):
    """1×1, 3×3 and 1×1 convolutions and a shortcut, for ResNet-50 and 101.

    The stride is on the 3×3 in torchvision's style, on the first 1×1 in Caffe's.
    """

    expansion = 4

    def __init__(
        self, inputs: int, width: int, place: Place, *, style: Style, layers: Layers
    ):
        conv, norm = layers
        stride, _, before = place
        outputs = width * self.expansion
        first, second = (stride, 1) if style == "caffe" else (1, stride)
        self.conv1 = conv(inputs, width, 1, stride=first)
        self.norm1 = norm(width)
        self.conv2 = conv(width, width, 3, stride=second, dilation=before)
        self.norm2 = norm(width)
        self.conv3 = conv(width, outputs, 1)
        self.norm3 = norm(outputs)
        self.shortcut = _shortcut(inputs, outputs, stride, layers)

    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Returns `[batch, ⌈height/stride⌉, ⌈width/stride⌉, 4 × width]`."""
        y = nnx.relu(self.norm1(self.conv1(x), train=train))
        y = nnx.relu(self.norm2(self.conv2(y), train=train))
        y = self.norm3(self.conv3(y), train=train)
        return nnx.relu(y + _apply_shortcut(self.shortcut, x, train))


class Projection(nnx.Module):
    """A 1×1 convolution and norm, where a block changes shape."""

    def __init__(self, inputs: int, outputs: int, stride: int, layers: Layers):
        self.conv = layers.conv(inputs, outputs, 1, stride=stride)
        self.norm = layers.norm(outputs)

    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Returns `[batch, ⌈height/stride⌉, ⌈width/stride⌉, outputs]`."""
        return self.norm(self.conv(x), train=train)


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

    The two styles have the same weights and differ in what they compute with them:

    | | torchvision | caffe |
    |---|---|---|
    | stride of a bottleneck | on its 3×3 | on its first 1×1 |
    | a dilated stage's first block | has the dilation before it | has the stage's |
    | pool after the stem, even sizes | rounds down | rounds up |

    Torchvision's dilation makes output strides 8 and 16 see the same pixels as 32;
    Caffe's is that of DeepLabV2.

    Args:
      name: one of `RESNETS`; `resnet_small` is for CPUs.
      output_stride: input pixels per feature, 8, 16 or 32.
      style: `"torchvision"` or `"caffe"`.
      frozen_norm: batch norm keeps its statistics and affine.
      norm_epsilon: added to batch norm's variances.
      remat: recomputes each block in the backward pass instead of storing it.
      dtype: of the computation; None for that of the images. Parameters are float32.
      rngs: the source of the initial weights.

    Raises:
      ValueError: unknown name, output stride or style.
    """

    def __init__(
        self,
        name: str,
        *,
        output_stride: int = 8,
        style: Style = "torchvision",
        frozen_norm: bool = False,
        norm_epsilon: float = 1e-5,
        remat: bool = False,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        _check("backbone", name, RESNETS)
        _check("output_stride", output_stride, ATROUS)
        _check("style", style, STYLES)
        norm = FrozenBatchNorm if frozen_norm else BatchNorm
        layers = Layers(
            partial(Conv, dtype=dtype, rngs=rngs),
            partial(norm, epsilon=norm_epsilon, dtype=dtype, rngs=rngs),
        )
        spec = RESNETS[name]
        self.style, self.pool, self.remat = style, spec.pool, remat
        self.stem = layers.conv(3, spec.stem_width, spec.stem_kernel, stride=2)
        self.stem_norm = layers.norm(spec.stem_width)
        strides, dilations = ATROUS[output_stride]
        if not spec.pool:
            strides = (2, *strides[1:])
        stages = []
        inputs, before = spec.stem_width, 1
        for count, width, stride, dilation in zip(
            spec.blocks, spec.widths, strides, dilations, strict=True
        ):
            if style == "caffe":
                before = dilation
            stage: list[Block] = []
            for _ in range(count):
                place = Place(1 if stage else stride, dilation, before)
                stage.append(
                    spec.block(inputs, width, place, style=style, layers=layers)
                )
                inputs, before = width * spec.block.expansion, dilation
            stages.append(nnx.List(stage))
        self.stages = nnx.List(stages)
        self.features = inputs

    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Returns the features of the last stage, as `stage_outputs` does."""
        return self.stage_outputs(images, train=train)[-1]

    def stage_outputs(self, images: jax.Array, *, train: bool) -> list[jax.Array]:
        """Returns the features of each of the four stages, finest first.

        Args:
          images: `[batch, height, width, 3]` float.
          train: normalise by the batch and update the running statistics.

        Returns:
          Arrays `[batch, ⌈height/s⌉, ⌈width/s⌉, channels]` at strides s of 4 to the
          output stride; in Caffe's style one more where the pool rounds up.
        """
        x = nnx.relu(self.stem_norm(self.stem(images), train=train))
        if self.pool:
            end = 2 if self.style == "caffe" else 1
            x = nnx.max_pool(x, (3, 3), (2, 2), ((1, end), (1, end)))
        outputs = []
        for stage in self.stages:
            for block in stage:
                x = (
                    _recomputed(block, x, train)
                    if self.remat
                    else block(x, train=train)
                )
            outputs.append(x)
        return outputs


def _recomputed(block: Block, x: jax.Array, train: bool) -> jax.Array:
    """Applies a block of which the backward pass keeps nothing but its input."""
    graph, state = nnx.split(block)

    @jax.checkpoint
    def apply(state: nnx.State, x: jax.Array) -> tuple[jax.Array, nnx.State]:
        copy = nnx.merge(graph, state, copy=True)
        y = copy(x, train=train)
        return y, nnx.state(copy, nnx.BatchStat)

    y, statistics = apply(state, x)
    nnx.update(block, statistics)
    return y


def _check(name: str, value: object, choices: Sequence[object] | dict) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {list(choices)}, got {value!r}")

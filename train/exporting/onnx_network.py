"""The networks of `models` as nodes of ONNX: each module's inference, by its type.

Images and features are `[batch, channels, height, width]` here, as ONNX has them, and
of any size. Batch norm is part of the convolution before it, and activations are
float32. A module of another type has no form here, and is refused.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from flax import nnx

from models.aspp import (
    AtrousPyramid,
    ConvNormRelu,
    PooledPyramid,
    PyramidFeatures,
)
from models.decoder import DecodedPyramid
from models.deeplab import DeepLab
from models.efficientnet import EfficientNetLite, InvertedResidual
from models.interpolation import BilinearUpsample, HalfPixelUpsample, LearnedUpsample
from models.layers import BatchNorm, Conv, FrozenBatchNorm
from models.resnet import BasicBlock, Bottleneck, Projection, ResNet
from train.common.errors import UserError
from train.exporting.onnx_graph import OnnxGraph, whole

Norm = BatchNorm | FrozenBatchNorm


def network_nodes(model: DeepLab, graph: OnnxGraph, images: str) -> str:
    """Adds a network and returns its logits, of the size of the images.

    Raises:
      UserError: a part of it has no form in ONNX here.
    """
    maps = backbone_nodes(model.backbone, graph, images)
    logits = head_nodes(model.head, graph, maps)
    # What is not finite is NaN, which no activation or maximum behind hides.
    bad = graph.add("Or", graph.add("IsNaN", logits), graph.add("IsInf", logits))
    logits = graph.add("Where", bad, np.float32(np.nan), logits)
    size = spatial_size(graph, images)
    return upsampling_nodes(model.deconvolution, graph, logits, size)


def spatial_size(graph: OnnxGraph, images: str) -> str:
    """Adds height and width of images or features, int64 `[2]`."""
    return graph.add("Shape", images, start=2, end=4)


def resized(
    graph: OnnxGraph, images: str, size: str, *, antialias: bool = False
) -> str:
    """Adds images resized linearly between centers, as `jax.image.resize` does."""
    count = graph.add("Shape", images, start=0, end=2)
    shape = graph.add("Concat", count, size, axis=0)
    options: dict[str, Any] = {
        "mode": "linear",
        "coordinate_transformation_mode": "half_pixel",
    }
    if antialias:  # beyond the border is nothing, which would be its pixels again
        options |= {"antialias": 1, "exclude_outside": 1}
    return graph.add("Resize", images, "", "", shape, **options)


def _convolution(
    graph: OnnxGraph, x: str, layer: Conv, norm: Norm | None = None
) -> str:
    """Adds a convolution, and the batch norm that follows it, as one node."""
    kernel = np.asarray(layer.kernel[...], np.float64)
    bias = np.zeros(kernel.shape[-1])
    if layer.bias is not None:
        bias = np.asarray(layer.bias[...], np.float64)
    if norm is not None:
        scale, shift, mean, var = (
            np.asarray(array[...], np.float64)  # type: ignore[index]
            for array in (norm.scale, norm.bias, norm.mean, norm.var)
        )
        factor = scale / np.sqrt(var + norm.epsilon)
        kernel, bias = kernel * factor, (bias - mean) * factor + shift
    side = layer.kernel_size[0]
    stride, dilation = (_one(x) for x in (layer.strides, layer.kernel_dilation))
    return graph.add(
        "Conv",
        x,
        kernel.transpose(3, 2, 0, 1).astype(np.float32),
        bias.astype(np.float32),
        kernel_shape=[side] * 2,
        strides=[stride] * 2,
        dilations=[dilation] * 2,
        pads=[dilation * (side - 1) // 2] * 4,
        group=layer.feature_group_count,
    )


def _one(setting: int | Sequence[int] | None) -> int:
    """Returns a number that a convolution of `models.layers` has for both axes."""
    return setting if isinstance(setting, int) else int(np.max(setting or 1))


def _rectified(graph: OnnxGraph, x: str, layer: Conv, norm: Norm) -> str:
    return graph.add("Relu", _convolution(graph, x, layer, norm))


def _rectified6(graph: OnnxGraph, x: str, layer: Conv, norm: Norm) -> str:
    x = _convolution(graph, x, layer, norm)
    return graph.add("Clip", x, np.float32(0), np.float32(6))


@functools.singledispatch
def backbone_nodes(backbone: object, graph: OnnxGraph, images: str) -> list[str]:
    """Adds a backbone and returns its feature maps, finest first."""
    raise _without("backbone", backbone)


@functools.singledispatch
def head_nodes(head: object, graph: OnnxGraph, maps: Sequence[str]) -> str:
    """Adds a head and returns its logits, at its own resolution."""
    raise _without("head", head)


@functools.singledispatch
def upsampling_nodes(
    upsampling: object, graph: OnnxGraph, features: str, size: str
) -> str:
    """Adds an upsampling to a height and width, int64 `[2]`."""
    raise _without("upsampling", upsampling)


@functools.singledispatch
def _block(block: object, graph: OnnxGraph, x: str) -> str:
    """Adds a block of a backbone, or a layer of several parts."""
    raise _without("block", block)


def _without(kind: str, module: object) -> UserError:
    return UserError(
        f"the network's {kind} {type(module).__name__} has no form in ONNX yet (those "
        "that have are in train/exporting/onnx_network.py). Leave --onnx out: "
        "inference.jax takes any network."
    )


@backbone_nodes.register
def _resnet(backbone: ResNet, graph: OnnxGraph, images: str) -> list[str]:
    x = _rectified(graph, images, backbone.stem, backbone.stem_norm)
    if backbone.pool:
        end = 2 if backbone.pool_rounds_up else 1
        pads = [1, 1, end, end]
        x = graph.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=pads)
    return _stage_maps(backbone.stages, graph, x)


@backbone_nodes.register
def _efficientnet(
    backbone: EfficientNetLite, graph: OnnxGraph, images: str
) -> list[str]:
    x = _rectified6(graph, images, backbone.stem, backbone.stem_norm)
    return _stage_maps(backbone.stages, graph, x)


def _stage_maps(stages: nnx.List, graph: OnnxGraph, x: str) -> list[str]:
    maps = []
    for stage in stages:
        for block in stage:
            x = _block(block, graph, x)
        maps.append(x)
    return maps


@_block.register
def _basic(block: BasicBlock, graph: OnnxGraph, x: str) -> str:
    y = _rectified(graph, x, block.conv1, block.norm1)
    y = _convolution(graph, y, block.conv2, block.norm2)
    return _joined(block.shortcut, graph, x, y)


@_block.register
def _bottleneck(block: Bottleneck, graph: OnnxGraph, x: str) -> str:
    y = _rectified(graph, x, block.conv1, block.norm1)
    y = _rectified(graph, y, block.conv2, block.norm2)
    y = _convolution(graph, y, block.conv3, block.norm3)
    return _joined(block.shortcut, graph, x, y)


def _joined(shortcut: Projection | None, graph: OnnxGraph, x: str, y: str) -> str:
    if shortcut is not None:
        x = _convolution(graph, x, shortcut.conv, shortcut.norm)
    return graph.add("Relu", graph.add("Add", y, x))


@_block.register
def _inverted(block: InvertedResidual, graph: OnnxGraph, x: str) -> str:
    y = x
    if block.expand is not None and block.expand_norm is not None:
        y = _rectified6(graph, y, block.expand, block.expand_norm)
    y = _rectified6(graph, y, block.depthwise, block.depthwise_norm)
    y = _convolution(graph, y, block.project, block.project_norm)
    return graph.add("Add", x, y) if block.adds else y


@_block.register
def _layer(layer: ConvNormRelu, graph: OnnxGraph, x: str) -> str:
    return _rectified(graph, x, layer.conv, layer.norm)


@head_nodes.register
def _atrous(head: AtrousPyramid, graph: OnnxGraph, maps: Sequence[str]) -> str:
    parts = [_convolution(graph, maps[-1], branch) for branch in head.branches]
    return graph.add("Sum", *parts)


@head_nodes.register
def _pooled(head: PooledPyramid, graph: OnnxGraph, maps: Sequence[str]) -> str:
    x = _block(head.mix, graph, _pyramid(head, graph, maps[-1]))
    return _convolution(graph, x, head.classify)


@head_nodes.register
def _decoded(head: DecodedPyramid, graph: OnnxGraph, maps: Sequence[str]) -> str:
    features, size = _pyramid(head, graph, maps[-1]), spatial_size(graph, maps[0])
    features = upsampling_nodes(head.resize, graph, features, size)
    early = _block(head.decoder.reduce, graph, maps[0])
    x = graph.add("Concat", features, early, axis=1)
    for layer in head.decoder.mix:
        x = _block(layer, graph, x)
    return _convolution(graph, x, head.decoder.classify)


def _pyramid(head: PyramidFeatures, graph: OnnxGraph, features: str) -> str:
    """Adds the branches of a pyramid and what joins them."""
    branches = [_block(branch, graph, features) for branch in head.branches]
    image = _block(head.image, graph, graph.add("GlobalAveragePool", features))
    shape = graph.add("Shape", branches[0])  # the image's features have its channels
    branches.append(graph.add("Expand", image, shape))
    return _block(head.project, graph, graph.add("Concat", *branches, axis=1))


@upsampling_nodes.register
def _bilinear(
    upsampling: BilinearUpsample, graph: OnnxGraph, features: str, size: str
) -> str:
    scales = np.array([1, 1, upsampling.stride, upsampling.stride], np.float32)
    options = {"mode": "linear", "coordinate_transformation_mode": "asymmetric"}
    x = graph.add("Resize", features, "", scales, **options)
    return _cropped(graph, x, size)


@upsampling_nodes.register
def _half_pixel(
    upsampling: HalfPixelUpsample, graph: OnnxGraph, features: str, size: str
) -> str:
    return resized(graph, features, size)


@upsampling_nodes.register
def _learned(
    upsampling: LearnedUpsample, graph: OnnxGraph, features: str, size: str
) -> str:
    stride = upsampling.stride
    kernel = np.asarray(upsampling.kernel[...]).transpose(2, 3, 0, 1)
    before, after = stride - 1, 0  # so that feature i stands on pixel i × stride
    x = graph.add(
        "ConvTranspose",
        features,
        kernel,
        kernel_shape=[2 * stride - 1] * 2,
        strides=[stride] * 2,
        pads=[before, before, after, after],
    )
    return _cropped(graph, x, size)


def _cropped(graph: OnnxGraph, x: str, size: str) -> str:
    """Adds the pixels within a height and width."""
    return graph.add("Slice", x, whole(0, 0), size, whole(2, 3))

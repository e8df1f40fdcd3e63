"""Layouts of weights: how other projects name the arrays of a network.

A layout gives, for each module here, its name there; the arrays below it follow by
`LEAVES`. A file is recognized by a key that only its layout has.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from fnmatch import filter as match
from typing import Any, NamedTuple

from flax import nnx

from models.aspp import AtrousPyramid, PooledPyramid, PyramidFeatures
from models.deeplab import DeepLab
from models.efficientnet import EfficientNetLite
from models.resnet import BasicBlock, ResNet
from models.text import shortened

# PyTorch's names of arrays, by those here.
LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


class Layout(NamedTuple):
    """How a project names the arrays of a network, and what it means by them."""

    title: str
    telltale: str  # pattern of a key that no other layout has
    names: Callable[[DeepLab], dict[str, str]]  # of modules, there by here
    backbone: type[nnx.Module] = ResNet  # that the names are for
    style: str = ""  # of the ResNet; empty for any
    preprocessing: str = ""  # of the images; empty for any
    norm_epsilon: float = 0.0  # of batch norm; 0 for any
    output_stride: int = 0  # of a network with a head; 0 for any
    upsampling: str = ""  # likewise
    head_keys: tuple[str, ...] = ()  # prefixes of a head's keys
    undecoded: tuple[str, ...] = ()  # of these, what a decoder takes the place of
    unused: tuple[str, ...] = ()  # prefixes of keys that nothing here needs
    stages: tuple[str, ...] = ()  # prefixes of the backbone's stages; a file may end
    # What may precede all keys; `module.` comes from training on several GPUs.
    prefixes: tuple[str, ...] = ("", "module.")
    native: bool = False  # keys and arrays are those of the model here


def _torchvision_resnet(network: Any, prefix: str = "") -> dict[str, str]:
    names = {"backbone.stem": f"{prefix}conv1", "backbone.stem_norm": f"{prefix}bn1"}
    for stage, blocks in enumerate(network.stages):
        for index, block in enumerate(blocks):
            ours = f"backbone.stages.{stage}.{index}"
            theirs = f"{prefix}layer{stage + 1}.{index}"
            for number in range(1, 3 if isinstance(block, BasicBlock) else 4):
                names[f"{ours}.conv{number}"] = f"{theirs}.conv{number}"
                names[f"{ours}.norm{number}"] = f"{theirs}.bn{number}"
            names[f"{ours}.shortcut.conv"] = f"{theirs}.downsample.0"
            names[f"{ours}.shortcut.norm"] = f"{theirs}.downsample.1"
    return names


def _torchvision_deeplab(model: DeepLab) -> dict[str, str]:
    names = _torchvision_resnet(model.backbone, "backbone.")
    if isinstance(model.head, PyramidFeatures):
        count = len(model.head.branches)
        pairs = {
            f"branches.{i}": (f"convs.{i}.0", f"convs.{i}.1") for i in range(count)
        }
        pairs["image"] = (f"convs.{count}.1", f"convs.{count}.2")
        pairs["project"] = ("project.0", "project.1")
        for ours, (conv, norm) in pairs.items():
            names[f"head.{ours}.conv"] = f"classifier.0.{conv}"
            names[f"head.{ours}.norm"] = f"classifier.0.{norm}"
    if isinstance(model.head, PooledPyramid):
        names["head.mix.conv"], names["head.mix.norm"] = "classifier.1", "classifier.2"
        names["head.classify"] = "classifier.4"
    return names


def _kazuto_deeplab(model: DeepLab) -> dict[str, str]:
    network: Any = model.backbone
    names = {
        "backbone.stem": "layer1.conv1.conv",
        "backbone.stem_norm": "layer1.conv1.bn",
    }
    convolutions = ("reduce", "conv3x3", "increase")
    for stage, blocks in enumerate(network.stages):
        for index in range(len(blocks)):
            ours = f"backbone.stages.{stage}.{index}"
            theirs = f"layer{stage + 2}.block{index + 1}"
            for number, name in enumerate(convolutions, 1):
                names[f"{ours}.conv{number}"] = f"{theirs}.{name}.conv"
                names[f"{ours}.norm{number}"] = f"{theirs}.{name}.bn"
            names[f"{ours}.shortcut.conv"] = f"{theirs}.shortcut.conv"
            names[f"{ours}.shortcut.norm"] = f"{theirs}.shortcut.bn"
    if isinstance(model.head, AtrousPyramid):
        for index in range(len(model.head.branches)):
            names[f"head.branches.{index}"] = f"aspp.c{index}"
    return names


def _efficientnet_lite(model: DeepLab) -> dict[str, str]:
    network: Any = model.backbone
    names = {"backbone.stem": "_conv_stem", "backbone.stem_norm": "_bn0"}
    numbered = itertools.count()
    for stage, blocks in enumerate(network.stages):
        for index in range(len(blocks)):
            ours = f"backbone.stages.{stage}.{index}"
            theirs = f"_blocks.{next(numbered)}"
            for number, layer in enumerate(("expand", "depthwise", "project")):
                names[f"{ours}.{layer}"] = f"{theirs}._{layer}_conv"
                names[f"{ours}.{layer}_norm"] = f"{theirs}._bn{number}"
    return names


LAYOUTS = (
    Layout(
        "this project",
        "backbone.*.kernel",
        lambda model: {},
        backbone=nnx.Module,
        head_keys=("head.", "deconvolution."),
        undecoded=("head.mix.", "head.classify."),
        stages=tuple(f"backbone.stages.{stage}." for stage in range(4)),
        prefixes=("",),
        native=True,
    ),
    Layout(
        "torchvision's DeepLabV3",
        "classifier.0.convs.0.0.weight",
        _torchvision_deeplab,
        style="torchvision",
        preprocessing="imagenet",
        norm_epsilon=1e-5,
        output_stride=8,
        upsampling="half_pixel",
        head_keys=("classifier.",),
        undecoded=("classifier.1.", "classifier.2.", "classifier.4."),
        unused=("aux_classifier.",),
        stages=tuple(f"backbone.layer{stage}." for stage in range(1, 5)),
    ),
    Layout(
        "DeepLab of kazuto1011/deeplab-pytorch",
        "layer1.conv1.conv.weight",
        _kazuto_deeplab,
        style="caffe",
        preprocessing="bgr_mean",
        norm_epsilon=1e-5,
        output_stride=8,
        upsampling="half_pixel",
        head_keys=("aspp.",),
        unused=("fc.",),
        stages=tuple(f"layer{stage}." for stage in range(2, 6)),
        prefixes=("", "base.", "module.", "module.base."),
    ),
    Layout(
        "torchvision's ResNet",
        "layer1.0.conv1.weight",
        lambda model: _torchvision_resnet(model.backbone),
        style="torchvision",
        preprocessing="imagenet",
        norm_epsilon=1e-5,
        unused=("fc.",),
        stages=tuple(f"layer{stage}." for stage in range(1, 5)),
    ),
    Layout(
        "EfficientNet-Lite in PyTorch",
        "_blocks.0._depthwise_conv.weight",
        _efficientnet_lite,
        backbone=EfficientNetLite,
        preprocessing="plus_minus_one",
        norm_epsilon=1e-3,
        unused=("_conv_head.", "_bn1.", "_fc."),
    ),
)


def find_layout(keys: Iterable[str]) -> tuple[Layout, str]:
    """Returns the layout of a file's keys, and the prefix they all have.

    Raises:
      LookupError: no layout has such keys.
    """
    keys = set(keys)
    for layout in LAYOUTS:
        for prefix in layout.prefixes:
            if match(keys, prefix + layout.telltale):
                return layout, prefix
    known = ", ".join(layout.title for layout in LAYOUTS)
    shown = ", ".join(map(shortened, sorted(keys)[:4]))
    raise LookupError(f"the keys fit no layout known here ({known}): {shown}")


def key_table(
    layout: Layout, prefix: str, model: DeepLab, arrays: Iterable[str]
) -> dict[str, str]:
    """Returns the file's key for each of the model's arrays that it may hold."""
    if layout.native:
        return {ours: ours for ours in arrays}
    names = layout.names(model)
    table = {}
    for ours in arrays:
        module, _, leaf = ours.rpartition(".")
        if module in names:
            table[ours] = f"{prefix}{names[module]}.{LEAVES[leaf]}"
    return table

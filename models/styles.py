"""Styles of ResNets: where they stride, dilate and pool, given the same weights."""

from __future__ import annotations

from typing import NamedTuple

from models.registry import Registry


class Style(NamedTuple):
    """Where a ResNet strides, dilates and pools, given the same weights."""

    strides_first: bool  # a bottleneck on its first 1×1 convolution, not on its 3×3
    dilates_first: bool  # a dilated stage from its first block on, not from its second
    pool_rounds_up: bool


STYLES: Registry[Style] = Registry("style")
STYLES.add("torchvision", Style(False, False, False), "as torchvision's ResNets")
STYLES.add("caffe", Style(True, True, True), "as DeepLabV2's in Caffe")

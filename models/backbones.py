"""Backbones: what one must be, and the table of those there are.

Another backbone is a new module with a class that meets `Backbone`, and an entry at the
end of this file. JAX is loaded when a network is made, not by the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from models.registry import Registry
from models.styles import STYLES

if TYPE_CHECKING:
    import jax


class Backbone(Protocol):
    """An `nnx.Module` that turns images into feature maps.

    Its constructor takes these keywords, from `models.deeplab.DeepLab`:
    `output_stride`, `style`, `frozen_norm`, `norm_epsilon`, `remat`, `dtype`, `rngs`;
    and, of images that are not RGB, `inputs`, their channels.

    With `models.layers.Conv` and an odd window, features stand where upsampling expects
    them: feature i on pixel i × stride.
    """

    channels: tuple[int, ...]
    """Channels of each feature map, finest first."""

    def __call__(self, images: jax.Array, *, train: bool) -> list[jax.Array]:
        """Returns the feature maps, finest first, the last at the output stride.

        Args:
          images: `[batch, height, width, channels]` float.
          train: normalize by the batch and update the running statistics.
        """


OUTPUT_STRIDES = (8, 16, 32)


class BackboneEntry(NamedTuple):
    """A backbone of the table: how it is made, and which options it has."""

    make: Callable[..., Backbone]
    output_strides: tuple[int, ...] = OUTPUT_STRIDES
    styles: tuple[str, ...] = tuple(STYLES)  # ("torchvision",) where there is only one
    without: Mapping[str, str] = MappingProxyType({})  # by a stage: what ends before it


BACKBONES: Registry[BackboneEntry] = Registry("backbone")


def check_backbone(name: str, *, output_stride: int, style: str) -> None:
    """Refuses a backbone that is not there, and options that it does not have.

    Raises:
      ValueError: it names the option, its value and what there is.
    """
    BACKBONES.check(name)
    entry = BACKBONES[name]
    for option, value, there in (
        ("output stride", output_stride, entry.output_strides),
        ("style", style, entry.styles),
    ):
        if value not in there:
            known = ", ".join(map(str, there))
            raise ValueError(f"{name} has no {option} {value!r}; there is: {known}")


def output_strides() -> list[int]:
    """Returns the output strides that some backbone has."""
    return sorted({s for entry in BACKBONES.values() for s in entry.output_strides})


def make_backbone(
    name: str,
    *,
    output_stride: int = 8,
    style: str = "torchvision",
    inputs: int = 3,
    **options: Any,
) -> Backbone:
    """Returns a backbone of the table with new weights.

    Args:
      name: one of `BACKBONES`.
      output_stride: input pixels per feature of the last map.
      style: one of `STYLES`.
      inputs: channels of the images.
      **options: the other keywords of `Backbone`.

    Raises:
      ValueError: as `check_backbone`.
    """
    check_backbone(name, output_stride=output_stride, style=style)
    make = BACKBONES[name].make
    if inputs != 3:
        options["inputs"] = inputs
    return make(output_stride=output_stride, style=style, **options)


def _resnet_small(**options: Any) -> Backbone:
    from models.resnet import BasicBlock, ResNet

    return ResNet(
        BasicBlock,
        (1, 1, 1, 1),
        widths=(32, 64, 96, 128),
        stem_width=24,
        stem_kernel=3,
        pool=False,
        **options,
    )


BACKBONES.add("resnet_small", BackboneEntry(_resnet_small), "for CPUs")


def _resnet18(**options: Any) -> Backbone:
    from models.resnet import BasicBlock, ResNet

    return ResNet(BasicBlock, (2, 2, 2, 2), **options)


BACKBONES.add("resnet18", BackboneEntry(_resnet18))


def _resnet34(**options: Any) -> Backbone:
    from models.resnet import BasicBlock, ResNet

    return ResNet(BasicBlock, (3, 4, 6, 3), **options)


BACKBONES.add("resnet34", BackboneEntry(_resnet34))


def _resnet50(**options: Any) -> Backbone:
    from models.resnet import Bottleneck, ResNet

    return ResNet(Bottleneck, (3, 4, 6, 3), **options)


BACKBONES.add("resnet50", BackboneEntry(_resnet50, without={"stage 4": "resnet50_c4"}))


def _resnet101(**options: Any) -> Backbone:
    from models.resnet import Bottleneck, ResNet

    return ResNet(Bottleneck, (3, 4, 23, 3), **options)


BACKBONES.add(
    "resnet101",
    BackboneEntry(_resnet101, without={"stage 4": "resnet101_c4"}),
    "the paper's",
)


def _resnet50_c4(**options: Any) -> Backbone:
    from models.resnet import Bottleneck, ResNet

    return ResNet(Bottleneck, (3, 4, 6), widths=(64, 128, 256), **options)


def _resnet101_c4(**options: Any) -> Backbone:
    from models.resnet import Bottleneck, ResNet

    return ResNet(Bottleneck, (3, 4, 23), widths=(64, 128, 256), **options)


# C4 is the usual name of the feature map they end with.
BACKBONES.add(
    "resnet50_c4", BackboneEntry(_resnet50_c4, (8, 16)), "without its last stage"
)
BACKBONES.add(
    "resnet101_c4", BackboneEntry(_resnet101_c4, (8, 16)), "without its last stage"
)


def _efficientnet_lite0(**options: Any) -> Backbone:
    from models.efficientnet import EfficientNetLite

    return EfficientNetLite(**options)


BACKBONES.add(
    "efficientnet_lite0",
    BackboneEntry(_efficientnet_lite0, styles=("torchvision",)),
    "few multiply-adds",
)

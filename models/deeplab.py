"""DeepLab: an atrous backbone, a head, and upsampling to the size of the image.

Chen et al. 2016 (arXiv:1606.00915), 2017 (arXiv:1706.05587) and 2018
(arXiv:1802.02611).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
from flax import nnx
from jax.typing import DTypeLike

from models.backbones import make_backbone
from models.heads import HEADS, make_head
from models.layers import Remat
from models.upsamplings import UPSAMPLINGS


class NetworkOutputs(NamedTuple):
    """Logits of the pixels, and what they are computed from."""

    logits: jax.Array  # [batch, height, width, classes] float32
    coarse: jax.Array  # [batch, h, w, classes] float32, before upsampling
    maps: Sequence[jax.Array]  # [batch, h, w, channels] of the backbone, finest first

    @property
    def features(self) -> jax.Array:
        """The backbone's last feature map."""
        return self.maps[-1]


class DeepLab(nnx.Module):
    """Images in, logits of the same height and width out.

    Args:
      classes: number of classes, void not counted.
      inputs: channels of the images.
      backbone: one of `models.backbones.BACKBONES`.
      style: where a ResNet strides and dilates, one of `models.styles.STYLES`; see
        `models.resnet.ResNet`.
      head: one of `models.heads.HEADS`: `"v2"`, four summed convolutions; `"v3"`, with
        image pooling; or `"v3plus"`, which adds a decoder at stride 4.
      output_stride: input pixels per feature, one that the backbone has.
      dilations: of the head's 3×3 convolutions, in features; empty for those of its
        paper at this output stride.
      upsampling: one of `models.upsamplings.UPSAMPLINGS`: `"bilinear"`, between
        features where they stand; `"half_pixel"`, as PyTorch's
        `interpolate(align_corners=False)`; or `"learned"`, a transposed convolution
        that starts as bilinear. Head `"v3plus"` enlarges its features likewise, to
        match, but with `"learned"` bilinearly.
      frozen_norm: the backbone's batch norm keeps its statistics and affine.
      norm_epsilon: added to batch norm's variances.
      remat: recomputes each block in the backward pass instead of storing it, or
        with `"norms"` all of it but its convolutions.
      dtype: of backbone and head; None for that of the images. Parameters and logits
        are float32.
      rngs: the source of the initial weights.

    Raises:
      ValueError: an option is not in its table, or the backbone does not have it.
    """

    def __init__(
        self,
        *,
        classes: int,
        inputs: int = 3,
        backbone: str = "resnet101",
        style: str = "torchvision",
        head: str = "v2",
        output_stride: int = 8,
        dilations: Sequence[int] = (),
        upsampling: str = "bilinear",
        frozen_norm: bool = False,
        norm_epsilon: float = 1e-5,
        remat: Remat = False,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        HEADS.check(head)
        UPSAMPLINGS.check(upsampling)
        common: Any = {
            "output_stride": output_stride,
            "norm_epsilon": norm_epsilon,
            "dtype": dtype,
            "rngs": rngs,
        }
        self.classes, self.inputs = classes, inputs
        self.backbone = make_backbone(
            backbone,
            inputs=inputs,
            style=style,
            frozen_norm=frozen_norm,
            remat=remat,
            **common,
        )
        self.head = make_head(
            head,
            self.backbone.channels,
            classes,
            dilations=dilations,
            upsampling=upsampling,
            **common,
        )
        stride = HEADS[head].stride or output_stride
        # Named after the learned one: checkpoints know its kernel by this path.
        self.deconvolution = UPSAMPLINGS[upsampling].make(
            classes, stride=stride, rngs=rngs
        )

    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Returns logits `[batch, height, width, classes]`.

        Args:
          images: `[batch, height, width, inputs]` float, any height and width.
          train: normalize by the batch and update the running statistics.
        """
        return self.outputs(images, train=train).logits

    def outputs(self, images: jax.Array, *, train: bool) -> NetworkOutputs:
        """Returns the logits and what they are computed from; as `__call__`."""
        _, height, width, _ = images.shape
        maps = self.backbone(images, train=train)
        coarse = self.head(maps, train=train)
        logits = self.upsample(coarse, size=(height, width))
        return NetworkOutputs(logits, coarse, maps)

    def upsample(self, coarse: jax.Array, *, size: tuple[int, int]) -> jax.Array:
        """Returns logits of `size` = (height, width) pixels from those of the head."""
        return self.deconvolution(coarse, size=size)

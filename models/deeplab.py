"""DeepLab: an atrous backbone, a head, and upsampling to the size of the image.

Chen et al. 2016 (arXiv:1606.00915) and 2017 (arXiv:1706.05587).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax
from flax import nnx
from jax.typing import DTypeLike

from models.heads import AtrousPyramid, PooledPyramid
from models.resnet import ResNet, Style
from models.upsample import LearnedUpsample, bilinear_upsample, half_pixel_upsample

Head = Literal["v2", "v3"]
Upsampling = Literal["bilinear", "half_pixel", "learned"]
UPSAMPLINGS = ("bilinear", "half_pixel", "learned")

# The rates of the papers by head and output stride, in features.
RATES = {
    ("v2", 8): (6, 12, 18, 24),
    ("v2", 16): (3, 6, 9, 12),
    ("v2", 32): (2, 3, 5, 6),
    ("v3", 8): (12, 24, 36),
    ("v3", 16): (6, 12, 18),
    ("v3", 32): (3, 6, 9),
}
HEADS = ("v2", "v3")


class Outputs(NamedTuple):
    """What the network gives."""

    logits: jax.Array  # [batch, height, width, classes] float32
    coarse: jax.Array  # [batch, h, w, classes] float32, before upsampling
    features: jax.Array  # [batch, h, w, depth], what the head reads


class DeepLab(nnx.Module):
    """Images in, logits of the same height and width out.

    Args:
      classes: number of classes, void not counted.
      backbone: one of `models.RESNETS`.
      style: what a ResNet does with its weights, `"torchvision"` or `"caffe"`; see
        `models.ResNet`.
      head: `"v2"`, four summed convolutions, or `"v3"`, with image pooling.
      output_stride: input pixels per feature, 8, 16 or 32.
      rates: dilations of the head's 3×3 convolutions, in features; empty for those of
        its paper at this output stride.
      upsampling: `"bilinear"` between features where they stand; `"half_pixel"`, as
        PyTorch's `interpolate(align_corners=False)`; or `"learned"`, a transposed
        convolution that starts as bilinear.
      frozen_norm: the backbone's batch norm keeps its statistics and affine.
      norm_epsilon: added to batch norm's variances.
      remat: recomputes each block in the backward pass instead of storing it.
      dtype: of backbone and head; None for that of the images. Parameters and logits
        are float32.
      rngs: the source of the initial weights.

    Raises:
      ValueError: an option that is none of these.
    """

    def __init__(
        self,
        *,
        classes: int,
        backbone: str = "resnet101",
        style: Style = "torchvision",
        head: Head = "v2",
        output_stride: int = 8,
        rates: Sequence[int] = (),
        upsampling: Upsampling = "bilinear",
        frozen_norm: bool = False,
        norm_epsilon: float = 1e-5,
        remat: bool = False,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        if head not in HEADS:
            raise ValueError(f"head must be one of {HEADS}, got {head!r}")
        if upsampling not in UPSAMPLINGS:
            raise ValueError(
                f"upsampling must be one of {UPSAMPLINGS}, got {upsampling!r}"
            )
        self.classes = classes
        self.output_stride = output_stride
        self.upsampling = upsampling
        self.backbone = ResNet(
            backbone,
            output_stride=output_stride,
            style=style,
            frozen_norm=frozen_norm,
            norm_epsilon=norm_epsilon,
            remat=remat,
            dtype=dtype,
            rngs=rngs,
        )
        inputs = self.backbone.features
        rates = rates or RATES[head, output_stride]
        self.head = (
            AtrousPyramid(inputs, classes, rates=rates, dtype=dtype, rngs=rngs)
            if head == "v2"
            else PooledPyramid(
                inputs,
                classes,
                rates=rates,
                norm_epsilon=norm_epsilon,
                dtype=dtype,
                rngs=rngs,
            )
        )
        self.deconvolution = (
            LearnedUpsample(classes, stride=output_stride, rngs=rngs)
            if upsampling == "learned"
            else None
        )

    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        """Returns logits `[batch, height, width, classes]`.

        Args:
          images: `[batch, height, width, 3]` float, any height and width.
          train: normalise by the batch and update the running statistics.
        """
        return self.outputs(images, train=train).logits

    def outputs(self, images: jax.Array, *, train: bool) -> Outputs:
        """Returns the logits and what they come from; as `__call__`."""
        _, height, width, _ = images.shape
        features = self.backbone(images, train=train)
        coarse = self.head(features, train=train)
        return Outputs(self.upsample(coarse, size=(height, width)), coarse, features)

    def upsample(self, coarse: jax.Array, *, size: tuple[int, int]) -> jax.Array:
        """Returns logits of `size` = (height, width) pixels from those of features."""
        if self.deconvolution is not None:
            return self.deconvolution(coarse, size=size)
        if self.upsampling == "half_pixel":
            return half_pixel_upsample(coarse, size=size)
        return bilinear_upsample(coarse, stride=self.output_stride, size=size)

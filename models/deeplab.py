"""DeepLab: an atrous backbone, atrous spatial pyramid pooling, and upsampling.

Chen et al. 2016 (arXiv:1606.00915).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from models.resnet import ResNet
from models.upsample import LearnedUpsample, bilinear_upsample


class AtrousPyramid(nnx.Module):
    """DeepLabV2's head: 3×3 convolutions at several rates, summed.

    Args:
      inputs: feature channels.
      classes: output channels.
      rates: the dilation of each convolution, in features.
      rngs: the source of the initial weights, N(0, 0.01²).
    """

    def __init__(
        self, inputs: int, classes: int, *, rates: Sequence[int], rngs: nnx.Rngs
    ):
        self.branches = nnx.List(
            [
                nnx.Conv(
                    inputs,
                    classes,
                    (3, 3),
                    kernel_dilation=rate,
                    padding=((rate, rate), (rate, rate)),
                    kernel_init=nnx.initializers.normal(0.01),
                    rngs=rngs,
                )
                for rate in rates
            ]
        )

    def __call__(self, features: jax.Array) -> jax.Array:
        """Returns logits at the features' resolution, `[batch, h, w, classes]`."""
        logits = [branch(features) for branch in self.branches]
        return functools.reduce(jnp.add, logits)


class Outputs(NamedTuple):
    """What the network gives."""

    logits: jax.Array  # [batch, height, width, classes]
    features: jax.Array  # [batch, h, w, depth], what the head reads


class DeepLab(nnx.Module):
    """DeepLabV2: images in, logits of the same height and width out.

    Args:
      classes: number of classes, void not counted.
      backbone: one of `models.RESNETS`.
      output_stride: input pixels per feature, 8 or 16.
      rates: dilations of the head's four convolutions, in features.
      upsampling: `"bilinear"`, or `"learned"` by a transposed convolution that starts
        as bilinear.
      rngs: the source of the initial weights.

    Raises:
      ValueError: an unknown backbone, output stride or upsampling.
    """

    def __init__(
        self,
        *,
        classes: int,
        backbone: str = "resnet101",
        output_stride: int = 8,
        rates: Sequence[int] = (6, 12, 18, 24),
        upsampling: Literal["bilinear", "learned"] = "bilinear",
        rngs: nnx.Rngs,
    ):
        if upsampling not in ("bilinear", "learned"):
            raise ValueError(
                f"upsampling must be 'bilinear' or 'learned', got {upsampling!r}"
            )
        self.classes = classes
        self.output_stride = output_stride
        self.backbone = ResNet(backbone, output_stride=output_stride, rngs=rngs)
        self.head = AtrousPyramid(
            self.backbone.features, classes, rates=rates, rngs=rngs
        )
        self.upsample = (
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
        """Returns the logits and the features they come from; as `__call__`."""
        _, height, width, _ = images.shape
        features = self.backbone(images, train=train)
        logits = self.head(features)
        if self.upsample is not None:
            upsampled = self.upsample(logits, size=(height, width))
        else:
            upsampled = bilinear_upsample(
                logits, stride=self.output_stride, size=(height, width)
            )
        return Outputs(upsampled, features)

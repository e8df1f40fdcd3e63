"""Auxiliary heads: logits from an earlier stage, in training alone."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from models.aspp import Classifier, ConvNormRelu


class AuxiliaryHead(nnx.Module):
    """A fully convolutional head on one feature map.

    As torchvision's `FCNHead` (Long et al. 2015, arXiv:1411.4038) without its dropout;
    beside the last head as in Zhao et al. 2017 (arXiv:1612.01105), section 3.3.

    Args:
      channels: of the feature map.
      classes: output channels.
      norm_epsilon: added to batch norm's variances.
      dtype: of the computation; logits are float32.
      rngs: the source of the initial weights.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        norm_epsilon: float = 1e-5,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        width = max(1, channels // 4)
        self.mix = ConvNormRelu(
            channels, width, 3, norm_epsilon=norm_epsilon, dtype=dtype, rngs=rngs
        )
        self.classify = Classifier(width, classes, dtype=dtype, rngs=rngs)

    def __call__(self, features: jax.Array, *, train: bool) -> jax.Array:
        """Returns logits `[batch, h, w, classes]` float32.

        Args:
          features: `[batch, h, w, channels]`, of a stage.
          train: normalize by the batch and update the running statistics.
        """
        return self.classify(self.mix(features, train=train)).astype(jnp.float32)

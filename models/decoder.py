"""Head of DeepLabV3+: V3's pyramid, and a decoder that refines it at stride 4."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from models.aspp import Classifier, ConvNormRelu, PyramidFeatures
from models.upsamplings import make_resize

STRIDE = 4  # input pixels per feature of the early map, and per logit


class Decoder(nnx.Module):
    """Logits of features that a finer map is concatenated to.

    The one of Chen et al. 2018 (arXiv:1802.02611), section 4.1: a 1×1 convolution takes
    the finer map to few channels, two 3×3 mix, all with batch norm and ReLU.

    Args:
      inputs: channels of the features.
      early: channels of the finer map.
      classes: output channels.
      reduced: channels that the finer map is taken to.
      width: of the 3×3 convolutions.
      norm_epsilon: added to batch norm's variances.
      dtype: of the computation; logits are float32.
      rngs: the source of the initial weights.
    """

    def __init__(
        self,
        inputs: int,
        early: int,
        classes: int,
        *,
        reduced: int = 48,
        width: int = 256,
        norm_epsilon: float,
        dtype: DTypeLike | None,
        rngs: nnx.Rngs,
    ):
        layer = functools.partial(
            ConvNormRelu, norm_epsilon=norm_epsilon, dtype=dtype, rngs=rngs
        )
        self.reduce = layer(early, reduced, 1)
        self.mix = nnx.List([layer(inputs + reduced, width, 3), layer(width, width, 3)])
        self.classify = Classifier(width, classes, dtype=dtype, rngs=rngs)

    def __call__(
        self, features: jax.Array, early: jax.Array, *, train: bool
    ) -> jax.Array:
        """Returns logits `[batch, h, w, classes]` float32.

        Args:
          features: `[batch, h, w, inputs]`.
          early: `[batch, h, w, channels]`.
          train: normalize by the batch and update the running statistics.
        """
        x = jnp.concatenate([features, self.reduce(early, train=train)], axis=-1)
        for layer in self.mix:
            x = layer(x, train=train)
        return self.classify(x).astype(jnp.float32)


class DecodedPyramid(PyramidFeatures):
    """DeepLabV3+'s head: the pyramid's features, enlarged and decoded at stride 4.

    Chen et al. 2018 (arXiv:1802.02611), with plain convolutions as for its ResNets;
    depthwise separable ones are its Xception's. Its batch norm always trains.

    Args:
      channels: of the backbone's feature maps, the first of them at stride 4.
      classes: output channels.
      dilations: of the pyramid's 3×3 convolutions, in features.
      output_stride: input pixels per feature of the last map.
      upsampling: one of `models.upsamplings.UPSAMPLINGS`, which says where features
        stand.
      width: channels of the pyramid's branches and of the decoder.
      norm_epsilon: added to batch norm's variances.
      dtype: of the computation; logits are float32.
      rngs: the source of the initial weights.

    Raises:
      ValueError: the output stride is no multiple of 4.
    """

    def __init__(
        self,
        channels: Sequence[int],
        classes: int,
        *,
        dilations: Sequence[int],
        output_stride: int,
        upsampling: str = "bilinear",
        width: int = 256,
        norm_epsilon: float = 1e-5,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        if output_stride % STRIDE:
            raise ValueError(
                f"the decoder's features are enlarged to stride {STRIDE}, of which the "
                f"output stride is no multiple: got {output_stride}"
            )
        common: Any = {"norm_epsilon": norm_epsilon, "dtype": dtype, "rngs": rngs}
        super().__init__(channels[-1], dilations=dilations, width=width, **common)
        self.scale = output_stride // STRIDE
        self.resize = make_resize(upsampling, width, stride=self.scale, rngs=rngs)
        self.decoder = Decoder(width, channels[0], classes, width=width, **common)

    def __call__(self, maps: Sequence[jax.Array], *, train: bool) -> jax.Array:
        """Returns logits `[batch, h, w, classes]` at the first map's resolution.

        Args:
          maps: the backbone's feature maps; the first and the last are read.
          train: normalize by the batch and update the running statistics.

        Raises:
          ValueError: the first map is not at stride 4.
        """
        (_, *early, _), (_, *coarse, _) = maps[0].shape, maps[-1].shape
        if [-(-side // self.scale) for side in early] != coarse:
            raise ValueError(
                f"the decoder reads features at stride {STRIDE}, {self.scale} times as "
                f"many a side as the last {coarse}; the backbone's first are {early}"
            )
        features = self.encode(maps[-1], train=train)
        features = self.resize(features, size=(early[0], early[1]))
        return self.decoder(features, maps[0], train=train)

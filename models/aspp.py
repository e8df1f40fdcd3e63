"""Heads of DeepLabV2 and V3: atrous spatial pyramid pooling (ASPP).

Both read the last feature map and give logits at its resolution; that of V3+ goes on
from V3's pyramid (`models.decoder`).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from models.activations import relu
from models.layers import BatchNorm, Conv, normalized
from models.summed import summed_convolutions


class AtrousPyramid(nnx.Module):
    """DeepLabV2's head: 3×3 convolutions of several dilations, summed.

    Chen et al. 2016 (arXiv:1606.00915), section 3.2.

    Args:
      channels: of the backbone's feature maps.
      classes: output channels.
      dilations: of each convolution, in features.
      dtype: of the convolutions; their sum is float32.
      rngs: the source of the initial weights, N(0, 0.01²); biases are 0.
    """

    def __init__(
        self,
        channels: Sequence[int],
        classes: int,
        *,
        dilations: Sequence[int],
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        self.dilations, self.dtype = tuple(dilations), dtype
        self.branches = nnx.List(
            [
                Conv(
                    channels[-1],
                    classes,
                    3,
                    dilation=dilation,
                    bias=True,
                    kernel_init=nnx.initializers.normal(0.01),
                    dtype=dtype,
                    rngs=rngs,
                )
                for dilation in dilations
            ]
        )

    def __call__(self, maps: Sequence[jax.Array], *, train: bool) -> jax.Array:
        """Returns logits `[batch, h, w, classes]` at the last map's resolution."""
        del train
        kernels = [branch.kernel[...] for branch in self.branches]
        biases = [
            branch.bias[...] for branch in self.branches if branch.bias is not None
        ]
        features = maps[-1].astype(self.dtype or maps[-1].dtype)
        logits = summed_convolutions(features, kernels, self.dilations)
        return logits + functools.reduce(jnp.add, biases)


class Classifier(Conv):
    """The 1×1 convolution that ends a head, N(0, 0.01²) at first.

    Its bias is added in float32: the gradient by it is a sum over all pixels, which is
    far off in bfloat16.

    Args:
      channels: of the features.
      classes: output channels.
      dtype: of the products; None for that of the features.
      rngs: the source of the initial weights.
    """

    def __init__(
        self, channels: int, classes: int, *, dtype: DTypeLike | None, rngs: nnx.Rngs
    ):
        super().__init__(
            channels,
            classes,
            1,
            bias=True,
            kernel_init=nnx.initializers.normal(0.01),
            dtype=dtype,
            rngs=rngs,
        )

    def __call__(self, x: jax.Array) -> jax.Array:  # type: ignore[override]
        """Returns logits `[batch, height, width, classes]`, float32 or wider."""
        products = self.scaled(x.astype(self.dtype or x.dtype))
        wide = jnp.promote_types(products.dtype, jnp.float32)
        return products.astype(wide) + cast(nnx.Param, self.bias)[...]


class ConvNormRelu(nnx.Module):
    """A convolution, batch norm and ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        dilation: int = 1,
        norm_epsilon: float,
        dtype: DTypeLike | None,
        rngs: nnx.Rngs,
    ):
        self.conv = Conv(
            inputs, outputs, kernel, dilation=dilation, dtype=dtype, rngs=rngs
        )
        self.norm = BatchNorm(outputs, epsilon=norm_epsilon, dtype=dtype, rngs=rngs)

    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Returns `[batch, height, width, outputs]`."""
        return relu(normalized(self.conv, self.norm, x, train=train))


class PyramidFeatures(nnx.Module):
    """A pyramid with image pooling and batch norm: what heads V3 and V3+ begin with.

    Chen et al. 2017 (arXiv:1706.05587), section 3.3, as in torchvision but for its
    dropout, which the paper does not have. Its batch norm always trains.

    Args:
      inputs: channels of the feature map.
      dilations: of the 3×3 convolutions, in features.
      width: channels of each branch, and of the result.
      norm_epsilon: added to batch norm's variances.
      dtype: of the computation.
      rngs: the source of the initial weights.
    """

    def __init__(
        self,
        inputs: int,
        *,
        dilations: Sequence[int],
        width: int,
        norm_epsilon: float,
        dtype: DTypeLike | None,
        rngs: nnx.Rngs,
    ):
        layer = functools.partial(
            ConvNormRelu, norm_epsilon=norm_epsilon, dtype=dtype, rngs=rngs
        )
        self.branches = nnx.List(
            [layer(inputs, width, 1)]
            + [layer(inputs, width, 3, dilation=dilation) for dilation in dilations]
        )
        self.image = layer(inputs, width, 1)
        self.project = layer((len(dilations) + 2) * width, width, 1)

    def encode(self, features: jax.Array, *, train: bool) -> jax.Array:
        """Returns `[batch, h, w, width]` of features `[batch, h, w, inputs]`.

        Args:
          features: the backbone's last map.
          train: normalize by the batch and update the running statistics.
        """
        branches = [branch(features, train=train) for branch in self.branches]
        mean = jnp.mean(features, (1, 2), keepdims=True, dtype=jnp.float32)
        image = self.image(mean.astype(features.dtype), train=train)
        branches.append(jnp.broadcast_to(image, branches[0].shape))
        return self.project(jnp.concatenate(branches, axis=-1), train=train)


class PooledPyramid(PyramidFeatures):
    """DeepLabV3's head: the pyramid's features, mixed and classified where they are.

    Args:
      channels: of the backbone's feature maps.
      classes: output channels.
      dilations: of the 3×3 convolutions, in features.
      width: channels of each branch.
      norm_epsilon: added to batch norm's variances.
      dtype: of the computation; logits are float32.
      rngs: the source of the initial weights.
    """

    def __init__(
        self,
        channels: Sequence[int],
        classes: int,
        *,
        dilations: Sequence[int],
        width: int = 256,
        norm_epsilon: float = 1e-5,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        common: Any = {"norm_epsilon": norm_epsilon, "dtype": dtype, "rngs": rngs}
        super().__init__(channels[-1], dilations=dilations, width=width, **common)
        self.mix = ConvNormRelu(width, width, 3, **common)
        self.classify = Classifier(width, classes, dtype=dtype, rngs=rngs)

    def __call__(self, maps: Sequence[jax.Array], *, train: bool) -> jax.Array:
        """Returns logits `[batch, h, w, classes]` at the last map's resolution.

        Args:
          maps: the backbone's feature maps; the last is read.
          train: normalize by the batch and update the running statistics.
        """
        x = self.mix(self.encode(maps[-1], train=train), train=train)
        return self.classify(x).astype(jnp.float32)

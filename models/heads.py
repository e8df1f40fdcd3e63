"""Heads: from features to a logit for each class, at the features' resolution."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from models.layers import BatchNorm, Conv


class AtrousPyramid(nnx.Module):
    """DeepLabV2's head: 3×3 convolutions at several rates, summed.

    Chen et al. 2016 (arXiv:1606.00915), section 3.2.

    Args:
      inputs: feature channels.
      classes: output channels.
      rates: the dilation of each convolution, in features.
      dtype: of the convolutions; their sum is float32.
      rngs: the source of the initial weights, N(0, 0.01²); biases are 0.
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        *,
        rates: Sequence[int],
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        self.branches = nnx.List(
            [
                Conv(
                    inputs,
                    classes,
                    3,
                    dilation=rate,
                    bias=True,
                    kernel_init=nnx.initializers.normal(0.01),
                    dtype=dtype,
                    rngs=rngs,
                )
                for rate in rates
            ]
        )

    def __call__(self, features: jax.Array, *, train: bool) -> jax.Array:
        """Returns logits at the features' resolution, `[batch, h, w, classes]`."""
        del train  # nothing here is normalised
        logits = [branch(features).astype(jnp.float32) for branch in self.branches]
        return functools.reduce(jnp.add, logits)


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
        return nnx.relu(self.norm(self.conv(x), train=train))


class PooledPyramid(nnx.Module):
    """DeepLabV3's head: a pyramid with the image's mean, normalised and mixed.

    Chen et al. 2017 (arXiv:1706.05587), section 3.3, as in torchvision but for its
    dropout, which the paper does not have. Its batch norm always trains.

    Args:
      inputs: feature channels.
      classes: output channels.
      rates: dilations of the 3×3 convolutions, in features.
      width: channels of each branch.
      norm_epsilon: added to batch norm's variances.
      dtype: of the computation; logits are float32.
      rngs: the source of the initial weights.
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        *,
        rates: Sequence[int],
        width: int = 256,
        norm_epsilon: float = 1e-5,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        layer = functools.partial(
            ConvNormRelu, norm_epsilon=norm_epsilon, dtype=dtype, rngs=rngs
        )
        self.branches = nnx.List(
            [layer(inputs, width, 1)]
            + [layer(inputs, width, 3, dilation=rate) for rate in rates]
        )
        self.image = layer(inputs, width, 1)
        self.project = layer((len(rates) + 2) * width, width, 1)
        self.mix = layer(width, width, 3)
        self.classify = Conv(
            width,
            classes,
            1,
            bias=True,
            kernel_init=nnx.initializers.normal(0.01),
            dtype=dtype,
            rngs=rngs,
        )

    def __call__(self, features: jax.Array, *, train: bool) -> jax.Array:
        """Returns logits at the features' resolution, `[batch, h, w, classes]`.

        Args:
          features: `[batch, h, w, inputs]`.
          train: normalise by the batch and update the running statistics.
        """
        branches = [branch(features, train=train) for branch in self.branches]
        mean = jnp.mean(features, (1, 2), keepdims=True, dtype=jnp.float32)
        image = self.image(mean.astype(features.dtype), train=train)
        branches.append(jnp.broadcast_to(image, branches[0].shape))
        x = self.project(jnp.concatenate(branches, axis=-1), train=train)
        return self.classify(self.mix(x, train=train)).astype(jnp.float32)

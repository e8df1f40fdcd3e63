"""Convolution and batch norm as the networks here use them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike


class Conv(nnx.Conv):
    """A square convolution, padded by half its window, He-initialised.

    Args:
      inputs: channels.
      outputs: channels.
      kernel: side of the window.
      stride: inputs between outputs.
      dilation: inputs between the window's taps.
      bias: adds one, zero at first.
      kernel_init: of the weights; He et al. 2015 by default.
      dtype: of the computation; parameters are float32.
      rngs: the source of the initial weights.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        bias: bool = False,
        kernel_init: nnx.Initializer | None = None,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        reach = dilation * (kernel - 1) // 2
        he = nnx.initializers.variance_scaling(2.0, "fan_out", "normal")
        super().__init__(
            inputs,
            outputs,
            (kernel, kernel),
            strides=stride,
            kernel_dilation=dilation,
            padding=((reach, reach), (reach, reach)),
            use_bias=bias,
            kernel_init=kernel_init or he,
            dtype=dtype,
            rngs=rngs,
        )


class BatchNorm(nnx.BatchNorm):
    """Batch norm whose affine is trained and whose statistics follow the batches.

    Args:
      channels: of the last axis.
      epsilon: added to the variance.
      dtype: of the result; parameters and statistics are float32.
      rngs: required by Flax.
    """

    def __init__(
        self,
        channels: int,
        *,
        epsilon: float,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        # PyTorch's statistics move by 0.1 a step: Flax names the part that stays.
        super().__init__(
            channels, momentum=0.9, epsilon=epsilon, dtype=dtype, rngs=rngs
        )

    def __call__(  # type: ignore[override]
        self, x: jax.Array, *, train: bool
    ) -> jax.Array:
        """Normalises `[..., channels]`, by the batch's own statistics in training."""
        return super().__call__(x, use_running_average=not train)


class FrozenBatchNorm(nnx.Module):
    """Batch norm by what was learnt elsewhere: neither affine nor statistics move.

    Nothing in it is an `nnx.Param`, so it has no gradient and no momentum.

    Args:
      channels: of the last axis.
      epsilon: added to the variance.
      dtype: of the result; what is stored is float32.
      rngs: unused; as for `BatchNorm`.
    """

    def __init__(
        self,
        channels: int,
        *,
        epsilon: float,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        del rngs
        self.epsilon, self.dtype = epsilon, dtype
        self.scale = nnx.BatchStat(jnp.ones(channels))
        self.bias = nnx.BatchStat(jnp.zeros(channels))
        self.mean = nnx.BatchStat(jnp.zeros(channels))
        self.var = nnx.BatchStat(jnp.ones(channels))

    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Normalises `[..., channels]`, in training as in evaluation."""
        del train
        factor = self.scale * jax.lax.rsqrt(self.var + self.epsilon)
        result = x * factor + (self.bias - self.mean * factor)
        return result.astype(self.dtype or x.dtype)


class Layers(NamedTuple):
    """How a network makes its layers."""

    conv: Callable[..., Conv]
    norm: Callable[..., BatchNorm | FrozenBatchNorm]

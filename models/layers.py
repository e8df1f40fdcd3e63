"""Convolution and batch norm as the networks here use them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name
from jax.typing import DTypeLike

from models.depthwise import depthwise_conv
from models.dilated import dilated_conv
from models.pointwise import pointwise_conv, raised

# What the backward pass computes anew rather than reads: blocks, or of these what is
# cheap, norms and activations; nothing if False.
Remat = bool | Literal["norms"]

_CONVOLUTION = "convolution"  # by which `Remat` tells what is not cheap


class Conv(nnx.Conv):
    """A square convolution, padded by half its window, He-initialized.

    Args:
      inputs: channels.
      outputs: channels.
      kernel: side of the window.
      stride: inputs between outputs.
      dilation: inputs between the window's taps.
      groups: groups of channels that do not mix; `inputs` for a depthwise convolution,
        if there are as many outputs by `models.depthwise`.
      bias: adds one, zero at first.
      kernel_init: of the weights; by default normal with variance 2 / fan-out (He et
        al. 2015, arXiv:1502.01852).
      dtype: of the computation; parameters are float32.
      rngs: the source of the initial weights.

    Raises:
      ValueError: the window's side is even, or a number is below 1.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = False,
        kernel_init: nnx.Initializer | None = None,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        if kernel % 2 == 0 or min(inputs, outputs, kernel, stride, dilation) < 1:
            raise ValueError(
                "a convolution takes an odd kernel, and at least 1 of everything: got "
                f"{inputs=}, {outputs=}, {kernel=}, {stride=}, {dilation=}"
            )
        reach = dilation * (kernel - 1) // 2
        # Flax counts all outputs; an input reaches those of its group.
        he = nnx.initializers.variance_scaling(2.0 * groups, "fan_out", "normal")
        convolve: Callable[..., jax.Array] = jax.lax.conv_general_dilated
        if groups == inputs == outputs > 1:
            convolve = depthwise_conv
        elif groups == kernel == 1:
            convolve = pointwise_conv
        elif groups == stride == 1 < min(kernel, dilation):
            convolve = dilated_conv
        super().__init__(
            inputs,
            outputs,
            (kernel, kernel),
            strides=stride,
            kernel_dilation=dilation,
            feature_group_count=groups,
            padding=((reach, reach), (reach, reach)),
            use_bias=bias,
            kernel_init=kernel_init or he,
            conv_general_dilated=convolve,
            dtype=dtype,
            rngs=rngs,
        )

    def __call__(self, x: jax.Array) -> jax.Array:  # type: ignore[override]
        """Returns the convolution of `[batch, height, width, inputs]`."""
        return checkpoint_name(super().__call__(x), _CONVOLUTION)

    def scaled(
        self,
        x: jax.Array,
        scale: jax.Array | float = 1.0,
        offset: jax.Array | None = None,
    ) -> jax.Array:
        """Returns the convolution without its bias, its outputs scaled by the kernel.

        Args:
          x: `[batch, height, width, inputs]`.
          scale: of each output.
          offset: is added to each output.
        """
        x, kernel = self.promote_dtype((x, self.kernel[...] * scale), dtype=self.dtype)
        convolve = self.conv_general_dilated
        joined = offset is not None and convolve is pointwise_conv
        if joined:
            convolve = functools.partial(pointwise_conv, offset=offset)
        y = convolve(
            x,
            kernel,
            _pair(self.strides),
            self.padding,
            rhs_dilation=_pair(self.kernel_dilation),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=self.feature_group_count,
        )
        y = checkpoint_name(y, _CONVOLUTION)
        return y if joined or offset is None else raised(y, offset)


def _pair(number: int | Sequence[int] | None) -> tuple[int, ...]:
    if isinstance(number, Sequence):
        return tuple(number)
    return (number or 1,) * 2


class BatchNorm(nnx.BatchNorm):
    """Batch norm with a trained affine and running statistics.

    Args:
      channels: of the last axis.
      epsilon: added to the variance.
      momentum: share of the running statistics that a training batch leaves.
      dtype: of the result; parameters and statistics are float32.
      rngs: required by Flax.
    """

    def __init__(
        self,
        channels: int,
        *,
        epsilon: float,
        momentum: float = 0.9,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        # PyTorch's momentum weighs the new batch (0.1 by default), Flax's the rest.
        super().__init__(
            channels, momentum=momentum, epsilon=epsilon, dtype=dtype, rngs=rngs
        )

    def __call__(  # type: ignore[override]
        self, x: jax.Array, *, train: bool
    ) -> jax.Array:
        """Normalizes `[..., channels]`, by the batch's own statistics in training."""
        return super().__call__(x, use_running_average=not train)


class FrozenStat(nnx.BatchStat):
    """A statistic or weight of batch norm that no step changes."""


class FrozenBatchNorm(nnx.Module):
    """Batch norm whose affine and statistics stay as they were loaded.

    Nothing in it is an `nnx.Param`, so it has no gradient, momentum or weight decay.

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
        self.scale = FrozenStat(jnp.ones(channels))
        self.bias = FrozenStat(jnp.zeros(channels))
        self.mean = FrozenStat(jnp.zeros(channels))
        self.var = FrozenStat(jnp.ones(channels))

    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Normalizes `[..., channels]`, in training as in evaluation."""
        del train
        factor, offset = self.affine()
        return (x * factor + offset).astype(self.dtype or x.dtype)

    def affine(self) -> tuple[jax.Array, jax.Array]:
        """Returns what it multiplies each channel by, and what it then adds."""
        factor = self.scale[...] * jax.lax.rsqrt(self.var[...] + self.epsilon)
        return factor, self.bias[...] - self.mean[...] * factor


def normalized(
    conv: Conv, norm: BatchNorm | FrozenBatchNorm, x: jax.Array, *, train: bool
) -> jax.Array:
    """Returns the norm of a convolution without bias.

    Where the kernel is rounded to half precision anyway, what a frozen norm multiplies
    by joins it first: an operation less for each feature and its slope.

    Args:
      conv: the convolution.
      norm: of its outputs.
      x: `[batch, height, width, inputs]`.
      train: normalize by the batch, if not frozen, and update the running statistics.
    """
    halved = conv.dtype is not None and jnp.finfo(conv.dtype).bits < 32
    if not (halved and isinstance(norm, FrozenBatchNorm)):
        return norm(conv(x), train=train)
    factor, offset = norm.affine()
    y = conv.scaled(x, factor, offset)
    return y.astype(norm.dtype or y.dtype)


class Layers(NamedTuple):
    """Constructors of a network's layers, with its common options bound."""

    conv: Callable[..., Conv]
    norm: Callable[..., BatchNorm | FrozenBatchNorm]


def stage_maps(
    stages: Iterable[Iterable[Callable[..., jax.Array]]],
    x: jax.Array,
    *,
    train: bool,
    remat: Remat,
) -> list[jax.Array]:
    """Returns the output of each stage; a stage is blocks, one after the other.

    Args:
      stages: of `nnx.Module` blocks, called as `block(x, train=train)`.
      x: input of the first.
      train: passed on.
      remat: what is computed anew in the backward pass; see `recomputed`.
    """
    maps = []
    for stage in stages:
        for block in stage:
            if remat:
                x = recomputed(block, x, train=train, remat=remat)
            else:
                x = block(x, train=train)
        maps.append(x)
    return maps


def recomputed(
    block: Callable[..., jax.Array], x: jax.Array, *, train: bool, remat: Remat = True
) -> jax.Array:
    """Applies a block and keeps little of it for the backward pass.

    Args:
      block: an `nnx.Module`, called as `block(x, train=train)`.
      x: its input, which is kept.
      train: passed on.
      remat: `"norms"` also keeps what its convolutions return.
    """
    graph, state = nnx.split(block)
    kept = (_CONVOLUTION,) if remat == "norms" else ()

    @functools.partial(
        jax.checkpoint, policy=jax.checkpoint_policies.save_only_these_names(*kept)
    )
    def apply(state: nnx.State, x: jax.Array) -> tuple[jax.Array, nnx.State]:
        copy = nnx.merge(graph, state, copy=True)
        y = copy(x, train=train)
        return y, nnx.state(copy, nnx.BatchStat)

    y, statistics = apply(state, x)
    nnx.update(block, statistics)
    return y

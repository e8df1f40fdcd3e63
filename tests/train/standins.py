"""Networks that are no networks, for tests of what is around one."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike

from models.layers import BatchNorm, Conv, FrozenBatchNorm
from train.data.preprocessing import PREPROCESSINGS
from train.evaluation.inference import Predictor
from train.evaluation.views import EvaluationOptions
from train.training.step import TrainState

IMAGENET = PREPROCESSINGS["imagenet"]


class Brightest(nnx.Module):
    """Its logits are the colors, and it notes the sizes of what it sees."""

    sizes: list[tuple[int, ...]] = []

    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        assert not train
        self.sizes.append(images.shape[1:3])
        return images


class Constant(nnx.Module):
    """Gives the same logits for all pixels."""

    def __init__(self, *logits: float):
        self.logits = logits

    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        return jnp.broadcast_to(
            jnp.array(self.logits), (*images.shape[:3], len(self.logits))
        )


class Blurred(nnx.Module):
    """A convolution padded with zeros: the border is not like the inside."""

    def __init__(self) -> None:
        self.convolution = nnx.Conv(3, 4, (3, 3), rngs=nnx.Rngs(0))

    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        return self.convolution(images)


class Tiny(nnx.Module):
    """A backbone of one convolution and its norm: little to compile."""

    def __init__(
        self,
        *,
        output_stride: int,
        frozen_norm: bool,
        norm_epsilon: float,
        dtype: DTypeLike | None,
        rngs: nnx.Rngs,
        inputs: int = 3,
        **others: Any,
    ):
        self.channels: tuple[int, ...] = (8,)
        self.conv = Conv(inputs, 8, 3, stride=output_stride, dtype=dtype, rngs=rngs)
        norm = FrozenBatchNorm if frozen_norm else BatchNorm
        self.norm = norm(8, epsilon=norm_epsilon, dtype=dtype, rngs=rngs)

    def __call__(self, images: jax.Array, *, train: bool) -> list[jax.Array]:
        return [nnx.relu(self.norm(self.conv(images), train=train))]


class TwoMaps(nnx.Module):
    """A backbone of two convolutions, the first map at stride 4."""

    channels: tuple[int, ...] = (8, 8)

    def __init__(
        self,
        *,
        output_stride: int,
        dtype: DTypeLike | None,
        rngs: nnx.Rngs,
        **others: Any,
    ):
        self.early = Conv(3, 8, 3, stride=4, dtype=dtype, rngs=rngs)
        self.late = Conv(8, 8, 3, stride=output_stride // 4, dtype=dtype, rngs=rngs)

    def __call__(self, images: jax.Array, *, train: bool) -> list[jax.Array]:
        early = nnx.relu(self.early(images))
        return [early, nnx.relu(self.late(early))]


def predictor(model: Any, **options: Any) -> tuple[Predictor, TrainState]:
    graph, params, statistics = nnx.split(  # type: ignore[misc]  # its overloads
        model, nnx.Param, ...
    )
    state = TrainState(jnp.int32(0), params, statistics, jnp.zeros((3, 3)), ())
    return Predictor(graph, IMAGENET, EvaluationOptions(**options)), state


def random_image(rng: np.random.Generator, *size: int) -> np.ndarray:
    return rng.integers(0, 256, (*size, 3), dtype=np.uint8)


STATE = TrainState(jnp.int32(0), nnx.State({}), nnx.State({}), jnp.zeros((3, 3)), ())

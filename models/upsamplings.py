"""Upsamplings: what one must be, and the table of those there are.

JAX is loaded when one is made, not by the table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from models.registry import Registry

if TYPE_CHECKING:
    import jax
    from flax import nnx


class Upsampling(Protocol):
    """An `nnx.Module` that turns logits of the head into logits of pixels.

    Entries of the table are called as `make(classes, stride=pixels per logit, rngs=)`.
    """

    def __call__(self, logits: jax.Array, /, *, size: tuple[int, int]) -> jax.Array:
        """Returns `[batch, height, width, classes]` for `size` = (height, width)."""


UPSAMPLINGS: Registry[Callable[..., Upsampling]] = Registry("upsampling")


@UPSAMPLINGS.register("bilinear", "between features where they stand")
def _bilinear(classes: int, *, stride: int, rngs: nnx.Rngs) -> Upsampling:
    from models.upsample import BilinearUpsample

    return BilinearUpsample(stride)


@UPSAMPLINGS.register("half_pixel", "as PyTorch resizes")
def _half_pixel(classes: int, *, stride: int, rngs: nnx.Rngs) -> Upsampling:
    from models.upsample import HalfPixelUpsample

    return HalfPixelUpsample()


@UPSAMPLINGS.register("learned", "a transposed convolution that starts as bilinear")
def _learned(classes: int, *, stride: int, rngs: nnx.Rngs) -> Upsampling:
    from models.upsample import LearnedUpsample

    return LearnedUpsample(classes, stride=stride, rngs=rngs)

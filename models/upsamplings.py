"""Upsamplings: what one must be, and the table of those there are.

JAX is loaded when one is made, not by the table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from models.registry import Registry

if TYPE_CHECKING:
    import jax
    from flax import nnx


class Upsampling(Protocol):
    """An `nnx.Module` that turns logits of the head into logits of pixels.

    Entries of the table are made as `make(classes, stride=pixels per logit, rngs=)`.
    """

    def __call__(self, logits: jax.Array, /, *, size: tuple[int, int]) -> jax.Array:
        """Returns `[batch, height, width, classes]` for `size` = (height, width)."""


class UpsamplingEntry(NamedTuple):
    """An upsampling of the table: how it is made, and whether it has parameters."""

    make: Callable[..., Upsampling]
    learns: bool = False


UPSAMPLINGS: Registry[UpsamplingEntry] = Registry("upsampling")


def make_resize(name: str, channels: int, *, stride: int, rngs: nnx.Rngs) -> Upsampling:
    """Returns what enlarges features inside a head, to match an upsampling of logits.

    Args:
      name: one of `UPSAMPLINGS`; for one that learns, bilinear, as which it starts.
      channels: of the features.
      stride: places of the result per feature.
      rngs: as for the entries.
    """
    entry = UPSAMPLINGS["bilinear" if UPSAMPLINGS[name].learns else name]
    return entry.make(channels, stride=stride, rngs=rngs)


def _bilinear(classes: int, *, stride: int, rngs: nnx.Rngs) -> Upsampling:
    from models.interpolation import BilinearUpsample

    return BilinearUpsample(stride)


UPSAMPLINGS.add(
    "bilinear", UpsamplingEntry(_bilinear), "between features where they stand"
)


def _half_pixel(classes: int, *, stride: int, rngs: nnx.Rngs) -> Upsampling:
    from models.interpolation import HalfPixelUpsample

    return HalfPixelUpsample()


UPSAMPLINGS.add("half_pixel", UpsamplingEntry(_half_pixel), "as PyTorch resizes")


def _learned(classes: int, *, stride: int, rngs: nnx.Rngs) -> Upsampling:
    from models.interpolation import LearnedUpsample

    return LearnedUpsample(classes, stride=stride, rngs=rngs)


UPSAMPLINGS.add(
    "learned",
    UpsamplingEntry(_learned, learns=True),
    "a transposed convolution that starts as bilinear",
)

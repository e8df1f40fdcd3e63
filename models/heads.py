"""Heads: what one must be, and the table of those there are.

Another head is a new module with a class that meets `Head`, and an entry at the end of
this file. JAX is loaded when a head is made, not by the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from models.registry import Registry

if TYPE_CHECKING:
    import jax


class Head(Protocol):
    """An `nnx.Module` that turns a backbone's feature maps into a logit per class.

    Its constructor takes `channels` of the feature maps and the number of `classes`,
    and the keywords `dilations`, `norm_epsilon`, `dtype`, `rngs`.
    """

    def __call__(self, maps: Sequence[jax.Array], *, train: bool) -> jax.Array:
        """Returns logits `[batch, h, w, classes]` float32 at the head's stride.

        Args:
          maps: the backbone's feature maps, finest first; a head reads those it needs.
          train: normalize by the batch and update the running statistics.
        """


class HeadEntry(NamedTuple):
    """A head of the table: how it is made, and its paper's constants."""

    make: Callable[..., Head]
    # In features, by output stride; empty for a head that does not dilate.
    dilations: Mapping[int, tuple[int, ...]]
    stride: int = 0  # input pixels per logit; 0 for the backbone's output stride
    fewest_images: int = 1  # that train it together
    resizes: bool = False  # its constructor takes `output_stride` and `upsampling` too


HEADS: Registry[HeadEntry] = Registry("head")


def make_head(
    name: str,
    channels: Sequence[int],
    classes: int,
    *,
    output_stride: int,
    dilations: Sequence[int] = (),
    upsampling: str = "bilinear",
    **options: Any,
) -> Head:
    """Returns a head of the table with new weights.

    Args:
      name: one of `HEADS`.
      channels: those of the backbone's feature maps.
      classes: number of classes.
      output_stride: of the backbone.
      dilations: in features; empty for those of the head's paper.
      upsampling: one of `models.upsamplings.UPSAMPLINGS`, for a head that enlarges
        features.
      **options: the other keywords of `Head`.

    Raises:
      ValueError: no such head, or its paper has no dilations for the output stride.
    """
    check_head(name, output_stride=output_stride, dilations=dilations)
    entry = HEADS[name]
    dilations = dilations or entry.dilations.get(output_stride, ())
    if entry.resizes:
        options |= {"output_stride": output_stride, "upsampling": upsampling}
    return entry.make(channels, classes, dilations=dilations, **options)


def check_head(name: str, *, output_stride: int, dilations: Sequence[int]) -> None:
    """Refuses a head that is not there, and one that lacks dilations.

    Raises:
      ValueError: no such head, or its paper has no dilations for the output stride.
    """
    HEADS.check(name)
    known = HEADS[name].dilations
    if known and not dilations and output_stride not in known:
        listed = ", ".join(map(str, known))
        raise ValueError(
            f"{name} has dilations for the output strides {listed}, not for "
            f"{output_stride}; set dilations"
        )


def _v2(
    channels: Sequence[int], classes: int, *, norm_epsilon: float, **options: Any
) -> Head:
    from models.aspp import AtrousPyramid

    del norm_epsilon  # it has no batch norm
    return AtrousPyramid(channels, classes, **options)


HEADS.add(
    "v2",
    HeadEntry(_v2, {8: (6, 12, 18, 24), 16: (3, 6, 9, 12), 32: (2, 3, 5, 6)}),
    "four summed convolutions",
)


def _v3(channels: Sequence[int], classes: int, **options: Any) -> Head:
    from models.aspp import PooledPyramid

    return PooledPyramid(channels, classes, **options)


_V3_DILATIONS = {8: (12, 24, 36), 16: (6, 12, 18), 32: (3, 6, 9)}
HEADS.add(
    "v3",
    HeadEntry(
        _v3,
        _V3_DILATIONS,
        fewest_images=2,  # its batch norm sees one value of each image
    ),
    "image pooling and batch norm",
)


def _v3plus(channels: Sequence[int], classes: int, **options: Any) -> Head:
    from models.decoder import DecodedPyramid

    return DecodedPyramid(channels, classes, **options)


HEADS.add(
    "v3plus",
    HeadEntry(_v3plus, _V3_DILATIONS, stride=4, fewest_images=2, resizes=True),
    "v3 with a decoder at stride 4",
)

"""Signed distances of each class: how far inside or outside its regions a pixel is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax.numpy as jnp

from lal_jax import _checks, _labels
from lal_jax.distance_transform import squared_distances
from lal_jax.masks import mask_of
from lal_jax.targets import has_class, is_target

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, DTypeLike, Float, Int

_SMALLEST, _LARGEST = 1e-12, 1e12  # of a spacing


def signed_distances(
    labels: Int[Array, "*batch height width"],
    *,
    num_classes: int,
    spacing: float | Sequence[float] = 1.0,
    ignore_label: int | Sequence[int] = 255,
    where: Bool[Array, "*batch height width"] | None = None,
) -> Float[Array, "*batch height width classes"]:
    r"""Returns the distance of each pixel to each class, negative inside the class.

    .. math:: \varphi_c(q) = \begin{cases}
              -\min_{y_r \ne c} \lVert q - r \rVert & y_q = c \\
              \phantom{-}\min_{y_r = c} \lVert q - r \rVert & y_q \ne c
              \end{cases}

    over the valid pixels r of the image: straight lines between the centers of pixels,
    across ignored ones too. Exact, and within `jit`; the time grows with the number of
    pixels times the sum of the image's sides, and some three arrays of the result's
    size are held beside it.

    Args:
      labels: class indices, `[..., height, width]`, integer.
      num_classes: the number of classes; a label that is none of them is ignored.
      spacing: distance between neighboring pixels: a number, or one for each spatial
        axis, `(3.0, 1.0, 1.0)` for volumes `[..., depth, height, width]` of slices
        three times as far apart, `(1.0,)` for sequences `[..., length]`.
      ignore_label: the label of ignored pixels, or several.
      where: False marks further pixels to ignore; same shape as `labels`.

    Returns:
      φ, `[..., height, width, num_classes]`, in pixels, or in the units of the spacing;
      0 at ignored pixels, and for a class that the image lacks or that is alone in it.
      float32, or float64 where JAX computes in 64 bits.

    Raises:
      ValueError: shapes, dtypes or options do not fit; the message has the values.

    >>> import jax.numpy as jnp
    >>> phi = signed_distances(jnp.array([[0, 0, 1, 255]]), num_classes=3)
    >>> phi[0, :, 1].tolist()
    [2.0, 1.0, -1.0, 0.0]

    Source: the level set function of Kervadec et al. 2019 (arXiv:1812.07032), Section
    2, for each class. They measure to the contour, here it is to the nearest pixel
    across: one beside the contour is at 1, not at ½.
    """
    _checks.check_integer("num_classes", num_classes, least=1)
    steps = checked_spacing(spacing)
    labels = _labels.as_indices(labels)
    check_spatial_axes("labels", labels.shape, labels.ndim, steps)
    counted = has_class(labels, mask_of(labels, ignore_label, where), num_classes)
    members = is_target(labels, num_classes) & counted[..., None]
    return distances_of_members(
        members, counted, steps, jnp.result_type(float), disjoint=True
    )


def distances_of_members(
    members: Bool[Array, "*batch_pixels classes"],
    counted: Bool[Array, "*batch_pixels"],
    spacing: tuple[float, ...],
    dtype: DTypeLike,
    *,
    disjoint: bool,
) -> Float[Array, "*batch_pixels classes"]:
    """Returns φ of checked arguments; disjoint classes have no pixel in common."""
    axis = -1 - len(spacing)  # classes before the pixels, along which vectors then run
    inside = jnp.moveaxis(members, -1, axis)
    known = jnp.expand_dims(counted, axis)
    outward = squared_distances(inside, spacing, dtype)
    if disjoint:  # then what is not of the class is of another
        others = jnp.where(inside, jnp.inf, outward)
        inward = jnp.min(others, axis=axis, keepdims=True)
    else:
        inward = squared_distances(known & ~inside, spacing, dtype)
    squares = jnp.where(inside, inward, outward)
    # ∞ where the class is absent or alone
    lengths = jnp.sqrt(jnp.where(known & jnp.isfinite(squares), squares, 0.0))
    return jnp.moveaxis(jnp.where(inside, -lengths, lengths), axis, -1)


def checked_spacing(spacing: float | Sequence[float]) -> tuple[float, ...]:
    """Returns the distance of neighbors along each spatial axis; a number means two."""
    steps = spacing if isinstance(spacing, Sequence) else (spacing,)
    if not len(steps):
        raise ValueError(
            "spacing must be a number, or a tuple of them with one for each spatial "
            f"axis: got {spacing!r}"
        )
    for step in steps:
        _checks.check_positive("spacing", step)
        if not _SMALLEST <= step <= _LARGEST:
            raise ValueError(
                f"spacing must lie in [{_SMALLEST:g}, {_LARGEST:g}], where squared "
                f"distances are numbers of float32: got {step!r}; take another unit"
            )
    return tuple(map(float, steps if isinstance(spacing, Sequence) else (*steps,) * 2))


def check_spatial_axes(
    name: str, shape: tuple[int, ...], pixel_axes: int, spacing: tuple[float, ...]
) -> None:
    """Requires a pixel axis of the named array for each number of the spacing."""
    if pixel_axes < len(spacing):
        raise ValueError(
            f"{name} must have {len(spacing)} spatial axes, one for each number of "
            f"spacing={spacing}, got {shape}; pass spacing=(1.0,) for sequences"
        )

"""Pairs of drawn pixels: how alike their features are, and whether their labels are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from lal_jax import _checks, _labels
from lal_jax.masks import mask_of
from lal_jax.overlap_sums import axes_of_pixels, vanishes
from lal_jax.pixel_draws import draw_pixels

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Int, Key, Shaped


class Pairs(NamedTuple):
    """The pairs of an image's drawn pixels; rows are anchors.

    Places without a pixel are in no pair.
    """

    cosines: Float[Array, "*images places places"]  # z_i · z_j
    positives: Bool[Array, "*images places places"]  # another pixel of the same class
    negatives: Bool[Array, "*images places places"]  # a pixel of another class


def drawn_pairs(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    key: Key[Array, ""],
    samples: int,
    spatial_axes: int,
    per_image: bool,
    ignore_label: int | Sequence[int],
    where: ArrayLike | None,
) -> Pairs:
    """Checks the arguments, draws pixels of each image or of the batch, compares them.

    Pixels that are not drawn have no effect, nor a gradient.
    """
    features, labels = _as_pixels(features, labels)
    _checks.check_integer("spatial_axes", spatial_axes, least=1)
    shape = (
        f"features must have {spatial_axes} axes of pixels before their depth "
        "(spatial_axes)"
    )
    axes = axes_of_pixels(features, spatial_axes, per_image=per_image, wanted=shape)
    _checks.check_integer("samples", samples, least=1)
    _check_key(key)
    valid = mask_of(labels, ignore_label, where)

    # A gather alone would leave the gradient without the features' sharding.
    nothing = jnp.zeros((), features.dtype)
    features = jnp.where(valid[..., None], features, nothing)
    features = _one_axis(features, axes, 1)
    labels, valid = _whole(_one_axis(labels, axes)), _whole(_one_axis(valid, axes))
    index, drawn = draw_pixels(labels, valid, key, samples)
    vectors = _checks.as_float(_taken(features, index), "features")
    return _pairs(
        _unit_length(jnp.where(drawn[..., None], vectors, 0.0)),
        jnp.take_along_axis(labels, index, axis=-1, mode="promise_in_bounds"),
        drawn,
    )


def _pairs(
    vectors: Float[Array, "*images places depth"],
    labels: Int[Array, "*images places"],
    drawn: Bool[Array, "*images places"],
) -> Pairs:
    """Returns the pairs of unit vectors, without an anchor's own."""
    cosines = jnp.einsum(
        "...id,...jd->...ij", vectors, vectors, precision=jax.lax.Precision.HIGHEST
    )
    both = drawn[..., :, None] & drawn[..., None, :]
    same = labels[..., :, None] == labels[..., None, :]
    row, column = (
        jax.lax.broadcasted_iota(jnp.int32, both.shape, both.ndim - back)
        for back in (2, 1)
    )
    return Pairs(cosines, both & same & (row != column), both & ~same)


def _unit_length(
    vectors: Float[Array, "*pixels depth"],
) -> Float[Array, "*pixels depth"]:
    """Returns x / ‖x‖; 0 with gradient 0 where x is too short for a finite slope."""
    vectors = 0.25 * vectors  # for the largest floats, whose reciprocals round to 0
    peak = jnp.max(jnp.abs(vectors), axis=-1, keepdims=True)
    # The result does not depend on the scale, and so neither does the gradient.
    peak = jax.lax.stop_gradient(peak)
    short = vanishes(peak)
    vectors = jnp.where(short, 0.0, vectors) / jnp.where(short, 1.0, peak)
    square = jnp.sum(jnp.square(vectors), axis=-1, keepdims=True)
    return vectors / jnp.sqrt(jnp.where(short, 1.0, square))


def _one_axis(
    array: Shaped[Array, "..."], axes: tuple[int, ...], rest: int = 0
) -> Shaped[Array, "..."]:
    """Returns the array with the axes of pixels, before the rest, as one."""
    shape = array.shape
    merged = shape[axes[0] : axes[-1] + 1] if axes else ()
    kept = shape[: len(shape) - rest - len(axes)]
    return array.reshape(*kept, math.prod(merged), *shape[len(shape) - rest :])


def _taken(
    features: Float[Array, "*images pixels depth"], index: Int[Array, "*images places"]
) -> Float[Array, "*images places depth"]:
    """Returns the features of the pixels drawn; those of a batch on every device."""
    if features.ndim > 2:
        return jnp.take_along_axis(
            features, index[..., None], axis=-2, mode="promise_in_bounds"
        )
    everywhere = PartitionSpec(None, None) if _is_divided(features) else None
    return features.at[index].get(mode="promise_in_bounds", out_sharding=everywhere)


def _whole(array: Shaped[Array, "*images pixels"]) -> Shaped[Array, "*images pixels"]:
    """Returns the pixels of a batch on every device, if they are divided explicitly."""
    if array.ndim == 1 and _is_divided(array):
        return jax.sharding.reshard(array, PartitionSpec(None))
    return array


def _is_divided(array: jax.Array) -> bool:
    """Whether an array's first axis has explicit sharding."""
    return jax.typeof(array).sharding.spec[0] is not None


def _as_pixels(
    features: ArrayLike, labels: ArrayLike
) -> tuple[Shaped[Array, "*pixels depth"], Int[Array, "*pixels"]]:
    """Returns features in their own dtype, and labels whose shape fits them."""
    features, labels = jnp.asarray(features), _labels.as_indices(labels)
    if features.ndim == 0 or features.shape[-1] == 0:
        raise ValueError(
            "features must have shape [..., depth] with a depth of at least 1, got "
            f"{features.shape}"
        )
    if labels.shape != features.shape[:-1]:
        raise ValueError(
            "labels must have the shape of the features without their last axis: got "
            f"features {features.shape} and labels {labels.shape}; of larger labels "
            "take those where features stand, labels[..., ::stride, ::stride]"
        )
    return features, labels


def _check_key(key: Key[Array, ""]) -> None:
    """Requires one key of jax.random, of either kind."""
    given = jnp.asarray(key) if hasattr(key, "dtype") else jnp.zeros(0)
    typed = jnp.issubdtype(given.dtype, jax.dtypes.prng_key)
    if given.ndim != (0 if typed else 1) or not (typed or given.dtype == jnp.uint32):
        raise ValueError(
            "key must be one key, such as jax.random.key(0), and another one in every "
            f"step, jax.random.fold_in(key, step): got {key!r}"
        )

"""Counting of pixels, in NumPy for its arrays and in JAX for others."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec
from jax.typing import ArrayLike

from lal_jax import _checks, _labels
from lal_jax.masks import ignored_labels, without

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int


def namespace(array: ArrayLike) -> ModuleType:
    """Returns NumPy for its arrays, jax.numpy for others."""
    return np if isinstance(array, np.ndarray | np.generic) else jnp


def as_integers(indices: ArrayLike, name: str) -> Int[Array, "..."]:
    """Returns class indices as integers, NumPy's arrays as they are.

    Raises:
      ValueError: they are not integers.
    """
    if isinstance(indices, np.ndarray) and np.issubdtype(indices.dtype, np.integer):
        return cast("Array", indices)
    return _labels.as_indices(indices, name)


def pixels(
    predictions: ArrayLike,
    labels: ArrayLike,
    ignore_label: int | Sequence[int],
    where: ArrayLike | None,
) -> tuple[Int[Array, "..."], Int[Array, "..."], Bool[Array, "..."]]:
    """Returns predictions, labels and valid pixels: in NumPy if all are its arrays.

    Raises:
      ValueError: shapes or dtypes do not fit.
    """
    given = [each for each in (predictions, labels, where) if each is not None]
    on_host = all(isinstance(each, np.ndarray) for each in given)
    xp = np if on_host else jnp
    as_indices = as_integers if on_host else _labels.as_indices
    found = as_indices(predictions, "predictions")
    truth = as_indices(labels, "labels")
    if found.shape != truth.shape:
        raise ValueError(
            "predictions must be class indices of the labels' shape: got predictions "
            f"{found.shape} and labels {truth.shape}; of logits take logits.argmax(-1)"
        )
    valid = _checks.as_where(where, truth.shape, "labels", xp=xp)
    return found, truth, without(ignored_labels(ignore_label), truth, valid)


def pairs(
    first: Int[Array, "..."],
    second: Int[Array, "..."],
    valid: Bool[Array, "..."],
    classes: int,
) -> Int[Array, "classes classes"]:
    """Counts the valid pixels with a class in both arrays by the two, the first by row.

    A scatter of integers, whose sums do not depend on their order.
    """
    for indices in (first, second):
        valid = valid & (indices >= 0) & (indices < classes)
    if namespace(first) is np:
        rows, columns = (indices[valid].astype(np.int64) for indices in (first, second))
        places = rows * classes + columns
        table = np.bincount(places, minlength=classes**2)
        return cast("Array", table.reshape(classes, classes))
    place = first.astype(int) * classes + second.astype(int)
    places = jnp.where(valid, place, classes**2)
    sums = jnp.zeros(classes**2, int)
    # With explicit axes it has to be said that every device gets the sum.
    explicit = not jax.sharding.get_abstract_mesh().empty
    spread = PartitionSpec() if explicit else None
    sums = sums.at[places].add(1, mode="drop", out_sharding=spread)
    return sums.reshape(classes, classes)


def quotient(part: Array, whole: Array) -> Float[Array, "..."]:
    """Returns part / whole, 0 / 0 as 0; no part has a whole below 1."""
    return part.astype(float) / namespace(whole).maximum(whole, 1).astype(float)


def known_ratio(
    part: Int[Array, " classes"],
    whole: Array,
    known: Bool[Array, " classes"],
) -> Float[Array, " classes"]:
    """Returns part / whole by class, NaN where a class is not known."""
    xp = namespace(part)
    return xp.where(known, quotient(part, whole), xp.nan)


def mean_of_known(values: Float[Array, " classes"]) -> Float[Array, ""]:
    """Returns the mean of the values that are not NaN, 0 if there are none."""
    xp = namespace(values)
    known = ~xp.isnan(values)
    return quotient(xp.where(known, values, 0.0).sum(), known.sum())

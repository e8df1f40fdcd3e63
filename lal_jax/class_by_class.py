"""A function of one class at a time, in the memory that one class takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from jaxtyping import Array, Shaped

Result = TypeVar("Result")


def map_classes(
    function: Callable[[jax.Array, jax.Array], Result],
    probabilities: Shaped[Array, "*pixels classes"],
    targets: Shaped[Array, "*pixels classes"],
) -> Result:
    """Returns f(p, t) of every class, in arrays whose last axis is the classes.

    Reverse mode computes each class anew instead of keeping what all of them need.
    """
    by_class = jax.lax.map(
        jax.checkpoint(lambda pair: function(*pair)),
        (jnp.moveaxis(probabilities, -1, 0), jnp.moveaxis(targets, -1, 0)),
    )
    return jax.tree.map(lambda values: jnp.moveaxis(values, 0, -1), by_class)

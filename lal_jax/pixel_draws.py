"""Pixels drawn at random, as many of each class."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from lal_jax.windows import NO_CLASS

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Int, Key


@functools.partial(jax.jit, static_argnames="samples")
def draw_pixels(
    labels: Int[Array, "*images pixels"],
    valid: Bool[Array, "*images pixels"],
    key: Key[Array, ""],
    samples: int,
) -> tuple[Int[Array, "*images places"], Bool[Array, "*images places"]]:
    """Returns the indices of the pixels drawn, and which of the places hold one.

    There are as many places as samples, or as pixels if these are fewer. Valid pixels
    are put in a random order within their class; the firsts of all classes are drawn,
    then the seconds, and so on. Of those that share the last places each is as likely
    as another. So a class of n gets n or all the same number, or one more.
    """
    places = min(samples, labels.shape[-1])
    within, between = jax.random.split(key)
    zeros = jnp.zeros_like(labels)  # explicit sharding wants that of the labels
    index = jax.lax.broadcasted_iota(jnp.int32, labels.shape, labels.ndim - 1)
    index += zeros.astype(jnp.int32)

    marks, _, index = jax.lax.sort(
        (jnp.where(valid, labels, NO_CLASS), _bits(within, zeros), index), num_keys=2
    )
    rank = jnp.where(marks == NO_CLASS, places, _since_change(marks))
    # Of equal rank there is one of each class. No class has more than all places.
    rank, _, index = jax.lax.sort(
        (jnp.minimum(rank, places), _bits(between, zeros), index), num_keys=2
    )
    return index[..., :places], rank[..., :places] < places


def _bits(key: Key[Array, ""], zeros: Int[Array, "..."]) -> Int[Array, "..."]:
    """Returns random integers in the shape and the sharding of the zeros."""
    return jax.random.bits(key, zeros.shape, jnp.uint32) + zeros.astype(jnp.uint32)


def _since_change(marks: Int[Array, "*images pixels"]) -> Int[Array, "*images pixels"]:
    """Returns how many equal marks stand right before each."""
    axis = marks.ndim - 1
    changed = marks[..., 1:] != marks[..., :-1]
    changed = jnp.concatenate([jnp.ones_like(changed[..., :1]), changed], axis=-1)
    place = jax.lax.broadcasted_iota(jnp.int32, marks.shape, axis)
    return place - jax.lax.cummax(jnp.where(changed, place, 0), axis=axis)

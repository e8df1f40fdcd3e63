"""ReLU, differentiated by its result."""

from __future__ import annotations

import functools
import operator

import jax
import jax.numpy as jnp

from models.pointwise import rows_are_divided


def relu(*terms: jax.Array) -> jax.Array:
    """Returns max(x, 0) of the sum of its arguments, `[..., channels]`.

    It has reverse mode alone. All but the channels are one axis within, as in a product
    of matrices: XLA's GPU code has that product add the terms, and bound them.
    """
    shape = terms[0].shape
    if not rows_are_divided():
        terms = tuple(term.reshape(-1, shape[-1]) for term in terms)
    return _bounded(functools.reduce(operator.add, terms)).reshape(shape)


@jax.custom_vjp
def _bounded(x: jax.Array) -> jax.Array:
    """Returns max(x, 0).

    Its derivative is read off the result, which the next layer keeps anyway, so that
    the backward pass needs nothing else. The barrier has XLA keep that one array: it
    would keep the sum before it too, where a kernel could make the result anew.
    """
    return jnp.maximum(x, 0)


def _forward(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    result = jax.lax.optimization_barrier(jnp.maximum(x, 0))
    return result, result


def _backward(result: jax.Array, slope: jax.Array) -> tuple[jax.Array]:
    return (jnp.where(result > 0, slope, 0),)


_bounded.defvjp(_forward, _backward)

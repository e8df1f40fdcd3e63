"""The log-determinant of what is left of a covariance once other variables are known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from jaxtyping import Array, Float

RIDGE = 1e-6  # ξ, beside variances of probabilities


def conditional_log_determinant(
    vectors: Float[Array, "*batch two_d rows columns"],
    count: Float[Array, "*images 1 1"],
    *,
    batch_axes: tuple[int, ...],
) -> Float[Array, "*images"]:
    r"""Returns ln det(M/ξ) where the first d variables of 2d explain the last.

    .. math:: M = \Sigma_Y + \xi I - \Sigma_{YP} (\Sigma_P + \xi I)^{-1} \Sigma_{PY}

    With K the covariance of all and K + ξI = L Lᵀ, ln det M is that of the last d
    places of L's diagonal.

    Sums of products near 1 have no digits left for ξ in float32. So a first factor L₁,
    of K with a larger ridge, only makes the variables nearly uncorrelated, and a second
    one is of the products of those, L = L₁ L₂. Whatever lower triangular matrix L₁ is,
    their product is the same: derivatives of any order hold it constant.

    Args:
      vectors: of mean 0, and 0 where not counted, `[..., 2d, rows, columns]`.
      count: how many count, at least 1, with axes of length 1 for the others.
      batch_axes: the leading axes to sum over as well; they stay, with length 1.
    """
    half = vectors.shape[-3] // 2
    identity = jnp.eye(2 * half, dtype=vectors.dtype)
    identity = identity.reshape((1,) * (vectors.ndim - 3) + identity.shape)

    def covariance(vectors: jax.Array) -> jax.Array:
        products = _einsum("...ihw,...jhw->...ij", vectors, vectors)
        return jnp.sum(products, axis=batch_axes, keepdims=True) / count

    rough = covariance(jax.lax.stop_gradient(vectors))
    variance = jnp.trace(rough, axis1=-2, axis2=-1)[..., None, None]
    # More than the rounding of the products, which is relative to the variance.
    first = _cholesky(rough + (10 * RIDGE + 1e-6 * variance) * identity)
    inverse = jax.lax.linalg.triangular_solve(
        first, jnp.broadcast_to(identity, first.shape), left_side=True, lower=True
    )
    vectors = _einsum("...ij,...jhw->...ihw", inverse, vectors)
    ridge = RIDGE * _einsum("...ik,...jk->...ij", inverse, inverse)
    second = _cholesky(covariance(vectors) + ridge)
    places = _diagonal(first) * _diagonal(second) / math.sqrt(RIDGE)
    return 2.0 * jnp.sum(jnp.log(places[..., half:]), axis=-1)


def _einsum(formula: str, *arrays: jax.Array) -> jax.Array:
    """Returns sums of products in full precision, which GPUs and TPUs round if let."""
    return jnp.einsum(formula, *arrays, precision=jax.lax.Precision.HIGHEST)


def _cholesky(matrix: Float[Array, "... n n"]) -> Float[Array, "... n n"]:
    """Returns the lower factor of a matrix that is symmetric as it is."""
    return jax.lax.linalg.cholesky(matrix, symmetrize_input=False)


def _diagonal(matrix: Float[Array, "... n n"]) -> Float[Array, "... n"]:
    return jnp.diagonal(matrix, axis1=-2, axis2=-1)

"""The log-determinant of the covariance that other variables leave unexplained."""

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

    With K the covariance of all and K + ξI = L Lᵀ, det M is the square of the product
    of the last d places of L's diagonal.

    Beside sums of products near 1, ξ has no digits left in float32. So a first factor
    L₁, of K with a larger ridge, only makes the variables nearly uncorrelated, and a
    second one is of the products of those: L = L₁ L₂. Whatever lower triangular matrix
    L₁ is, L is the same, which is why derivatives of any order hold L₁ constant.

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
    rough += (10 * RIDGE + 1e-6 * variance) * identity
    log_determinant = _last_log_determinant
    split = _factor_and_inverse
    for _ in range(vectors.ndim - 3):  # JAX's own batches take no explicit sharding
        log_determinant, split = jax.vmap(log_determinant), jax.vmap(split)
    first, inverse = split(rough)
    vectors = _einsum("...ij,...jhw->...ihw", inverse, vectors)
    ridge = RIDGE * _einsum("...ik,...jk->...ij", inverse, inverse)
    places = jnp.diagonal(first, axis1=-2, axis2=-1)[..., half:]
    return log_determinant(covariance(vectors) + ridge, places / math.sqrt(RIDGE))


@jax.custom_jvp
def _last_log_determinant(
    matrix: Float[Array, "two_d two_d"], scale: Float[Array, " d"]
) -> Float[Array, ""]:
    """Returns 2 Σ ln(s l) over the last d places l of the Cholesky factor's diagonal.

    The scale is held constant.
    """
    factor, _ = _factor_and_inverse(matrix)
    return 2.0 * jnp.sum(jnp.log(scale * jnp.diagonal(factor)[-len(scale) :]))


@_last_log_determinant.defjvp
def _last_log_determinant_jvp(primals, tangents):
    """Applies tr(B dK Bᵀ), where B are the last d rows of the factor's inverse."""
    (matrix, scale), (change, _) = primals, tangents
    _, inverse = _factor_and_inverse(matrix)
    rows = inverse[-len(scale) :]
    slope = _einsum("ki,kj->ij", rows, rows)
    return _last_log_determinant(matrix, scale), jnp.sum(slope * change)


def _factor_and_inverse(
    matrix: Float[Array, "n n"],
) -> tuple[Float[Array, "n n"], Float[Array, "n n"]]:
    """Returns the Cholesky factor, lower triangular, and its inverse."""
    factor = jax.lax.linalg.cholesky(matrix, symmetrize_input=False)
    identity = jnp.eye(len(matrix), dtype=matrix.dtype)
    inverse = jax.lax.linalg.triangular_solve(
        factor, identity, left_side=True, lower=True
    )
    return factor, inverse


def _einsum(formula: str, *arrays: jax.Array) -> jax.Array:
    """Returns sums of products in full precision, which GPUs and TPUs round if let."""
    return jnp.einsum(formula, *arrays, precision=jax.lax.Precision.HIGHEST)

"""Weighted ensembles of estimates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from lal_jax import _checks

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Float


def weighted_ensemble(
    estimates: Sequence[ArrayLike] | Float[Array, "estimators *axes"],
    weights: ArrayLike | Sequence[float],
) -> Float[Array, "*axes"]:
    r"""Returns the weighted mean of several estimates.

    .. math:: \hat E_w = \sum_i w(i)\, \hat E_i, \quad \sum_i w(i) = 1

    Args:
      estimates: arrays of one shape, such as losses, as a sequence or stacked along the
        first axis.
      weights: w, one number per estimate, not negative; divided by their sum.

    Returns:
      The mean, in the shape of one estimate. float32, or float64 for float64 estimates.

    Raises:
      ValueError: the number of weights differs from that of estimates, a weight is
        negative or not finite, all are 0, shapes differ, or estimates are not floating
        point.

    >>> import jax.numpy as jnp
    >>> weighted_ensemble([jnp.zeros(2), jnp.ones(2)], [1.0, 3.0]).tolist()
    [0.75, 0.75]

    Source: Eq. 1 of Guo et al. 2018.
    """
    stacked = _checks.as_float(_stack(estimates), "estimates")
    _checks.check_weights("weights", weights)
    if not isinstance(weights, jax.core.Tracer) and np.sum(weights) == 0:
        raise ValueError(f"weights must not all be 0, got {weights!r}")
    weights = jnp.asarray(weights, stacked.dtype)
    if stacked.ndim == 0 or weights.shape != stacked.shape[:1]:
        raise ValueError(
            "weights must hold one number for each estimate: got weights "
            f"{weights.shape} and stacked estimates {stacked.shape}"
        )
    shares = weights / jnp.sum(weights)
    return jnp.sum(shares.reshape(-1, *(1,) * (stacked.ndim - 1)) * stacked, axis=0)


def _stack(estimates: Sequence[ArrayLike] | Float[Array, "..."]) -> Float[Array, "..."]:
    if not isinstance(estimates, list | tuple):
        return jnp.asarray(estimates)
    shapes = [jnp.shape(estimate) for estimate in estimates]
    if len(set(shapes)) != 1:
        raise ValueError(f"estimates must be arrays of one shape, got shapes {shapes}")
    return jnp.stack([jnp.asarray(estimate) for estimate in estimates])

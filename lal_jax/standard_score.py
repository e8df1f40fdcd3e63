"""The standard score of a pixel's logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from lal_jax._checks import as_float

if TYPE_CHECKING:
    from jaxtyping import Array, Float

# With epsilon=0 equal logits have variance 0; from here on rsqrt has a finite slope.
_MINIMAL_VARIANCE = 1e-24


def standard_score(
    logits: Float[Array, "*axes classes"], *, epsilon: float = 1e-6
) -> Float[Array, "*axes classes"]:
    r"""Normalises the logits of each pixel to mean 0 and standard deviation 1.

    .. math:: x = (\hat x - \mu) / \sqrt{\sigma^2 + \epsilon}

    with mean and population variance over the classes of one pixel. The result does
    not change when a pixel's logits are shifted, nor (up to `epsilon`) when they are
    scaled by a positive factor.

    Args:
      logits: raw scores, `[..., classes]`, floating point.
      epsilon: added to the variance, in squared logits; bounds the gradient at pixels
        whose logits are all equal by `epsilon ** -0.5`.

    Returns:
      The scores, same shape; float32, or float64 for float64 logits.

    Raises:
      ValueError: the logits are not floating point.

    >>> import jax.numpy as jnp
    >>> standard_score(jnp.array([1.0, 2.0, 3.0])).round(3).tolist()
    [-1.225, 0.0, 1.225]

    Source: section 3.1 of Guo et al. 2018, which has no epsilon. The variance takes
    two passes, since E[x²] − E[x]² cancels when the logits share a large offset.
    Where the variance overflows (logits some 1e18 apart in float32) the score is 0.
    """
    score, _ = score_and_inverse_deviation(logits, epsilon=epsilon)
    return score


def score_and_inverse_deviation(
    logits: Float[Array, "*axes classes"], *, epsilon: float = 1e-6
) -> tuple[Float[Array, "*axes classes"], Float[Array, "*axes 1"]]:
    """Returns the standard score and 1/√(σ² + ε), which its derivative needs."""
    logits = as_float(logits, "logits")
    # Shifting by the largest logit changes nothing but saves the digits that a common
    # offset would cost.
    largest = jax.lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True))
    shifted = logits - largest
    centered = shifted - jnp.mean(shifted, axis=-1, keepdims=True)
    variance = jnp.mean(jnp.square(centered), axis=-1, keepdims=True)
    inverse_deviation = jax.lax.rsqrt(
        jnp.maximum(variance + epsilon, _MINIMAL_VARIANCE)
    )
    return centered * inverse_deviation, inverse_deviation

"""The standard score of each pixel's logits."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from lal_jax import _checks

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float

EPSILON = 1e-6  # joins σ² inside the root, in squared logits
# Larger logits are clipped: the sum of their differences would overflow float32.
LARGEST_LOGIT = 3e18
# Stands for epsilon=0, so that equal logits, of variance 0, have a finite gradient.
_MINIMAL_EPSILON = 1e-24


def standard_score(
    logits: Float[Array, "*axes classes"], *, epsilon: float = EPSILON
) -> Float[Array, "*axes classes"]:
    r"""Normalizes the logits of each pixel to mean 0 and standard deviation 1.

    .. math:: x = (\hat x - \mu) / \sqrt{\sigma^2 + \epsilon}

    with mean and population variance over the classes of one pixel. The result does
    not change when a pixel's logits are shifted, nor (up to `epsilon`) when they are
    scaled by a positive factor.

    Args:
      logits: raw scores, `[..., classes]`, floating point.
      epsilon: added to the variance, in squared logits; bounds the slope by
        `epsilon ** -0.5`, which pixels with equal logits reach.

    Returns:
      The scores, same shape; float32, or float64 for float64 logits.

    Raises:
      ValueError: the logits are not floating point, or `epsilon` is negative.

    >>> import jax.numpy as jnp
    >>> standard_score(jnp.array([1.0, 2.0, 3.0])).round(3).tolist()
    [-1.225, 0.0, 1.225]

    Source: section 3.1 of Guo et al. 2018, which has no epsilon. The variance takes
    two passes, since E[x²] − E[x]² cancels when the logits share a large offset.
    Logits are clipped to ±3e18, and where their variance still overflows, the score is
    0. A NaN or infinite logit makes its pixel's scores NaN.
    """
    _checks.check_not_negative("epsilon", epsilon)
    logits = _checks.as_logits(logits)
    score, _ = score_and_inverse_deviation(logits, epsilon)
    return score


def score_and_inverse_deviation(
    logits: Float[Array, "*pixels classes"], epsilon: float
) -> tuple[Float[Array, "*pixels classes"], Float[Array, "*pixels 1"]]:
    """Returns the standard score and 1/√(σ² + ε), σ that of each pixel."""
    return _score(logits, 1, (), epsilon)


def image_score_and_inverse_deviation(
    logits: Float[Array, "*batch_pixels classes"],
    valid: Bool[Array, "*batch_pixels"],
    axes: tuple[int, ...],
    epsilon: float,
) -> tuple[Float[Array, "*batch_pixels classes"], Float[Array, "..."]]:
    """Returns x = (x̂ − μ)/√(σ² + ε) and 1/√(σ² + ε), σ that of each image.

    Args:
      logits: 0 at ignored pixels.
      valid: False at ignored pixels.
      axes: the spatial ones, of `valid`; σ² is the mean of (x̂ − μ)² over them, the
        valid pixels alone, and the classes.
      epsilon: added to the variance.
    """
    return _score(logits, count_pixels(valid, axes, logits.dtype), axes, epsilon)


def count_pixels(
    valid: Bool[Array, "*batch_pixels"], axes: tuple[int, ...], dtype: np.dtype
) -> Float[Array, "..."]:
    """Returns the number of each image's valid pixels, at least 1, `[..., 1]`."""
    pixels = jnp.maximum(jnp.sum(valid, axis=axes, keepdims=True), 1)
    return pixels[..., None].astype(dtype)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _score(
    logits: Float[Array, "*batch_pixels classes"],
    pixels: Float[Array, "..."] | int,
    axes: tuple[int, ...],
    epsilon: float,
) -> tuple[Float[Array, "*batch_pixels classes"], Float[Array, "..."]]:
    """Returns the score and 1/√(σ² + ε); the pixels along `axes` share their σ.

    The derivative is stated below in terms of these two alone, which takes fewer passes
    over the logits than autodiff's.
    """
    bounded = jnp.clip(logits, -LARGEST_LOGIT, LARGEST_LOGIT)
    logits = jnp.where(jnp.isinf(logits), jnp.nan, bounded)
    # Shifting by the largest logit changes nothing but saves the digits that a common
    # offset would cost.
    shifted = logits - jnp.max(logits, axis=-1, keepdims=True)
    centered = shifted - jnp.mean(shifted, axis=-1, keepdims=True)
    variance = score_mean(jnp.square(centered), pixels, axes)
    far = jnp.isinf(variance)  # and not NaN, which must show in all that share it
    root = jax.lax.rsqrt(variance + max(epsilon, _MINIMAL_EPSILON))
    inverse = jnp.where(far, 0.0, root)
    return centered * inverse, inverse


@_score.defjvp
def _score_jvp(axes, epsilon, primals, tangents):
    """Applies dx = (d − mean d − x mean(x d)) / σ and d(1/σ) = −mean(x d) / σ².

    The first mean is over the classes, the second over all that σ is taken over.
    """
    (logits, pixels), (change, _) = primals, tangents
    score, inverse = _score(logits, pixels, axes, epsilon)
    score, inverse = jax.lax.optimization_barrier((score, inverse))
    mean = jnp.mean(change, axis=-1, keepdims=True)
    overlap = score_mean(score * change, pixels, axes)
    d_score = inverse * (change - mean - score * overlap)
    return (score, inverse), (d_score, -jnp.square(inverse) * overlap)


def score_mean(
    values: Float[Array, "*batch_pixels classes"],
    pixels: Float[Array, "..."] | int,
    axes: tuple[int, ...],
) -> Float[Array, "..."]:
    """Returns the mean over the classes and, divided by `pixels`, over the axes."""
    of_pixels = jnp.mean(values, axis=-1, keepdims=True)
    return jnp.sum(of_pixels / pixels, axis=axes, keepdims=True) if axes else of_pixels

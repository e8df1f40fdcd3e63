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
# A logit that is further below the largest of its pixel counts as this much below, so
# that no finite logit overflows float32.
FARTHEST = 1e22
# Joins the differences before they are squared and leaves with the root; exact.
DOWN = 2.0**-20
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
    A logit more than 1e22 below the largest one of its pixel counts as 1e22 below. A
    NaN or infinite logit makes its pixel's scores NaN.
    """
    _checks.check_not_negative("epsilon", epsilon)
    logits = _checks.as_logits(logits)
    valid = jnp.ones(logits.shape[:-1], bool)
    score, _ = score_and_inverse_deviation(logits, valid, epsilon)
    return score


def score_and_inverse_deviation(
    logits: Float[Array, "*pixels classes"],
    valid: Bool[Array, "*pixels"],
    epsilon: float,
) -> tuple[Float[Array, "*pixels classes"], Float[Array, "*pixels 1"]]:
    """Returns the standard score and 1/√(σ² + ε), σ that of each pixel.

    Both are 0 at ignored pixels, whatever their logits are.
    """
    return _score(logits, valid, 1, (), epsilon)


def image_score_and_inverse_deviation(
    logits: Float[Array, "*batch_pixels classes"],
    valid: Bool[Array, "*batch_pixels"],
    axes: tuple[int, ...],
    epsilon: float,
) -> tuple[Float[Array, "*batch_pixels classes"], Float[Array, "..."]]:
    """Returns x = (x̂ − μ)/√(σ² + ε) and 1/√(σ² + ε), σ that of each image.

    Args:
      logits: as given; those of ignored pixels have no effect, and a score of 0.
      valid: False at ignored pixels.
      axes: the spatial ones, of `valid`; σ² is the mean of (x̂ − μ)² over them, the
        valid pixels alone, and the classes.
      epsilon: added to the variance.
    """
    return _score(logits, valid, count_pixels(valid, axes, logits.dtype), axes, epsilon)


def count_pixels(
    valid: Bool[Array, "*batch_pixels"], axes: tuple[int, ...], dtype: np.dtype
) -> Float[Array, "..."]:
    """Returns the number of each image's valid pixels, at least 1, `[..., 1]`."""
    pixels = jnp.maximum(jnp.sum(valid, axis=axes, keepdims=True), 1)
    return pixels[..., None].astype(dtype)


# Both derivatives are stated, in terms of x̂ − μ and 1/σ alone, which takes fewer passes
# over the logits than autodiff's. Products with 1/σ come one after the other, as its
# square and cube may underflow.


@functools.partial(jax.custom_jvp, nondiff_argnums=(3, 4))
def _score(
    logits: Float[Array, "*batch_pixels classes"],
    valid: Bool[Array, "*batch_pixels"],
    pixels: Float[Array, "..."] | int,
    axes: tuple[int, ...],
    epsilon: float,
) -> tuple[Float[Array, "*batch_pixels classes"], Float[Array, "..."]]:
    """Returns the score and 1/√(σ² + ε); the pixels along `axes` share their σ."""
    (centered, *_), inverse = _centered(logits, valid, pixels, axes, epsilon)
    return _where(valid, centered * inverse), _of_valid(valid, inverse, axes)


@_score.defjvp
def _score_jvp(axes, epsilon, primals, tangents):
    (logits, valid, pixels), (change, *_) = primals, tangents
    differences, inverse = _centered(logits, valid, pixels, axes, epsilon)
    centered, summed, spread = differences
    score = _where(valid, centered * inverse)
    # From here on read from memory, lest XLA spread it over the classes.
    inverse = jax.lax.optimization_barrier(inverse)
    change = _where(valid, change)
    d_inverse = _inverse_change(change, spread, inverse, valid, pixels, axes)
    # The select also ends what XLA hands to its library of reductions on a CPU, which
    # is slow at what follows.
    d_inverse = _of_valid(valid, d_inverse, axes)
    d_score = change * inverse + summed * d_inverse
    # The mean leaves last, and so reverse mode takes it first: between the two sums.
    d_score = _where(valid, _less_mean(d_score))
    return (score, _of_valid(valid, inverse, axes)), (d_score, d_inverse)


@functools.partial(jax.custom_jvp, nondiff_argnums=(3, 4))
def _centered(
    logits: Float[Array, "*batch_pixels classes"],
    valid: Bool[Array, "*batch_pixels"],
    pixels: Float[Array, "..."] | int,
    axes: tuple[int, ...],
    epsilon: float,
) -> tuple[list[Float[Array, "*batch_pixels classes"]], Float[Array, "..."]]:
    """Returns x̂ − μ three times, and 1/√(σ² + ε).

    The first is for the score, the others for its derivatives: that by which reverse
    mode multiplies before it sums over the classes, and after. They are computed from
    the logits and two numbers a pixel and written in three ways, as XLA would keep what
    it sees to be equal in an array of the logits' size. Without axes all three are
    anything at ignored pixels.
    """
    # Shifting by the largest logit changes nothing but saves the digits that a common
    # offset would cost.
    largest = jnp.max(logits, axis=-1, keepdims=True)
    bounded = jnp.maximum(logits - largest, -FARTHEST)
    # x − x is NaN for −inf, the only logit that the bound makes finite. Looking for
    # the smallest of a pixel's logits would be a pass of its own.
    shifted = bounded + (logits - logits)
    mean = jnp.mean(shifted, axis=-1, keepdims=True)
    centered, spread = shifted - mean, bounded - mean
    # Behind a barrier: numbers a pixel that XLA's library of reductions reads as they
    # are, and need not have spread over the classes.
    squares = jnp.square((shifted - jax.lax.optimization_barrier(mean)) * DOWN)
    variance = score_mean(squares, valid, pixels, axes)
    epsilon = max(epsilon, _MINIMAL_EPSILON) * DOWN**2
    inverse = jax.lax.rsqrt(variance + epsilon) * DOWN
    largest, mean = jax.lax.optimization_barrier((largest, mean))
    summed = -(jnp.minimum(largest - logits, FARTHEST) + mean)
    differences = [centered, summed, spread]
    if axes:  # sums over pixels follow
        differences = [_where(valid, one) for one in differences]
    return differences, inverse


@_centered.defjvp
def _centered_jvp(axes, epsilon, primals, tangents):
    (logits, valid, pixels), (change, *_) = primals, tangents
    differences, inverse = _centered(logits, valid, pixels, axes, epsilon)
    change = _where(valid, change)
    d_inverse = _inverse_change(change, differences[1], inverse, valid, pixels, axes)
    return (differences, inverse), ([_less_mean(change)] * 3, d_inverse)


def _inverse_change(
    change: Float[Array, "*batch_pixels classes"],
    centered: Float[Array, "*batch_pixels classes"],
    inverse: Float[Array, "..."],
    valid: Bool[Array, "*batch_pixels"],
    pixels: Float[Array, "..."] | int,
    axes: tuple[int, ...],
) -> Float[Array, "..."]:
    """Returns that of 1/σ, −mean((x̂ − μ) d) / σ³, of a change that ignored logits lack.

    The mean is over all that σ is taken over.
    """
    overlap = score_mean(centered * change, valid, pixels, axes)
    return -overlap * inverse * inverse * inverse


def _less_mean(
    values: Float[Array, "*batch_pixels classes"],
) -> Float[Array, "*batch_pixels classes"]:
    """Returns the values less their mean over the classes."""
    return values - jnp.mean(values, axis=-1, keepdims=True)


def score_mean(
    values: Float[Array, "*batch_pixels classes"],
    valid: Bool[Array, "*batch_pixels"],
    pixels: Float[Array, "..."] | int,
    axes: tuple[int, ...],
) -> Float[Array, "..."]:
    """Returns the mean over the classes or, with axes, over the valid pixels too.

    There are `pixels` of these; without axes ignored pixels have means like the others.
    """
    of_pixels = jnp.mean(values, axis=-1, keepdims=True)
    if not axes:
        return of_pixels
    return jnp.sum(_where(valid, of_pixels) / pixels, axis=axes, keepdims=True)


def _of_valid(
    valid: Bool[Array, "*pixels"], inverse: Float[Array, "..."], axes: tuple[int, ...]
) -> Float[Array, "..."]:
    """Returns 0 for ignored pixels, unless the pixels share one number."""
    return inverse if axes else _where(valid, inverse)


def _where(
    valid: Bool[Array, "*pixels"], values: Float[Array, "*pixels classes"]
) -> Float[Array, "*pixels classes"]:
    return jnp.where(valid[..., None], values, 0.0)

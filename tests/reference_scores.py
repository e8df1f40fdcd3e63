"""Scores of logits as NumPy float64 loops, with gradients; see `reference.py`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

EPSILON = 1e-6  # joins σ² inside the root


def scores(logits: Array, valid: Array, *, normalization: str, rank: int = 2) -> Array:
    """What is pooled: the logits by one of the normalizations, 0 where ignored."""
    x = np.asarray(logits, np.float64)
    if normalization == "standard_score":
        x = standard_score(logits)
    if normalization == "image_score":
        x = image_score(logits, where=valid, rank=rank)
    return np.where(valid[..., None], x, 0.0)


def scores_gradient(
    gradient: Array,
    logits: Array,
    valid: Array,
    *,
    normalization: str,
    rank: int = 2,
) -> Array:
    """∂L/∂x̂ from ∂L/∂x."""
    if normalization == "standard_score":
        return _standard_score_gradient(gradient, logits, valid)
    if normalization == "image_score":
        return _image_score_gradient(gradient, logits, valid, rank)
    return gradient


def standard_score(logits: Array, *, epsilon: float = EPSILON) -> Array:
    """x = (x̂ − μ)/σ over the classes of each pixel."""
    logits = np.asarray(logits, np.float64)
    scores = np.zeros_like(logits)
    for q in np.ndindex(logits.shape[:-1]):
        deviation = logits[q] - logits[q].mean()
        scores[q] = deviation / np.sqrt((deviation**2).mean() + epsilon)
    return scores


def image_score(
    logits: Array,
    *,
    epsilon: float = EPSILON,
    where: Array | None = None,
    rank: int = 2,
) -> Array:
    """x = (x̂ − μ_p)/σ with the σ of an image's valid pixels; 0 where ignored."""
    valid = np.ones(logits.shape[:-1], bool) if where is None else where
    scores = np.zeros(logits.shape)
    sigmas = _image_deviations(logits, valid, rank, epsilon)
    for p in np.ndindex(valid.shape):
        if valid[p]:
            own = np.asarray(logits[p], np.float64)
            scores[p] = (own - own.mean()) / sigmas[p[: len(p) - rank]]
    return scores


def _image_deviations(
    logits: Array, valid: Array, rank: int, epsilon: float = EPSILON
) -> Array:
    """σ of every image: √(Σ (x̂ − μ_p)² / (M·C) + ε) over its M valid pixels."""
    sigmas = np.full(logits.shape[: logits.ndim - 1 - rank], np.sqrt(epsilon))
    for image in np.ndindex(sigmas.shape):
        squares = []
        for own in np.asarray(logits[image], np.float64)[valid[image]]:
            squares += [(logit - own.mean()) ** 2 for logit in own]
        if squares:
            sigmas[image] = np.sqrt(np.mean(squares) + epsilon)
    return sigmas


def _standard_score_gradient(gradient: Array, logits: Array, valid: Array) -> Array:
    """(g − mean(g) − x · mean(x · g)) / σ with g = ∂L/∂x, pixel by pixel."""
    x, mapped = standard_score(logits), np.zeros(gradient.shape)
    for p in np.ndindex(valid.shape):
        if valid[p]:
            g, sigma = gradient[p], np.sqrt(np.var(logits[p]) + EPSILON)
            mapped[p] = (g - g.mean() - x[p] * (x[p] * g).mean()) / sigma
    return mapped


def _image_score_gradient(
    gradient: Array, logits: Array, valid: Array, rank: int
) -> Array:
    """(g − mean(g) − x · mean(x · g)) / σ, the last mean over the valid pixels."""
    x, mapped = image_score(logits, where=valid, rank=rank), np.zeros(gradient.shape)
    sigmas = _image_deviations(logits, valid, rank)
    for image in np.ndindex(sigmas.shape):
        places = [(*image, *p) for p in np.argwhere(valid[image])]
        overlaps = [(x[p] * gradient[p]).mean() for p in places]
        for p in places:
            g = gradient[p]
            mapped[p] = (g - g.mean() - x[p] * np.mean(overlaps)) / sigmas[image]
    return mapped

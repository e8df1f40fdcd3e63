"""Distances and the boundary loss in plain NumPy float64 loops; see `reference.py`."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.reference import Array

Index = tuple[int, ...]


def signed_distances(
    labels: Array,
    *,
    num_classes: int,
    spacing: float | tuple[float, ...] = 1.0,
    ignore_label: int | tuple[int, ...] = 255,
    where: Array | None = None,
) -> Array:
    """φ, each from all pixels of the image on the other side; 0 if there are none.

    Labels are class indices or, with another axis, boolean targets.
    """
    steps = (spacing, spacing) if isinstance(spacing, float) else spacing
    targets = where is not None and labels.ndim > where.ndim
    shape = labels.shape[:-1] if targets else labels.shape
    phi = np.zeros((*shape, num_classes))
    for image in np.ndindex(shape[: len(shape) - len(steps)]):
        pixels = list(_counted(image, labels, shape, num_classes, ignore_label, where))
        for q in pixels:
            for c in range(num_classes):
                inside = _belongs(labels, q, c, targets)
                across = [
                    math.dist(np.multiply(q[-len(steps) :], steps), place)
                    for r, place in _places(pixels, steps)
                    if _belongs(labels, r, c, targets) != inside
                ]
                if across:
                    phi[(*q, c)] = -min(across) if inside else min(across)
    return phi


def boundary_loss(logits: Array, labels: Array, **options: Any) -> Array:
    """Kervadec et al. 2019: the mean over pixels of Σ p φ."""
    return boundary_loss_and_gradient(logits, labels, **options)[0]


def boundary_loss_and_gradient(
    logits: Array,
    labels: Array,
    *,
    distances: Array | None = None,
    spacing: float | tuple[float, ...] = 1.0,
    activation: str = "softmax",
    per_image: bool = True,
    class_weights: Array | None = None,
    ignore_label: int | tuple[int, ...] = 255,
    where: Array | None = None,
) -> tuple[Array, Array]:
    """The losses of all images, and the gradient of their sum by the logits."""
    classes, pixels_shape = logits.shape[-1], logits.shape[:-1]
    rank = 2 if isinstance(spacing, float) else len(spacing)
    where = np.ones(pixels_shape, bool) if where is None else where
    masking: Any = {"ignore_label": ignore_label, "where": where}
    if distances is None:
        distances = signed_distances(
            labels, num_classes=classes, spacing=spacing, **masking
        )
    weights = np.ones(classes) if class_weights is None else class_weights
    leading = pixels_shape[: len(pixels_shape) - rank] if per_image else ()
    losses, gradient = np.zeros(leading), np.zeros(logits.shape)
    for image in np.ndindex(leading):
        pixels = list(
            _counted(image, labels, pixels_shape, classes, ignore_label, where)
        )
        for q in pixels:
            slope = weights * distances[q] / len(pixels)
            p, by_logits = _activated(np.asarray(logits[q], float), slope, activation)
            losses[image] += (p * slope).sum()
            gradient[q] = by_logits
    return losses, gradient


def _activated(x: Array, slope: Array, activation: str) -> tuple[Array, Array]:
    """A pixel's probabilities, and its slope by the logits from that by these."""
    if activation == "none":
        return x, slope
    if activation == "sigmoid":
        p = 1 / (1 + np.exp(-x))
        return p, p * (1 - p) * slope
    p = np.exp(x - x.max())
    p /= p.sum()
    return p, p * (slope - (p * slope).sum())


def _counted(
    image: Index,
    labels: Array,
    shape: tuple[int, ...],
    classes: int,
    ignore_label: int | tuple[int, ...],
    where: Array | None,
) -> Iterator[Index]:
    """The pixels of an image that are not ignored; of all if no image is named."""
    for rest in np.ndindex(shape[len(image) :]):
        q = (*image, *rest)
        if where is not None and not where[q]:
            continue
        if labels.ndim > len(shape):
            yield q
        elif labels[q] not in np.atleast_1d(ignore_label) and 0 <= labels[q] < classes:
            yield q


def _belongs(labels: Array, q: Index, c: int, targets: bool) -> bool:
    return bool(labels[(*q, c)]) if targets else labels[q] == c


def _places(
    pixels: list[Index], steps: tuple[float, ...]
) -> Iterator[tuple[Index, Array]]:
    for r in pixels:
        yield r, np.multiply(r[-len(steps) :], steps)

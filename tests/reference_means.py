"""Means over pixels as NumPy float64 loops, with gradients; see `reference.py`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def masked_mean(losses: Array, *, where: Array | None = None) -> Array:
    """1/M · Σ L over the M valid pixels of each image; zero if there are none."""
    return minkowski_mean(losses, power=1.0, where=where)


def minkowski_mean(
    losses: Array, *, power: float = 3.0, where: Array | None = None, rank: int = 2
) -> Array:
    """Eq. 5: (1/M · Σ L^k)^(1/k) over the M valid pixels of each image."""
    means = np.zeros(losses.shape[:-rank])
    for image in np.ndindex(means.shape):
        valid = slice(None) if where is None else where[image]
        terms = [float(loss) ** power for loss in losses[image][valid].ravel()]
        if terms:
            means[image] = (sum(terms) / len(terms)) ** (1 / power)
    return means


def minkowski_gradient(
    losses: Array, *, power: float, where: Array, rank: int = 2
) -> Array:
    """Eq. 7 without its last sum: M^(−1/k) (Σ L^k)^(1/k−1) · L_q^(k−1)."""
    gradient = np.zeros(losses.shape)
    for q in np.ndindex(losses.shape):
        image = q[:-rank]
        valid = losses[image][where[image]]
        total = (valid**power).sum()
        if where[q] and total > 0:
            gradient[q] = valid.size ** (-1 / power) * total ** (1 / power - 1)
            gradient[q] *= losses[q] ** (power - 1)
    return gradient


def class_balanced_mean(
    losses: Array,
    labels: Array,
    *,
    exponent: float = 0.5,
    power: float = 1.0,
    where: Array | None = None,
    ignore_label: int = 255,
    classes: int | None = None,
    rank: int = 2,
) -> Array:
    """(Σ w L^k / Σ w)^(1/k) with w = n_c^(−exponent), n_c of the image's pixels."""
    weights = _balancing_weights(labels, exponent, where, ignore_label, classes, rank)
    means = np.zeros(losses.shape[: losses.ndim - rank])
    for image in np.ndindex(means.shape):
        used = [
            (weight, float(losses[image][p]))
            for p, weight in np.ndenumerate(weights[image])
            if weight > 0
        ]
        if used:
            total = sum(weight * loss**power for weight, loss in used)
            means[image] = (total / sum(weight for weight, _ in used)) ** (1 / power)
    return means


def class_balanced_gradient(
    losses: Array,
    labels: Array,
    *,
    exponent: float = 0.5,
    power: float = 1.0,
    where: Array | None = None,
    ignore_label: int = 255,
    classes: int | None = None,
    rank: int = 2,
) -> Array:
    """w_q / Σ w · (L_q / L)^(k−1) by each loss."""
    means = class_balanced_mean(
        losses,
        labels,
        exponent=exponent,
        power=power,
        where=where,
        ignore_label=ignore_label,
        classes=classes,
        rank=rank,
    )
    weights = _balancing_weights(labels, exponent, where, ignore_label, classes, rank)
    gradient = np.zeros(losses.shape)
    for q in np.ndindex(losses.shape):
        image = q[: losses.ndim - rank]
        if weights[q] > 0 and means[image] > 0:
            gradient[q] = weights[q] / weights[image].sum()
            gradient[q] *= (losses[q] / means[image]) ** (power - 1)
    return gradient


def _balancing_weights(
    labels: Array,
    exponent: float,
    where: Array | None,
    ignore_label: int,
    classes: int | None,
    rank: int,
) -> Array:
    """n_c^(−exponent) of every pixel; 0 where ignored or of no class."""
    weights = np.zeros(labels.shape)
    for image in np.ndindex(labels.shape[: labels.ndim - rank]):
        counts: dict[int, int] = {}
        counted = []
        for p, label in np.ndenumerate(labels[image]):
            valid = label != ignore_label and (where is None or where[image][p])
            if valid and (classes is None or 0 <= label < classes):
                counts[int(label)] = counts.get(int(label), 0) + 1
                counted.append((p, int(label)))
        for p, label in counted:
            weights[image][p] = counts[label] ** -exponent
    return weights

"""The losses of drawn pixels in plain NumPy float64 loops; see `reference.py`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.reference import Array

# From cosines and labels of the pixels drawn: the loss, and its slope by each cosine.
OfPairs = Callable[[Array, Array], tuple[float, Array]]


def pixel_contrast_loss(
    features: Array,
    labels: Array,
    *,
    temperature: float = 0.1,
    denominator: str = "negatives",
    **common: Any,
) -> Array:
    """Wang et al. 2021, Eq. 3, or Khosla et al. 2020, Eq. 2, of the pixels drawn."""
    of_pairs = _contrast(temperature, denominator)
    return _of_images(features, labels, of_pairs, **common)[0]


def pixel_contrast_gradient(
    features: Array,
    labels: Array,
    *,
    temperature: float = 0.1,
    denominator: str = "negatives",
    **common: Any,
) -> Array:
    """The gradient of the sum of the losses by the features."""
    of_pairs = _contrast(temperature, denominator)
    return _of_images(features, labels, of_pairs, **common)[1]


def pixel_triplet_loss(
    features: Array, labels: Array, *, margin: float = 0.2, **common: Any
) -> Array:
    """Hermans et al. 2017, Eq. 5, with the distances of Schroff et al. 2015."""
    return _of_images(features, labels, _triplet(margin), **common)[0]


def pixel_triplet_gradient(
    features: Array, labels: Array, *, margin: float = 0.2, **common: Any
) -> Array:
    """The gradient of the sum of the losses by the features."""
    return _of_images(features, labels, _triplet(margin), **common)[1]


def _contrast(temperature: float, denominator: str) -> OfPairs:
    def of_pairs(cosines: Array, kinds: Array) -> tuple[float, Array]:
        powers = np.exp(cosines / temperature)
        losses, slopes = [], []
        for i, kind in enumerate(kinds):
            positives = [p for p, k in enumerate(kinds) if k == kind and p != i]
            if not positives:
                continue
            losses.append(0.0)
            slopes.append(np.zeros_like(cosines))
            for p in positives:
                below = [n for n, k in enumerate(kinds) if k != kind] + [p]
                if denominator == "all":
                    below = [a for a in range(len(kinds)) if a != i]
                total = sum(powers[i, a] for a in below)
                losses[-1] -= np.log(powers[i, p] / total) / len(positives)
                slopes[-1][i, p] -= 1 / len(positives)
                for a in below:
                    slopes[-1][i, a] += powers[i, a] / total / len(positives)
        if not losses:
            return 0.0, np.zeros_like(cosines)
        return np.mean(losses).item(), np.mean(slopes, axis=0) / temperature

    return of_pairs


def _triplet(margin: float) -> OfPairs:
    def of_pairs(cosines: Array, kinds: Array) -> tuple[float, Array]:
        losses, slopes = [], []
        for i, kind in enumerate(kinds):
            positives = [p for p, k in enumerate(kinds) if k == kind and p != i]
            negatives = [n for n, k in enumerate(kinds) if k != kind]
            if not positives or not negatives:
                continue
            squares = 2 - 2 * cosines[i]  # ‖z_i − z_a‖²
            p = max(positives, key=squares.__getitem__)
            n = min(negatives, key=squares.__getitem__)
            losses.append(max(0.0, margin + squares[p] - squares[n]))
            slopes.append(np.zeros_like(cosines))
            if losses[-1] > 0:
                slopes[-1][i, p], slopes[-1][i, n] = -2, 2
        if not losses:
            return 0.0, np.zeros_like(cosines)
        return np.mean(losses).item(), np.mean(slopes, axis=0)

    return of_pairs


def _of_images(
    features: Array,
    labels: Array,
    of_pairs: OfPairs,
    *,
    drawn: Array | None = None,
    samples: int | None = None,
    key: object = None,
    spatial_axes: int = 2,
    per_image: bool = True,
    ignore_label: int | tuple[int, ...] = 255,
    where: Array | None = None,
) -> tuple[Array, Array]:
    """The losses and the gradient of their sum.

    Of the pixels `drawn`; if these are not given all valid ones are, no more than the
    samples, and the key does not matter.
    """
    del key
    features = np.asarray(features, np.float64)
    valid = ~np.isin(labels, ignore_label)
    valid &= True if where is None else where
    chosen = valid if drawn is None else drawn
    assert not (chosen & ~valid).any()
    losses = np.zeros(labels.shape[:-spatial_axes] if per_image else ())
    gradient = np.zeros(features.shape)
    for image in np.ndindex(losses.shape):
        x, kinds = features[image][chosen[image]], labels[image][chosen[image]]
        assert samples is None or len(kinds) <= samples
        lengths = np.array([np.sqrt(sum(one**2 for one in row)) for row in x])
        z = x / np.where(lengths == 0, 1, lengths)[:, None]
        cosines = np.array([[sum(a * b) for b in z] for a in z])
        cosines = cosines.reshape(len(x), len(x))
        losses[image], slope = of_pairs(cosines, kinds)
        by_z = (slope + slope.T) @ z
        across = by_z - z * (z * by_z).sum(-1, keepdims=True)
        share = np.where(lengths == 0, 0, 1 / np.where(lengths == 0, 1, lengths))
        gradient[image][chosen[image]] = across * share[:, None]
    return losses, gradient

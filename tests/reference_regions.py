"""The losses of windows and of skeletons in plain NumPy float64; see `reference.py`."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from tests.reference import Array

RIDGE = 1e-6
Windows = list[list[list[tuple[int, ...]]]]  # places of each block of each


def region_mutual_information_loss(
    logits: Array, labels: Array, **options: Any
) -> Array:
    """Zhao et al. 2019: ln det of the conditional covariance / 2d, above its least."""
    return _mutual_information(logits, labels, **options)[0]


def region_mutual_information_gradient(
    logits: Array, labels: Array, **options: Any
) -> Array:
    """The gradient of the sum of the losses by the logits."""
    return _mutual_information(logits, labels, **options)[1]


def cl_dice_loss(
    logits: Array,
    labels: Array,
    *,
    iterations: int = 10,
    smooth: float = 1.0,
    classes: str = "present",
    spatial_axes: int = 2,
    per_image: bool = True,
    class_weights: Array | None = None,
    **common: Any,
) -> Array:
    """Shit et al. 2021, Algorithms 1 and 2."""
    p, t, valid = _maps(logits, labels, **common)
    weights = np.ones(p.shape[-1]) if class_weights is None else class_weights
    losses = np.zeros(valid.shape[:-spatial_axes] if per_image else ())
    for group in np.ndindex(losses.shape):
        total = 0.0
        for c in range(p.shape[-1]):
            sums = np.zeros(5)
            for rest in np.ndindex(valid.shape[len(group) : -spatial_axes]):
                image = (*group, *rest)
                own, true, counts = p[image][..., c], t[image][..., c], valid[image]
                skeleton = soft_skeleton(own, counts, iterations)
                true_skeleton = soft_skeleton(true, counts, iterations)
                for q in zip(*np.nonzero(counts), strict=True):
                    sums += [
                        skeleton[q] * true[q],
                        skeleton[q],
                        true_skeleton[q] * own[q],
                        true_skeleton[q],
                        true[q],
                    ]
            if weights[c] == 0 or (classes == "present" and sums[4] == 0):
                continue
            total += weights[c]
            precision, sensitivity = (
                (hits + smooth) / (length + smooth) if length + smooth > 0 else 1.0
                for hits, length in (sums[:2], sums[2:4])
            )
            both = precision + sensitivity
            score = 2 * precision * sensitivity / both if both > 0 else 0.0
            losses[group] += weights[c] * (1 - score)
        losses[group] /= total or 1.0
    return losses


def soft_skeleton(image: Array, valid: Array, iterations: int) -> Array:
    """Algorithm 1, with pools over the valid pixels."""
    skeleton = np.maximum(image - _opened(image, valid), 0)
    for _ in range(iterations):
        image = _pooled(image, valid, min, reach=1)
        delta = np.maximum(image - _opened(image, valid), 0)
        skeleton = skeleton + np.maximum(delta - skeleton * delta, 0)
    return skeleton


def _opened(image: Array, valid: Array) -> Array:
    eroded = _pooled(image, valid, min, reach=1)
    return _pooled(eroded, valid, max, reach=image.ndim)


def _pooled(image: Array, valid: Array, extreme: Any, reach: int) -> Array:
    """The extreme over neighbors at most `reach` axes away, ignored pixels as 0."""
    pooled = np.zeros(image.shape)
    for center in zip(*np.nonzero(valid), strict=True):
        near = []
        for step in product((-1, 0, 1), repeat=image.ndim):
            place = tuple(a + b for a, b in zip(center, step, strict=True))
            inside = all(0 <= a < n for a, n in zip(place, image.shape, strict=True))
            if sum(map(abs, step)) <= reach and inside and valid[place]:
                near.append(image[place])
        pooled[center] = extreme(near)
    return pooled


def _mutual_information(
    logits: Array,
    labels: Array,
    *,
    radius: int = 3,
    downsampling: int = 4,
    per_image: bool = True,
    class_weights: Array | None = None,
    activation: str = "softmax",
    **common: Any,
) -> tuple[Array, Array]:
    p, t, valid = _maps(logits, labels, activation=activation, **common)
    weights = np.ones(p.shape[-1]) if class_weights is None else class_weights
    losses = np.zeros(valid.shape[:-2] if per_image else ())
    slope = np.zeros(p.shape)
    for group in np.ndindex(losses.shape):
        windows: Windows = [
            [[(*group, *rest, *q) for q in block] for block in window]
            for rest in np.ndindex(valid.shape[len(group) : -2])
            for window in _windows(valid[(*group, *rest)], radius, downsampling)
        ]
        truth = [vectors(one, windows) for one in np.moveaxis(t, -1, 0)]
        present = [c for c, y in enumerate(truth) if y.any() and weights[c] > 0]
        for c in present:
            share = weights[c] / sum(weights[present])
            loss, by_vector = explained(vectors(p[..., c], windows), truth[c])
            losses[group] += share * loss
            for row, window in zip(by_vector, windows, strict=True):
                for one, block in zip(row, window, strict=True):
                    for q in block:
                        slope[(*q, c)] += share * one / len(block)
    return losses, _by_logits(p, slope, activation)


def _windows(
    valid: Array, side: int, size: int
) -> Iterator[list[list[tuple[int, int]]]]:
    """The valid pixels of every block of every window in which no block has none."""
    rows, columns = (-(-length // size) for length in valid.shape)
    for top, left in np.ndindex(max(rows - side + 1, 0), max(columns - side + 1, 0)):
        blocks = [
            [
                (i, j)
                for i in range(row * size, min((row + 1) * size, valid.shape[0]))
                for j in range(column * size, min((column + 1) * size, valid.shape[1]))
                if valid[i, j]
            ]
            for row in range(top, top + side)
            for column in range(left, left + side)
        ]
        if all(blocks):
            yield blocks


def vectors(one: Array, windows: Windows) -> Array:
    """The mean of every block, a row for every window."""
    return np.array([[np.mean([one[q] for q in b]) for b in w] for w in windows])


def explained(x: Array, y: Array) -> tuple[float, Array]:
    """ln det(M/ξ) / 2d, and its slope by x with the best W held constant.

    By least squares with the ridge as further rows: inverses of the covariances, and
    the difference that M is of them, would lose half of the digits.
    """
    n, d = x.shape
    x, y = x - x.mean(0), y - y.mean(0)
    rows = np.concatenate([x / np.sqrt(n), np.sqrt(RIDGE) * np.eye(d)])
    wanted = np.concatenate([y / np.sqrt(n), np.zeros((d, d))])
    best = np.linalg.lstsq(rows, wanted)[0].T
    unexplained = wanted - rows @ best.T
    m = unexplained.T @ unexplained + RIDGE * np.eye(d)
    loss = (np.linalg.slogdet(m)[1] - d * np.log(RIDGE)) / (2 * d)
    return loss, -(y - x @ best.T) @ np.linalg.inv(m) @ best / (n * d)


def _maps(
    logits: Array,
    labels: Array,
    *,
    activation: str = "softmax",
    ignore_label: int | tuple[int, ...] = 255,
    where: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Probabilities, targets and valid pixels; ignored pixels hold 0."""
    valid = np.ones(logits.shape[:-1], bool) if where is None else np.array(where)
    t = np.asarray(labels, np.float64)
    if labels.ndim < logits.ndim:
        t = 1.0 * (labels[..., None] == np.arange(logits.shape[-1]))
        valid &= ~np.isin(labels, ignore_label) & t.any(-1)
    p = np.asarray(logits, np.float64)
    if activation == "sigmoid":
        p = 1 / (1 + np.exp(-p))
    elif activation == "softmax":
        p = np.exp(p - p.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
    hidden = ~valid[..., None]
    return np.where(hidden, 0.0, p), np.where(hidden, 0.0, t), valid


def _by_logits(p: Array, slope: Array, activation: str) -> Array:
    """The slope by the logits from that by the probabilities."""
    if activation == "none":
        return slope
    if activation == "sigmoid":
        return p * (1 - p) * slope
    return p * (slope - (p * slope).sum(-1, keepdims=True))

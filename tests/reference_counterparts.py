"""The paper's counterparts in plain NumPy float64 loops; see `reference.py`."""

import math

import numpy as np

from tests.reference import Array, valid_mask


def hard_pixel_mean(
    losses: Array,
    *,
    fraction: float = 0.25,
    threshold: float | None = None,
    minimum: int = 1,
    where: Array | None = None,
) -> Array:
    """The mean of the m largest of n valid losses.

    m = max(1, ⌊fraction · n⌋), or as many as are above a threshold, at least `minimum`.
    """
    means = np.zeros(losses.shape[:-2])
    for image in np.ndindex(means.shape):
        valid = slice(None) if where is None else where[image]
        hardest = sorted(losses[image][valid].ravel(), reverse=True)
        if hardest:
            count = _hard_count(fraction, len(hardest))
            if threshold is not None:
                count = max(minimum, sum(loss > threshold for loss in hardest))
            means[image] = np.mean(hardest[:count])
    return means


def loss_max_pooling(
    losses: Array,
    *,
    norm: float = 1.7,
    minimal_fraction: float = 0.3,
    where: Array | None = None,
) -> Array:
    """Rota Bulò et al. 2017: Σ w ℓ with w = τ·min(1, (ℓ/α)^(q−1)), α by bisection."""
    pooled = np.zeros(losses.shape[:-2])
    conjugate = norm / (norm - 1)
    for image in np.ndindex(pooled.shape):
        valid = slice(None) if where is None else where[image]
        terms = np.asarray(losses[image][valid], np.float64).ravel()
        if not terms.any():
            continue
        count = _hard_count(minimal_fraction, terms.size)
        low, high = 0.0, terms.max() * terms.size
        for _ in range(200):  # Σ min(1, (ℓ/α)^q) falls as α grows
            middle = (low + high) / 2
            total = np.minimum(1, terms / middle) ** conjugate
            low, high = (middle, high) if total.sum() > count else (low, middle)
        limit = terms.size ** (-1 / conjugate) * count ** (-1 / norm)
        weights = limit * np.minimum(1, terms / high) ** (conjugate - 1)
        pooled[image] = (weights * terms).sum()
    return pooled


def focal_loss(
    logits: Array,
    labels: Array,
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    class_weights: Array | None = None,
    ignore_label: int = 255,
    where: Array | None = None,
) -> Array:
    """Lin et al. 2017: −α w_y (1−p)^γ log p with p = softmax(x̂)_y; 0 where ignored."""
    valid = valid_mask(labels, ignore_label=ignore_label, where=where)
    losses = np.zeros(labels.shape)
    for q in np.ndindex(labels.shape):
        if valid[q]:
            powers = np.exp(logits[q] - logits[q].max())
            p = powers[labels[q]] / powers.sum()
            weight = 1 if class_weights is None else class_weights[labels[q]]
            losses[q] = -alpha * weight * (1 - p) ** gamma * np.log(p)
    return losses


def center_loss(
    features: Array,
    labels: Array,
    centers: Array,
    *,
    ignore_label: int = 255,
    where: Array | None = None,
) -> Array:
    """Wen et al. 2016, Eq. 2: ½‖x − c_y‖²; 0 where ignored."""
    valid = valid_mask(labels, ignore_label=ignore_label, where=where)
    losses = np.zeros(labels.shape)
    for q in np.ndindex(labels.shape):
        if valid[q]:
            losses[q] = 0.5 * ((features[q] - centers[labels[q]]) ** 2).sum()
    return losses


def update_centers(
    centers: Array,
    features: Array,
    labels: Array,
    *,
    alpha: float = 0.5,
    ignore_label: int = 255,
    where: Array | None = None,
) -> Array:
    """Wen et al. 2016, Eq. 4: c_k − α Σ (c_k − x) / (1 + n_k)."""
    valid = valid_mask(labels, ignore_label=ignore_label, where=where)
    moved = np.array(centers, np.float64)
    for k in range(len(centers)):
        own = [
            features[q] for q in np.ndindex(labels.shape) if valid[q] and labels[q] == k
        ]
        moved[k] -= alpha * sum(centers[k] - x for x in own) / (1 + len(own))
    return moved


def _hard_count(fraction: float, pixels: int) -> int:
    return max(1, math.floor(fraction * pixels + 1e-9))

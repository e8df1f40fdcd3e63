"""The paper as plain NumPy loops in float64, which the library is tested against.

Written from the equations of Guo et al. 2018 (arXiv:1802.08290), with Eq. 7 and 8
corrected. It shares no code with `lal_jax` and is meant to be read, not to be fast.
Predictions are `[..., H, W, C]` and labels `[..., H, W]`; p and q name one pixel of one
image, `(*image, i, j)`. Options are those of the library's function of the same name;
`window` stands for `kernel_size`, `dilation`, `stride`, `neighbor_weights` and
`normalizer`. Scores are in `reference_scores.py`, means over pixels in
`reference_means.py`.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.reference_means import (
    class_balanced_gradient,
    class_balanced_mean,
    minkowski_gradient,
    minkowski_mean,
)
from tests.reference_scores import Array, scores, scores_gradient

Index = tuple[int, ...]


def valid_mask(
    labels: Array, *, ignore_label: int = 255, where: Array | None = None
) -> Array:
    """False where a pixel is ignored, by its label or by `where`."""
    valid = np.ones(labels.shape, bool)
    for q in np.ndindex(labels.shape):
        valid[q] = labels[q] != ignore_label and (where is None or where[q])
    return valid


def chessboard_weights(kernel_size: int | tuple[int, ...]) -> Array:
    """ω(u, v) = 2^(1−D8) with the chessboard distance D8 = max(|u|, |v|)."""
    sizes = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    weights = np.zeros(sizes)
    for place in np.ndindex(sizes):
        offsets = [a - size // 2 for a, size in zip(place, sizes, strict=True)]
        weights[place] = 2.0 ** (1 - max(abs(u) for u in offsets))
    return weights


def selective_pool(
    predictions: Array,
    labels: Array,
    *,
    stride: int = 1,
    ignore_label: int = 255,
    where: Array | None = None,
    **window: Any,
) -> Array:
    """Eq. 2: f(q) = 1/ξ(q) · Σ_p μ_q(p) ω(p−q) x(p); 0 at ignored centers."""
    predictions = np.asarray(predictions, np.float64)
    valid = valid_mask(labels, ignore_label=ignore_label, where=where)
    centers = _centers(labels, stride, **window)
    pooled = np.zeros((*centers.shape, predictions.shape[-1]))
    for out, _, shares in _windows(labels, valid, stride=stride, **window):
        for p, share in shares:
            pooled[out] += share * predictions[p]
    return pooled


def softmax_cross_entropy(
    logits: Array,
    labels: Array,
    *,
    class_weights: Array | None = None,
    label_smoothing: float = 0.0,
    ignore_label: int = 255,
    where: Array | None = None,
) -> Array:
    """Eq. 4 at every pixel; 0 where ignored."""
    valid = valid_mask(labels, ignore_label=ignore_label, where=where)
    losses = np.zeros(labels.shape)
    for q in np.ndindex(labels.shape):
        if valid[q]:
            losses[q], _ = _cross_entropy(
                logits[q], labels[q], class_weights, label_smoothing
            )
    return losses


def selective_cross_entropy(
    logits: Array,
    labels: Array,
    *,
    stride: int = 1,
    normalization: str = "standard_score",
    score_scale: float = 1.0,
    class_weights: Array | None = None,
    label_smoothing: float = 0.0,
    ignore_label: int = 255,
    where: Array | None = None,
    **window: Any,
) -> Array:
    """Eq. 3: L^S, the cross-entropy of the local estimates f; 0 where ignored."""
    valid = valid_mask(labels, ignore_label=ignore_label, where=where)
    rank = _rank(**window)
    x = score_scale * scores(logits, valid, normalization=normalization, rank=rank)
    pooled = selective_pool(x, labels, stride=stride, where=valid, **window)
    return softmax_cross_entropy(
        pooled,
        _centers(labels, stride, **window),
        class_weights=class_weights,
        label_smoothing=label_smoothing,
        where=_centers(valid, stride, **window),
    )


def locally_adaptive_loss(
    logits: Array,
    labels: Array,
    *,
    stride: int = 1,
    power: float = 3.0,
    exponent: float | None = None,
    ignore_label: int = 255,
    where: Array | None = None,
    **options: Any,
) -> Array:
    """L^AD: Eq. 5 of Eq. 3; `options` are those of `selective_cross_entropy`.

    With an `exponent` the mean is balanced by class.
    """
    valid = valid_mask(labels, ignore_label=ignore_label, where=where)
    losses = selective_cross_entropy(
        logits, labels, stride=stride, where=valid, **options
    )
    centers, rank = _centers(valid, stride, **options), _rank(**options)
    if exponent is None:
        return minkowski_mean(losses, power=power, where=centers, rank=rank)
    return class_balanced_mean(
        losses,
        _centers(labels, stride, **options),
        exponent=exponent,
        power=power,
        where=centers,
        classes=logits.shape[-1],
        rank=rank,
    )


def locally_adaptive_gradient(
    logits: Array,
    labels: Array,
    *,
    stride: int = 1,
    power: float = 3.0,
    exponent: float | None = None,
    normalization: str = "standard_score",
    score_scale: float = 1.0,
    class_weights: Array | None = None,
    label_smoothing: float = 0.0,
    ignore_label: int = 255,
    where: Array | None = None,
    **window: Any,
) -> Array:
    """∂L^AD/∂x̂ of every image: Eq. 6, with the 1/ξ that Eq. 8 lacks."""
    valid = valid_mask(labels, ignore_label=ignore_label, where=where)
    form: Any = {"normalization": normalization, "rank": _rank(**window)}
    x = score_scale * scores(logits, valid, **form)
    pooled = selective_pool(x, labels, stride=stride, where=valid, **window)
    centers = _centers(labels, stride, **window)
    losses = softmax_cross_entropy(
        pooled,
        centers,
        class_weights=class_weights,
        label_smoothing=label_smoothing,
        where=_centers(valid, stride, **window),
    )
    mean: Any = {"power": power, "where": _centers(valid, stride, **window)}
    mean["rank"] = _rank(**window)
    if exponent is None:
        outer = minkowski_gradient(losses, **mean)
    else:
        mean |= {"exponent": exponent, "classes": logits.shape[-1]}
        outer = class_balanced_gradient(losses, centers, **mean)
    gradient = np.zeros(logits.shape)  # by the scaled scores
    for out, q, shares in _windows(labels, valid, stride=stride, **window):
        _, residual = _cross_entropy(
            pooled[out], labels[q], class_weights, label_smoothing
        )
        for p, share in shares:
            gradient[p] += share * outer[out] * residual
    return scores_gradient(score_scale * gradient, logits, valid, **form)


def as_printed(
    x: Array, labels: Array, *, power: float = 3.0, where: Array, **window: Any
) -> Array:
    """Eq. 6–8 as printed: a sum over pixels in Eq. 7, and no 1/ξ in Eq. 8."""
    valid = valid_mask(labels, where=where)
    pooled = selective_pool(x, labels, where=valid, **window)
    losses = softmax_cross_entropy(pooled, labels, where=valid)
    gradient = np.zeros(x.shape)
    for q, _, shares in _windows(labels, valid, **window):
        own = losses[q[:-2]][valid[q[:-2]]]
        factor = len(own) ** (-1 / power) * (own**power).sum() ** (1 / power - 1)
        factor *= (own ** (power - 1)).sum()
        _, residual = _cross_entropy(pooled[q], labels[q], None, 0.0)
        for p, share in shares:
            gradient[p] += factor * residual * share * len(shares)
    return gradient


def _rank(*, kernel_size: int | tuple[int, ...] = 5, **options: Any) -> int:
    """The number of axes a window spans: a single size is a square."""
    return 2 if isinstance(kernel_size, int) else len(kernel_size)


def _centers(array: Array, stride: int, **options: Any) -> Array:
    strided: Any = (..., *(slice(None, None, stride),) * _rank(**options))
    return array[strided]


def _windows(
    labels: Array,
    valid: Array,
    *,
    kernel_size: int | tuple[int, ...] = 5,
    stride: int = 1,
    dilation: int | tuple[int, ...] = 1,
    neighbor_weights: Array | None = None,
    normalizer: str = "count",
) -> Iterator[tuple[Index, Index, list[tuple[Index, float]]]]:
    """Every valid center: its place in the output, q, and μ_q(p) ω(p−q)/ξ(q) by p."""
    omega = chessboard_weights(kernel_size)
    omega = omega if neighbor_weights is None else neighbor_weights
    gaps = (dilation,) * omega.ndim if isinstance(dilation, int) else dilation
    for q in np.ndindex(labels.shape):
        image, center = q[: -omega.ndim], q[-omega.ndim :]
        if not valid[q] or any(i % stride for i in center):
            continue
        matches = []
        for place, weight in np.ndenumerate(omega):
            steps = zip(center, place, omega.shape, gaps, strict=True)
            p = (*image, *(i + d * (a - size // 2) for i, a, size, d in steps))
            inside = all(0 <= n < size for n, size in zip(p, labels.shape, strict=True))
            if inside and valid[p] and labels[p] == labels[q]:
                matches.append((p, weight))
        xi = len(matches) if normalizer == "count" else sum(w for _, w in matches)
        out = (*image, *(i // stride for i in center))
        yield out, q, [(p, w / xi) for p, w in matches]


def _cross_entropy(
    f: Array, label: Any, class_weights: Array | None, smoothing: float
) -> tuple[Array, Array]:
    """One pixel's w_y · Σ_c −t_c log softmax(f)_c and w_y · (softmax(f) − t) = ∂/∂f."""
    target = np.full(len(f), smoothing / len(f))
    target[label] += 1 - smoothing  # t = (1−ε) · onehot + ε/C
    weight = 1.0 if class_weights is None else class_weights[label]
    shifted = np.asarray(f, np.float64) - np.max(f)
    log_softmax = shifted - np.log(np.exp(shifted).sum())
    return -weight * (target * log_softmax).sum(), weight * (
        np.exp(log_softmax) - target
    )

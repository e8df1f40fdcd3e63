"""The overlap losses in plain NumPy float64 loops, with gradients; see `reference.py`.

Each class's loss is 1 − N / D as its paper writes it, and its slope the quotient rule;
that of the Lovász-Softmax loss grows a set of wrong pixels, one after another.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.reference import Array

# Of p and t, class by class: the loss, and its slope by each pixel's p.
ClassLoss = Callable[[Array, Array], tuple[float, Array]]
# As well: N, D and their slopes.
Fraction = Callable[[Array, Array], tuple[Any, Any, Array, Array]]


def dice_loss(logits: Array, labels: Array, **options: Any) -> Array:
    """Milletari et al. 2016 with squares, Drozdzal et al. 2016 without."""
    return _loss_and_gradient(logits, labels, _dice(options), **options)[0]


def tversky_loss(logits: Array, labels: Array, **options: Any) -> Array:
    """Salehi et al. 2017; to the power γ as Abraham and Khan 2018."""
    return _loss_and_gradient(logits, labels, _tversky(options), **options)[0]


def jaccard_loss(logits: Array, labels: Array, **options: Any) -> Array:
    """Rahman and Wang 2016: 1 − intersection / union."""
    return _loss_and_gradient(logits, labels, _jaccard(options), **options)[0]


def generalized_dice_loss(logits: Array, labels: Array, **options: Any) -> Array:
    """Sudre et al. 2017, without the classes that are absent."""
    return _loss_and_gradient(logits, labels, None, **options)[0]


def lovasz_softmax_loss(logits: Array, labels: Array, **options: Any) -> Array:
    """Berman et al. 2018, whose average is over all classes."""
    return _loss_and_gradient(logits, labels, lovasz_of_class, **options)[0]


def overlap_gradient(name: str, logits: Array, labels: Array, **options: Any) -> Array:
    """The gradient of the sum of the named losses by the logits."""
    of_class = {
        "dice_loss": _dice,
        "tversky_loss": _tversky,
        "jaccard_loss": _jaccard,
        "generalized_dice_loss": lambda options: None,
        "lovasz_softmax_loss": lambda options: lovasz_of_class,
    }[name](options)
    return _loss_and_gradient(logits, labels, of_class, **options)[1]


def jaccard_step(members: set[int], wrong: set[int]) -> float:
    """Δ, which is 1 − IoU of a class if the pixels in `wrong` are."""
    return len(wrong) / len(members | wrong) if wrong else 0.0


def lovasz_of_class(p: Array, t: Array) -> tuple[float, Array]:
    """Definition 2: the errors by falling size, each times what its pixel adds to Δ."""
    members = {i for i in range(len(t)) if t[i]}
    errors = [1 - p[i] if t[i] else p[i] for i in range(len(t))]
    loss, slope, wrong = 0.0, np.zeros(len(t)), set[int]()
    for i in sorted(range(len(t)), key=lambda i: -errors[i]):
        step = jaccard_step(members, wrong | {i}) - jaccard_step(members, wrong)
        loss += errors[i] * step
        slope[i] = -step if t[i] else step
        wrong.add(i)
    return loss, slope


def _quotient(fraction: Fraction, gamma: float = 1.0) -> ClassLoss:
    """(1 − N / D)^γ, and 0 where D is."""

    def of_class(p: Array, t: Array) -> tuple[float, Array]:
        n, d, n_slope, d_slope = fraction(p, t)
        if d == 0:
            return 0.0, np.zeros(p.shape)
        outer = gamma * (1 - n / d) ** (gamma - 1)
        return (1 - n / d) ** gamma, -outer * (n_slope * d - n * d_slope) / d**2

    return of_class


def _dice(options: dict[str, Any]) -> ClassLoss:
    smooth, squared = options.pop("smooth", 1.0), options.pop("squared", False)
    order = 2 if squared else 1

    def fraction(p: Array, t: Array) -> tuple[Any, Any, Array, Array]:
        numerator = 2 * sum(p * t) + smooth
        divisor = sum(p**order) + sum(t**order) + smooth
        return numerator, divisor, 2 * t, order * p ** (order - 1)

    return _quotient(fraction)


def _tversky(options: dict[str, Any]) -> ClassLoss:
    alpha, beta = options.pop("alpha", 0.3), options.pop("beta", 0.7)
    smooth = options.pop("smooth", 1.0)

    def fraction(p: Array, t: Array) -> tuple[Any, Any, Array, Array]:
        hits = sum(p * t)
        divisor = hits + alpha * sum(p * (1 - t)) + beta * sum((1 - p) * t) + smooth
        return hits + smooth, divisor, t, t + alpha * (1 - t) - beta * t

    return _quotient(fraction, options.pop("gamma", 1.0))


def _jaccard(options: dict[str, Any]) -> ClassLoss:
    smooth = options.pop("smooth", 1.0)

    def fraction(p: Array, t: Array) -> tuple[Any, Any, Array, Array]:
        hits = sum(p * t)
        return hits + smooth, sum(p) + sum(t) - hits + smooth, t, 1 - t

    return _quotient(fraction)


def _loss_and_gradient(
    logits: Array,
    labels: Array,
    of_class: ClassLoss | None,
    *,
    classes: str = "present",
    activation: str = "softmax",
    per_image: bool = True,
    class_weights: Array | None = None,
    ignore_label: int | tuple[int, ...] = 255,
    where: Array | None = None,
) -> tuple[Array, Array]:
    """The losses of all images, and the gradient of their sum by the logits."""
    weights = np.ones(logits.shape[-1]) if class_weights is None else class_weights
    losses = np.zeros(logits.shape[:-3] if per_image else ())
    gradient = np.zeros(logits.shape)
    for image in np.ndindex(losses.shape):
        pixels = list(_counted(image, logits, labels, ignore_label, where))
        if not pixels:
            continue
        p = np.array([_probabilities(logits[q], activation) for q in pixels])
        t = np.array([_target(labels, q, logits) for q in pixels])
        if of_class is None:
            losses[image], slope = _generalized(p, t, weights)
        else:
            chosen = [c for c in range(p.shape[1]) if classes == "all" or t[:, c].any()]
            losses[image], slope = _average(p, t, chosen, weights, of_class)
        for q, own, by_p in zip(pixels, p, slope, strict=True):
            gradient[q] = _by_logits(own, by_p, activation)
    return losses, gradient


def _average(
    p: Array, t: Array, chosen: list[int], weights: Array, of_class: ClassLoss
) -> tuple[float, Array]:
    """Σ w l / Σ w over the chosen classes, and its slope by p."""
    total = sum(weights[c] for c in chosen)
    loss, slope = 0.0, np.zeros(p.shape)
    for c in chosen:
        if weights[c] > 0:
            own_loss, own_slope = of_class(p[:, c], t[:, c])
            loss += weights[c] / total * own_loss
            slope[:, c] = weights[c] / total * own_slope
    return loss, slope


def _generalized(p: Array, t: Array, weights: Array) -> tuple[float, Array]:
    """1 − 2 Σ v Σpt / Σ v (Σp + Σt) with v = w / (Σt)², and its slope by p."""
    v = np.zeros(len(weights))
    n = d = 0.0
    for c in range(len(v)):
        if t[:, c].any():
            v[c] = weights[c] / sum(t[:, c]) ** 2
        n += 2 * v[c] * sum(p[:, c] * t[:, c])
        d += v[c] * (sum(p[:, c]) + sum(t[:, c]))
    if d == 0:
        return 0.0, np.zeros(p.shape)
    return 1 - n / d, -(2 * v * t * d - n * v) / d**2


def _counted(
    image: tuple[int, ...],
    logits: Array,
    labels: Array,
    ignore_label: int | tuple[int, ...],
    where: Array | None,
) -> Iterator[tuple[int, ...]]:
    """The pixels of an image that are not ignored; of all if no image is named."""
    for rest in np.ndindex(logits.shape[len(image) : -1]):
        q = (*image, *rest)
        if where is not None and not where[q]:
            continue
        if labels.ndim == logits.ndim:
            yield q
        elif labels[q] not in np.atleast_1d(ignore_label):
            if 0 <= labels[q] < logits.shape[-1]:
                yield q


def _target(labels: Array, q: tuple[int, ...], logits: Array) -> Array:
    """The targets given at a pixel, or its label as one-hot."""
    if labels.ndim == logits.ndim:
        return np.asarray(labels[q], np.float64)
    return np.eye(logits.shape[-1])[labels[q]]


def _probabilities(logits: Array, activation: str) -> Array:
    if activation == "none":
        return np.asarray(logits, np.float64)
    if activation == "sigmoid":
        return 1 / (1 + np.exp(-np.asarray(logits, np.float64)))
    powers = np.exp(np.asarray(logits - logits.max(), np.float64))
    return powers / powers.sum()


def _by_logits(p: Array, slope: Array, activation: str) -> Array:
    """The slope by a pixel's logits from that by its probabilities."""
    if activation == "none":
        return slope
    if activation == "sigmoid":
        return p * (1 - p) * slope
    return p * (slope - (p * slope).sum())

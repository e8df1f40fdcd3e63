"""The locally adaptive learning loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import jax.numpy as jnp

from lal_jax import _checks
from lal_jax.cross_entropy import target_cross_entropy
from lal_jax.masks import valid_mask
from lal_jax.pooling import selective_pool
from lal_jax.reductions import minkowski_mean
from lal_jax.standard_score import EPSILON, score_and_inverse_deviation
from lal_jax.stencil import center_slices

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Int


class Pool(Protocol):
    """Reduces losses `[..., height, width]` to one an image, `[...]`."""

    def __call__(
        self, losses: Float[Array, "..."], *, where: Bool[Array, "..."]
    ) -> Float[Array, "..."]:
        """Pools the losses of the pixels where `where` is True."""


def selective_cross_entropy(
    logits: Float[Array, "*batch_pixels classes"],
    labels: Int[Array, "*batch_pixels"],
    *,
    kernel_size: int | Sequence[int] = 5,
    stride: int = 1,
    normalization: Literal["standard_score", "none"] = "standard_score",
    neighbor_weights: ArrayLike | None = None,
    normalizer: Literal["count", "weights"] = "count",
    class_weights: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_label: int = 255,
    where: Bool[Array, "*batch_pixels"] | None = None,
) -> Float[Array, "*batch_centers"]:
    r"""Returns the cross-entropy of the selectively pooled predictions.

    .. math:: L^S(i,j) = -\log \mathrm{softmax}(f(i,j))_{y(i,j)}

    with f the `selective_pool` of the standard scores of the logits.

    Args:
      logits: raw scores, `[..., height, width, classes]`, floating point.
      labels: class indices, `[..., height, width]`, integer.
      kernel_size: window size in pixels: an odd integer or one for each axis; the
        number of sizes is that of spatial axes (see `selective_pool`).
      stride: distance between centers in pixels; see `selective_pool`.
      normalization: `"standard_score"` as in the paper, or `"none"` to pool the
        logits as they are.
      neighbor_weights: ω, of the window's shape; None takes
        `chessboard_weights(kernel_size)`.
      normalizer: `"count"` (the paper's ξ) or `"weights"`; see `selective_pool`.
      class_weights: one factor a class, `[classes]`; None means 1.
      label_smoothing: ε in [0, 1); the target is (1−ε)·onehot + ε/classes.
      ignore_label: the label of void pixels, neither centers nor neighbors.
      where: False marks further void pixels, `[..., height, width]`.

    Returns:
      L^S in nats, `[..., ⌈height/stride⌉, ⌈width/stride⌉]`; zero at void centers.
      float32, or float64 for float64 logits.

    Raises:
      ValueError: shapes, dtypes or options do not fit; the message has the values.
        Fewer than three classes are refused with the standard score: it maps two
        numbers to ±1 whatever they are, so that nothing could be learned.

    >>> import jax.numpy as jnp
    >>> logits = jnp.zeros((4, 4, 3)).at[..., 1].set(5.0)
    >>> labels = jnp.full((4, 4), 1).at[0, 0].set(255)
    >>> selective_cross_entropy(logits, labels).round(3)[0].tolist()
    [0.0, 0.302, 0.278, 0.294]

    Source: Eq. 2–4 of Guo et al. 2018.
    """
    logits = _checks.as_logits(logits)
    labels = _checks.as_labels(labels, logits)
    rank = len(_checks.check_kernel_size(kernel_size))
    _checks.check_rank(logits, "logits", rank)
    _checks.check_choice("normalization", normalization, ("standard_score", "none"))
    _checks.check_below_one("label_smoothing", label_smoothing)
    weights = _checks.as_class_weights(class_weights, logits)
    valid = valid_mask(labels, ignore_label=ignore_label, where=where)
    predictions = jnp.where(valid[..., None], logits, 0.0)  # before any arithmetic
    if normalization == "standard_score":
        _check_classes(logits.shape)
        predictions, _ = score_and_inverse_deviation(predictions, EPSILON)
    pooled = selective_pool(
        predictions,
        labels,
        kernel_size=kernel_size,
        stride=stride,
        neighbor_weights=neighbor_weights,
        normalizer=normalizer,
        ignore_label=ignore_label,
        where=where,
    )
    centers = (..., *center_slices(stride, rank))
    return target_cross_entropy(
        pooled, labels[centers], valid[centers], weights, label_smoothing
    )


def locally_adaptive_loss(
    logits: Float[Array, "*batch_pixels classes"],
    labels: Int[Array, "*batch_pixels"],
    *,
    kernel_size: int | Sequence[int] = 5,
    stride: int = 1,
    power: float = 3.0,
    pool: Pool | None = None,
    normalization: Literal["standard_score", "none"] = "standard_score",
    neighbor_weights: ArrayLike | None = None,
    normalizer: Literal["count", "weights"] = "count",
    class_weights: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_label: int = 255,
    where: Bool[Array, "*batch_pixels"] | None = None,
) -> Float[Array, "*batch"]:
    r"""Returns the locally adaptive learning loss of each image.

    .. math:: L^{AD} = \Bigl(\frac{1}{M} \sum_{i,j} L^S(i,j)^k\Bigr)^{1/k}

    The logits of a pixel are standardized, averaged with those of its neighbors of
    the same label, compared with that label by cross-entropy, and the losses of an
    image pooled by a power mean.

    Args:
      logits: raw scores, `[..., height, width, classes]`, floating point; any number
        of leading axes.
      labels: class indices, `[..., height, width]`, integer.
      kernel_size: window size in pixels: an odd integer or one for each axis; the
        number of sizes is that of spatial axes (see `selective_pool`).
      stride: distance between the windows' centers in pixels.
      power: k of the Minkowski pooling, above 0; unused when `pool` is given.
      pool: replaces the Minkowski pooling: called as `pool(losses, where=valid)` on
        `[..., rows, columns]`.
      normalization: `"standard_score"` or `"none"`.
      neighbor_weights: ω, of the window's shape.
      normalizer: `"count"` (the paper's ξ) or `"weights"`.
      class_weights: one factor a class, `[classes]`.
      label_smoothing: ε in [0, 1).
      ignore_label: the label of void pixels, neither centers nor neighbors.
      where: False marks further void pixels, `[..., height, width]`.

    Returns:
      One loss an image, `[...]`; the caller takes the mean over the batch. An image
      without a valid pixel has loss 0 and gradient 0.

    Raises:
      ValueError: as `selective_cross_entropy`, and for a `power` that is not positive.

    >>> import jax.numpy as jnp
    >>> logits = jnp.zeros((2, 8, 8, 21)).at[..., 3].set(4.0)
    >>> labels = jnp.full((2, 8, 8), 3)
    >>> locally_adaptive_loss(logits, labels).round(3).tolist()
    [0.437, 0.437]

    Source: Eq. 2–5 of Guo et al. 2018. Per image, as the paper has one image a batch.
    """
    losses = selective_cross_entropy(
        logits,
        labels,
        kernel_size=kernel_size,
        stride=stride,
        normalization=normalization,
        neighbor_weights=neighbor_weights,
        normalizer=normalizer,
        class_weights=class_weights,
        label_smoothing=label_smoothing,
        ignore_label=ignore_label,
        where=where,
    )
    rank = len(_checks.check_kernel_size(kernel_size))
    valid = valid_mask(labels, ignore_label=ignore_label, where=where)
    centers = valid[(..., *center_slices(stride, rank))]
    if pool is None:
        axes = tuple(range(-rank, 0))
        return minkowski_mean(losses, power=power, where=centers, axis=axes)
    if not callable(pool):
        raise ValueError(f"pool must be a function (losses, *, where), got {pool!r}")
    pooled = pool(losses, where=centers)
    if getattr(pooled, "shape", None) != losses.shape[:-rank]:
        raise ValueError(
            f"pool must reduce losses {losses.shape} to one an image, "
            f"{losses.shape[:-rank]}, got {getattr(pooled, 'shape', pooled)}; give a "
            f"pool of this library axis={tuple(range(-rank, 0))}, with "
            "functools.partial"
        )
    return pooled


def _check_classes(shape: tuple[int, ...]) -> None:
    if shape[-1] < 3:
        raise ValueError(
            f"the standard score needs at least 3 classes, got logits {shape}: the "
            "score of two numbers is ±1 whatever they are, so its gradient is zero and "
            'nothing is learned; pass normalization="none"'
        )

"""The locally adaptive learning loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from lal_jax import _checks
from lal_jax.pooling import pool_windows
from lal_jax.reductions import power_mean
from lal_jax.selective_loss import (
    checked_arguments,
    predictions_and_inverse_deviation,
    window_losses,
)

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Int


class Pool(Protocol):
    """A reduction of losses `[..., height, width]` to one per image, `[...]`."""

    def __call__(
        self, losses: Float[Array, "..."], *, where: Bool[Array, "..."]
    ) -> Float[Array, "..."]:
        """Pools the losses of the pixels where `where` is True."""


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

    The logits of each pixel are standardized and averaged over its neighbors of the
    same label; the cross-entropies of these averages are pooled by a power mean.

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
      class_weights: one factor per class, `[classes]`.
      label_smoothing: ε in [0, 1).
      ignore_label: the label of ignored pixels, neither centers nor neighbors.
      where: False marks further pixels to ignore, `[..., height, width]`.

    Returns:
      One loss per image, `[...]`; the caller takes the mean over the batch. An image
      without a valid pixel has loss 0 and gradient 0.

    Raises:
      ValueError: as `selective_cross_entropy`, and for a `power` that is not positive.

    >>> import jax.numpy as jnp
    >>> logits = jnp.zeros((2, 8, 8, 21)).at[..., 3].set(4.0)
    >>> labels = jnp.full((2, 8, 8), 3)
    >>> locally_adaptive_loss(logits, labels).round(3).tolist()
    [0.437, 0.437]

    Source: Eq. 2–5 of Guo et al. 2018, whose batches hold one image each.
    """
    arguments = checked_arguments(
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
    if pool is None:
        _checks.check_power(power)
    elif not callable(pool):
        raise ValueError(f"pool must be a function (losses, *, where), got {pool!r}")
    windows = arguments.windows
    predictions, _ = predictions_and_inverse_deviation(arguments)
    losses = window_losses(pool_windows(predictions, windows), arguments)
    valid = windows.at_centers(windows.valid)
    if pool is None:
        return power_mean(losses, valid, windows.axes, power=power)
    return _pooled_by(pool, losses, valid, windows.axes)


def _pooled_by(
    pool: Pool,
    losses: Float[Array, "*batch_centers"],
    valid: Bool[Array, "*batch_centers"],
    axes: tuple[int, ...],
) -> Float[Array, "*batch"]:
    """Returns the losses pooled by the caller's function, with their shape checked."""
    pooled = pool(losses, where=valid)
    expected = losses.shape[: axes[0]]
    if getattr(pooled, "shape", None) != expected:
        raise ValueError(
            f"pool must reduce losses {losses.shape} to one per image, {expected}, got "
            f"{getattr(pooled, 'shape', pooled)}; give a pool of this library "
            f"axis={tuple(range(-len(axes), 0))}, with functools.partial"
        )
    return pooled

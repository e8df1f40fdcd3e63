"""The locally adaptive learning loss."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from lal_jax import _checks
from lal_jax.reductions import power_mean
from lal_jax.selective_loss import (
    Normalization,
    checked_arguments,
    selective_losses,
)
from lal_jax.windows import Windows

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Int


class Pool(Protocol):
    """A reduction of losses `[..., height, width]` to one per image, `[...]`."""

    def __call__(
        self, losses: Float[Array, "..."], *, where: Bool[Array, "..."]
    ) -> Float[Array, "..."]:
        """Pools the losses of the pixels where `where` is True."""


class LabelPool(Protocol):
    """A pool with a parameter `labels`, which gets those of the losses' pixels.

    It also gets the number of `classes` and the `ignore_label` if it has parameters of
    these names.
    """

    def __call__(
        self,
        losses: Float[Array, "..."],
        *,
        labels: Int[Array, "..."],
        where: Bool[Array, "..."],
    ) -> Float[Array, "..."]:
        """Pools the losses of the pixels where `where` is True."""


def locally_adaptive_loss(
    logits: Float[Array, "*batch_pixels classes"],
    labels: Int[Array, "*batch_pixels"],
    *,
    kernel_size: int | Sequence[int] = 5,
    stride: int = 1,
    dilation: int | Sequence[int] = 1,
    power: float = 3.0,
    pool: Pool | LabelPool | None = None,
    normalization: Normalization = "standard_score",
    score_scale: float | Float[Array, ""] = 1.0,
    neighbor_weights: ArrayLike | None = None,
    normalizer: Literal["count", "weights"] = "count",
    class_weights: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_label: int | Sequence[int] = 255,
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
      dilation: distance between a window's places in pixels.
      power: k of the Minkowski pooling, above 0; unused when `pool` is given.
      pool: replaces the Minkowski pooling: called as `pool(losses, where=valid)` on
        `[..., rows, columns]`; one that takes `labels`, as `class_balanced_mean` does,
        is handed those of the centers.
      normalization: `"standard_score"`, `"image_score"` or `"none"`; see
        `selective_cross_entropy`.
      score_scale: multiplies the scores, above 0; may be a traced scalar, to learn it.
      neighbor_weights: ω, of the window's shape.
      normalizer: `"count"` (the paper's ξ) or `"weights"`.
      class_weights: one factor per class, `[classes]`.
      label_smoothing: ε in [0, 1).
      ignore_label: the label of ignored pixels, or several; neither centers nor
        neighbors.
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

    Source: Eq. 2–5 of Guo et al. 2018, whose batches hold one image each. The defaults
    are the paper's.
    """
    arguments = checked_arguments(
        logits,
        labels,
        kernel_size=kernel_size,
        stride=stride,
        dilation=dilation,
        normalization=normalization,
        score_scale=score_scale,
        neighbor_weights=neighbor_weights,
        normalizer=normalizer,
        class_weights=class_weights,
        label_smoothing=label_smoothing,
        ignore_label=ignore_label,
        where=where,
    )
    if pool is None:
        _checks.check_power(power)
    windows = arguments.windows
    losses = selective_losses(arguments)
    if pool is None:
        valid = windows.at_centers(windows.valid)
        return power_mean(losses, valid, windows.axes, power=power)
    return _pooled_by(pool, losses, windows, arguments.logits.shape[-1])


def _pooled_by(
    pool: Pool | LabelPool,
    losses: Float[Array, "*batch_centers"],
    windows: Windows,
    classes: int,
) -> Float[Array, "*batch"]:
    """Returns the losses pooled by the caller's function, with their shape checked."""
    axes = windows.axes
    known = center_arguments("pool", pool, windows, classes)
    pooled = pool(losses, **known)
    expected = losses.shape[: axes[0]]
    if getattr(pooled, "shape", None) != expected:
        raise ValueError(
            f"pool must reduce losses {losses.shape} to one per image, {expected}, got "
            f"{getattr(pooled, 'shape', pooled)}; give a pool of this library "
            f"axis={tuple(range(-len(axes), 0))}, with functools.partial"
        )
    return pooled


def center_arguments(
    name: str, function: Callable[..., Any], windows: Windows, classes: int
) -> dict[str, Any]:
    """Returns what a pool, the argument of that name, is told of the windows' centers.

    The mask always; the labels where the function takes them, and with them what the
    loss knows of them.
    """
    if not callable(function):
        raise ValueError(
            f"{name} must be a function (losses, *, where), got {function!r}"
        )
    known: dict[str, Any] = {"where": windows.at_centers(windows.valid)}
    try:
        names = inspect.signature(function).parameters
    except ValueError:  # a function that is not written in Python
        return known
    if "labels" in names:
        of_labels = {
            "labels": windows.at_centers(windows.labels),
            "classes": classes,
            "ignore_label": -1,  # no class: the mask has all that are ignored
        }
        known |= {name: value for name, value in of_labels.items() if name in names}
    return known

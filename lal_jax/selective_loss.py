"""The cross-entropy of selectively pooled predictions, Eq. 2–4."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import jax.numpy as jnp

from lal_jax import _checks
from lal_jax.cross_entropy import target_cross_entropy
from lal_jax.pooling import pool_windows
from lal_jax.standard_score import EPSILON, score_and_inverse_deviation
from lal_jax.windows import Windows, checked_windows

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Int


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
      neighbor_weights: ω, of the window's shape; None means
        `chessboard_weights(kernel_size)`.
      normalizer: `"count"` (the paper's ξ) or `"weights"`; see `selective_pool`.
      class_weights: one factor per class, `[classes]`; None means 1.
      label_smoothing: ε in [0, 1); the target is (1−ε)·onehot + ε/classes.
      ignore_label: the label of ignored pixels, neither centers nor neighbors.
      where: False marks further pixels to ignore, `[..., height, width]`.

    Returns:
      L^S in nats, `[..., ⌈height/stride⌉, ⌈width/stride⌉]`; zero at ignored centers.
      float32, or float64 for float64 logits.

    Raises:
      ValueError: shapes, dtypes or options do not fit; the message has the values.
        The standard score needs three classes: it maps any two numbers to ±1, so that
        nothing could be learned.

    >>> import jax.numpy as jnp
    >>> logits = jnp.zeros((4, 4, 3)).at[..., 1].set(5.0)
    >>> labels = jnp.full((4, 4), 1).at[0, 0].set(255)
    >>> selective_cross_entropy(logits, labels).round(3)[0].tolist()
    [0.0, 0.302, 0.278, 0.294]

    Source: Eq. 2–4 of Guo et al. 2018.
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
    predictions, _ = predictions_and_inverse_deviation(arguments)
    return window_losses(pool_windows(predictions, arguments.windows), arguments)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arguments:
    """The arguments of `selective_cross_entropy`, checked."""

    logits: Float[Array, "*batch_pixels classes"]
    windows: Windows
    normalization: str
    class_weights: Float[Array, " classes"] | None
    label_smoothing: float


def checked_arguments(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    name: str = "logits",
    normalization: str,
    class_weights: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    **window: Any,
) -> Arguments:
    """Checks the arguments of `selective_cross_entropy`; `name` is that of the logits.

    `window` are the options of `checked_windows`.
    """
    logits = _checks.as_logits(logits, name)
    windows = checked_windows(logits, labels, name=name, **window)
    _checks.check_choice("normalization", normalization, ("standard_score", "none"))
    _checks.check_below_one("label_smoothing", label_smoothing)
    weights = _checks.as_class_weights(class_weights, logits)
    if normalization == "standard_score":
        _check_classes(logits.shape)
    return Arguments(
        logits=logits,
        windows=windows,
        normalization=normalization,
        class_weights=weights,
        label_smoothing=label_smoothing,
    )


def predictions_and_inverse_deviation(
    arguments: Arguments,
) -> tuple[
    Float[Array, "*batch_pixels classes"], Float[Array, "*batch_pixels 1"] | None
]:
    """Returns x, what is pooled, and 1/√(σ² + ε); None if x are the logits."""
    valid = arguments.windows.valid[..., None]
    logits = jnp.where(valid, arguments.logits, 0.0)  # before any arithmetic
    if arguments.normalization == "none":
        return logits, None
    return score_and_inverse_deviation(logits, EPSILON)


def window_losses(
    pooled: Float[Array, "*batch_centers classes"], arguments: Arguments
) -> Float[Array, "*batch_centers"]:
    """Returns L^S, the cross-entropy of the pooled predictions at the centers."""
    windows = arguments.windows
    return target_cross_entropy(
        pooled,
        windows.at_centers(windows.labels),
        windows.at_centers(windows.valid),
        arguments.class_weights,
        arguments.label_smoothing,
    )


def _check_classes(shape: tuple[int, ...]) -> None:
    if shape[-1] < 3:
        raise ValueError(
            f"the standard score needs at least 3 classes, got logits {shape}: the "
            "score of two numbers is ±1 whatever they are, so its gradient is zero and "
            'nothing is learned; pass normalization="none"'
        )

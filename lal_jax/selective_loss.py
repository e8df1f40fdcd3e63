"""The cross-entropy of selectively pooled predictions, Eq. 2–4."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import jax.numpy as jnp

from lal_jax import _checks
from lal_jax.cross_entropy import target_cross_entropy
from lal_jax.kernel_switch import kernel_mode
from lal_jax.pooling import pool_windows
from lal_jax.standard_score import (
    EPSILON,
    count_pixels,
    image_score_and_inverse_deviation,
    score_and_inverse_deviation,
    score_mean,
)
from lal_jax.targets import target_weight
from lal_jax.windows import Windows, checked_windows

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Int

Normalization = Literal["standard_score", "image_score", "none"]


def selective_cross_entropy(
    logits: Float[Array, "*batch_pixels classes"],
    labels: Int[Array, "*batch_pixels"],
    *,
    kernel_size: int | Sequence[int] = 5,
    stride: int = 1,
    dilation: int | Sequence[int] = 1,
    normalization: Normalization = "standard_score",
    score_scale: float | Float[Array, ""] = 1.0,
    neighbor_weights: ArrayLike | None = None,
    normalizer: Literal["count", "weights"] = "count",
    class_weights: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_label: int | Sequence[int] = 255,
    where: Bool[Array, "*batch_pixels"] | None = None,
) -> Float[Array, "*batch_centers"]:
    r"""Returns the cross-entropy of the selectively pooled predictions.

    .. math:: L^S(i,j) = -\log \mathrm{softmax}(f(i,j))_{y(i,j)}

    with f the `selective_pool` of the standard scores of the logits, times
    `score_scale`.

    Args:
      logits: raw scores, `[..., height, width, classes]`, floating point.
      labels: class indices, `[..., height, width]`, integer.
      kernel_size: window size in pixels: an odd integer or one for each axis; the
        number of sizes is that of spatial axes (see `selective_pool`).
      stride: distance between centers in pixels; see `selective_pool`.
      dilation: distance between a window's places in pixels; see `selective_pool`.
      normalization: `"standard_score"` as in the paper; `"image_score"`, which centers
        each pixel's logits and divides them by their standard deviation over all
        valid pixels and classes of the image, so that sure pixels stay apart from
        unsure ones; or `"none"` to pool the logits as they are.
      score_scale: multiplies the scores, above 0; a scalar array may be traced, to
        learn it. A score is bounded, so the loss of a pixel that is right stays high
        and pulls on; a scale above 1 lets it fall. With `"none"`, the logits' inverse
        temperature.
      neighbor_weights: ω, of the window's shape; None means
        `chessboard_weights(kernel_size)`.
      normalizer: `"count"` (the paper's ξ) or `"weights"`; see `selective_pool`.
      class_weights: one factor per class, `[classes]`; None means 1.
      label_smoothing: ε in [0, 1); the target is (1−ε)·onehot + ε/classes.
      ignore_label: the label of ignored pixels, or several; neither centers nor
        neighbors.
      where: False marks further pixels to ignore, `[..., height, width]`.

    Returns:
      L^S in nats, `[..., ⌈height/stride⌉, ⌈width/stride⌉]`; zero at ignored centers.
      float32, or float64 for float64 logits.

    Raises:
      ValueError: shapes, dtypes or options do not fit; the message has the values.
        The standard score needs three classes: it maps any two numbers to ±1, so that
        nothing could be learned. A traced `score_scale` cannot raise.

    >>> import jax.numpy as jnp
    >>> logits = jnp.zeros((4, 4, 3)).at[..., 1].set(5.0)
    >>> labels = jnp.full((4, 4), 1).at[0, 0].set(255)
    >>> selective_cross_entropy(logits, labels).round(3)[0].tolist()
    [0.0, 0.302, 0.278, 0.294]

    Source: Eq. 2–4 of Guo et al. 2018; dilation, image score and scale are not in the
    paper.
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
    return selective_losses(arguments)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arguments:
    """The arguments of `selective_cross_entropy`, checked."""

    logits: Float[Array, "*batch_pixels classes"]
    windows: Windows
    normalization: str
    score_scale: Float[Array, ""]
    class_weights: Float[Array, " classes"] | None
    label_smoothing: float
    given_scale: ArrayLike  # as the caller gave it: an array may be traced


def checked_arguments(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    name: str = "logits",
    normalization: str,
    score_scale: ArrayLike = 1.0,
    class_weights: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    **window: Any,
) -> Arguments:
    """Checks the arguments of `selective_cross_entropy`; `name` is that of the logits.

    `window` are the options of `checked_windows`.
    """
    logits = _checks.as_logits(logits, name)
    windows = checked_windows(logits, labels, name=name, **window)
    _checks.check_choice("normalization", normalization, get_args(Normalization))
    _checks.check_below_one("label_smoothing", label_smoothing)
    weights = _checks.as_class_weights(class_weights, logits)
    if normalization == "standard_score":
        _check_classes(logits.shape)
    return Arguments(
        logits=logits,
        windows=windows,
        normalization=normalization,
        score_scale=_checks.as_scale("score_scale", score_scale, logits.dtype),
        class_weights=weights,
        label_smoothing=label_smoothing,
        given_scale=score_scale,
    )


def selective_losses(arguments: Arguments) -> Float[Array, "*batch_centers"]:
    """Returns L^S, by the GPU kernel where it can run."""
    logits, windows = arguments.logits, arguments.windows
    options: dict[str, Any] = {
        "normalization": arguments.normalization,
        "score_scale": arguments.given_scale,
    }
    mode = kernel_mode(logits, windows, **options)
    if mode is None:
        scores, _ = scores_and_inverse_deviation(arguments)
        return window_losses(pooled_scores(scores, arguments), arguments)
    from lal_jax.fused_window_losses import fused_losses  # of JAX's less stable parts

    options |= {"mode": mode, "label_smoothing": arguments.label_smoothing}
    losses = fused_losses(logits, windows, **options)
    if arguments.class_weights is None:
        return losses
    return losses * target_weight(windows.labels, arguments.class_weights)


def scores_and_inverse_deviation(
    arguments: Arguments,
) -> tuple[
    Float[Array, "*batch_pixels classes"], Float[Array, "*batch_pixels 1"] | None
]:
    """Returns x, before its scale, and 1/√(σ² + ε); None if x are the logits."""
    windows = arguments.windows
    logits, valid = arguments.logits, windows.valid
    if arguments.normalization == "none":
        return jnp.where(valid[..., None], logits, 0.0), None
    if arguments.normalization == "image_score":
        return image_score_and_inverse_deviation(logits, valid, windows.axes, EPSILON)
    return score_and_inverse_deviation(logits, valid, EPSILON)


def mean_over_deviation(
    values: Float[Array, "*batch_pixels classes"], arguments: Arguments
) -> Float[Array, "..."]:
    """Returns the mean over what the scores' deviation was taken over."""
    windows = arguments.windows
    if arguments.normalization == "standard_score":
        return score_mean(values, windows.valid, 1, ())
    pixels = count_pixels(windows.valid, windows.axes, values.dtype)
    return score_mean(values, windows.valid, pixels, windows.axes)


def pooled_scores(
    scores: Float[Array, "*batch_pixels classes"], arguments: Arguments
) -> Float[Array, "*batch_centers classes"]:
    """Returns f of the scores times their scale."""
    return pool_windows(scores, arguments.windows, scale=arguments.score_scale)


def window_losses(
    pooled: Float[Array, "*batch_centers classes"], arguments: Arguments
) -> Float[Array, "*batch_centers"]:
    """Returns L^S, the cross-entropy of the pooled scores at the centers."""
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
            'nothing is learned; pass normalization="image_score" or "none"'
        )

"""The window losses without a kernel, of what is known when they are traced."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from lal_jax.cross_entropy import target_cross_entropy
from lal_jax.pooling import pool_windows, window_divisor
from lal_jax.standard_score import EPSILON, score_and_inverse_deviation
from lal_jax.window_planes import (
    Planes,
    planes_of,
    same_mark_bits,
    to_planes,
)
from lal_jax.windows import NO_CLASS, Windows

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int


@dataclasses.dataclass(frozen=True, kw_only=True)
class WindowLoss:
    """The options of `selective_cross_entropy` that a kernel can do; hashable."""

    window: tuple[int, ...]
    weight_bytes: bytes
    dilation: tuple[int, ...]
    normalizer: str
    scored: bool  # standardized, or the logits as they are
    scale: float
    label_smoothing: float
    mode: str  # of the switch

    @property
    def weights(self) -> Float[np.ndarray, "*window"]:
        """ω."""
        return np.frombuffer(self.weight_bytes, np.float32).reshape(self.window)

    @property
    def interpret(self) -> bool:
        """Whether the kernels run in Pallas's interpreter."""
        return self.mode == "interpret"

    def planes(self, extents: Sequence[int]) -> Planes:
        """Returns where images of those extents lie in planes."""
        return planes_of(tuple(extents), self.window, self.dilation)


def xla_losses(
    logits: Float[Array, "n height width classes"],
    marks: Int[Array, "n height width"],
    loss: WindowLoss,
) -> Float[Array, "n height width"]:
    """Returns the losses by the library's other functions."""
    scores, _ = _scores(logits, marks, loss)
    windows = _windows(marks, loss)
    pooled = pool_windows(scores, windows, scale=jnp.float32(loss.scale))
    smoothing = loss.label_smoothing
    return target_cross_entropy(pooled, marks, windows.valid, None, smoothing)


def xla_residuals(
    logits: Float[Array, "n height width classes"],
    marks: Int[Array, "n height width"],
    loss: WindowLoss,
) -> list[Array]:
    """Returns what the kernels keep: one program's losses may meet another's gradient.

    Where both are XLA's form, nothing uses these and XLA leaves them out.
    """
    planes = loss.planes(marks.shape[1:])
    scores, inverse = _scores(logits, marks, loss)
    windows = _windows(marks, loss)
    share = jnp.float32(loss.scale) / window_divisor(windows, marks)
    pooled = pool_windows(scores, windows, scale=jnp.float32(loss.scale))
    losses, pullback = jax.vjp(
        lambda x: target_cross_entropy(
            x, marks, windows.valid, None, loss.label_smoothing
        ),
        pooled,
    )
    (slope,) = pullback(jnp.ones_like(losses))
    slope = jnp.where(jnp.isnan(losses)[..., None], 0.0, slope * share)
    kept = [slope, same_mark_bits(marks, planes)]
    if inverse is not None:
        flawed = jnp.isnan(scores).any(-1, keepdims=True)
        kept += [jnp.where(flawed, 0.0, scores), jnp.where(flawed, jnp.nan, inverse)]
    slope, words, *scored = (to_planes(one, planes) for one in kept)
    return [slope, words, losses, *scored]


def _windows(marks: Int[Array, "n height width"], loss: WindowLoss) -> Windows:
    return Windows(
        labels=marks,
        valid=marks != NO_CLASS,
        weights=loss.weights,
        stride=1,
        dilation=loss.dilation,
        normalizer=loss.normalizer,
    )


def _scores(
    logits: Float[Array, "n height width classes"],
    marks: Int[Array, "n height width"],
    loss: WindowLoss,
) -> tuple[
    Float[Array, "n height width classes"], Float[Array, "n height width 1"] | None
]:
    """Returns what is pooled, 0 at ignored pixels, and of scores 1/√(σ² + ε)."""
    inside = marks != NO_CLASS
    if loss.scored:
        return score_and_inverse_deviation(logits, inside, EPSILON)
    return jnp.where(inside[..., None], logits, 0.0), None

"""The window losses without a kernel, of what is known when they are traced."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from lal_jax.cross_entropy import target_cross_entropy
from lal_jax.pooling import pool_windows
from lal_jax.standard_score import EPSILON, score_and_inverse_deviation
from lal_jax.window_planes import Planes, planes_of
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
    valid = marks != NO_CLASS
    windows = Windows(
        labels=marks,
        valid=valid,
        weights=loss.weights,
        stride=1,
        dilation=loss.dilation,
        normalizer=loss.normalizer,
    )
    scores = jnp.where(valid[..., None], logits, 0.0)
    if loss.scored:
        scores, _ = score_and_inverse_deviation(scores, EPSILON)
    pooled = pool_windows(scores, windows, scale=jnp.float32(loss.scale))
    return target_cross_entropy(pooled, marks, valid, None, loss.label_smoothing)

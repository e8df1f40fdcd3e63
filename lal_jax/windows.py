"""The windows of one call: the arguments that say what is in them, checked once."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from lal_jax import _checks
from lal_jax.masks import labels_and_mask
from lal_jax.neighbor_weights import chessboard

if TYPE_CHECKING:
    from jaxtyping import Array, ArrayLike, Bool, Float, Int, Shaped

# The mark of ignored pixels, and of places outside the image: no class has it.
NO_CLASS = np.iinfo(np.int32).min


@dataclasses.dataclass(frozen=True, kw_only=True)
class Windows:
    """Checked labels, mask, neighbor weights and options of `selective_pool`."""

    labels: Int[Array, "*batch_pixels"]
    valid: Bool[Array, "*batch_pixels"]
    weights: Float[Array | np.ndarray, "*window"]
    stride: int
    dilation: tuple[int, ...]
    normalizer: str

    @property
    def axes(self) -> tuple[int, ...]:
        """The spatial axes of an array `[..., height, width]`."""
        return tuple(range(self.labels.ndim - self.weights.ndim, self.labels.ndim))

    def marks(self) -> Int[Array, "*batch_pixels"]:
        """Returns the labels, `NO_CLASS` at ignored pixels.

        The barrier keeps XLA from folding constant labels into one mask for each place
        of the window.
        """
        marks = jnp.where(self.valid, self.labels, NO_CLASS)
        return jax.lax.optimization_barrier(marks)

    def at_centers(
        self, per_pixel: Shaped[Array, "*batch_pixels"]
    ) -> Shaped[Array, "*batch_centers"]:
        """Returns an array's entries at the windows' centers."""
        return per_pixel[(..., *center_slices(self.stride, self.weights.ndim))]


def center_slices(stride: int, rank: int) -> tuple[slice, ...]:
    """Returns the indices of the windows' centers: every stride-th along each axis."""
    return (slice(None, None, stride),) * rank


def checked_windows(
    predictions: Float[Array, "*batch_pixels classes"],
    labels: ArrayLike,
    *,
    name: str,
    kernel_size: int | Sequence[int],
    stride: int,
    dilation: int | Sequence[int],
    neighbor_weights: ArrayLike | None,
    normalizer: str,
    ignore_label: int | Sequence[int],
    where: ArrayLike | None,
) -> Windows:
    """Checks the arguments of `selective_pool`; `name` is that of the predictions."""
    labels, valid = labels_and_mask(
        labels, predictions, ignore_label=ignore_label, where=where, name=name
    )
    _checks.check_integer("stride", stride, least=1)
    _checks.check_choice("normalizer", normalizer, ("count", "weights"))
    weights = _window_weights(kernel_size, neighbor_weights, predictions.dtype)
    _checks.check_rank(predictions, name, weights.ndim)
    return Windows(
        labels=labels,
        valid=valid,
        weights=weights,
        stride=stride,
        dilation=_checks.check_dilation(dilation, weights.shape),
        normalizer=normalizer,
    )


def _window_weights(
    kernel_size: int | Sequence[int],
    neighbor_weights: ArrayLike | None,
    dtype: np.dtype,
) -> Float[Array | np.ndarray, "*window"]:
    """Returns ω in the given dtype: the paper's, or the caller's after a check."""
    sizes = _checks.check_kernel_size(kernel_size)
    if neighbor_weights is None:
        return chessboard(sizes).astype(dtype)
    if np.shape(neighbor_weights) != sizes:
        raise ValueError(
            "neighbor_weights must have the shape of the window, "
            f"kernel_size={sizes}: got {np.shape(neighbor_weights)}"
        )
    if isinstance(neighbor_weights, jnp.ndarray):  # may be traced, so stays in JAX
        return neighbor_weights.astype(dtype)
    weights = np.asarray(neighbor_weights, dtype)
    if not np.isfinite(weights).all():
        raise ValueError(f"neighbor_weights must be finite, got {neighbor_weights!r}")
    return weights

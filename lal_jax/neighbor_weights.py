"""Neighbor weights ω by place in the window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lal_jax import _checks

if TYPE_CHECKING:
    from jaxtyping import Float


def chessboard_weights(kernel_size: int | Sequence[int]) -> Float[np.ndarray, "..."]:
    r"""Returns the paper's neighbor weights, which halve with every ring.

    .. math:: \omega(u, v) = 2^{1 - \max(|u|, |v|)}

    Args:
      kernel_size: window size in pixels, an odd integer or one for each axis; a single
        integer is a square.

    Returns:
      float64 weights of that shape: 2 at the center, 1 around it, then ½, ¼, …

    Raises:
      ValueError: a size is even or not positive.

    >>> chessboard_weights(3).tolist()
    [[1.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 1.0, 1.0]]

    Source: Eq. 2 of Guo et al. 2018; `max(|u|, |v|)` is the chessboard distance D₈.
    """
    return chessboard(_checks.check_kernel_size(kernel_size))


def chessboard(sizes: tuple[int, ...]) -> Float[np.ndarray, "..."]:
    """Returns `chessboard_weights` of sizes that have been checked."""
    return 2.0 ** (1 - np.max(np.abs(_distances(sizes)), axis=0))


def uniform_weights(kernel_size: int | Sequence[int]) -> Float[np.ndarray, "..."]:
    """Returns neighbor weights of 1.

    They make `selective_pool` the plain mean over the same label, under either
    normalizer.

    Args:
      kernel_size: window size in pixels, an odd integer or one for each axis; a single
        integer is a square.

    Returns:
      float64 ones of that shape.

    Raises:
      ValueError: a size is even or not positive.

    >>> uniform_weights((1, 3)).tolist()
    [[1.0, 1.0, 1.0]]
    """
    return np.ones(_checks.check_kernel_size(kernel_size))


def gaussian_weights(
    kernel_size: int | Sequence[int], *, sigma: float = 1.0
) -> Float[np.ndarray, "..."]:
    r"""Returns weights that fall off as a Gaussian of the Euclidean distance.

    .. math:: \omega(u, v) = \exp\bigl(-(u^2 + v^2) / (2 \sigma^2)\bigr)

    Use them with `normalizer="weights"`: divided by the count instead, they shrink the
    scores of full windows, as their sum is less than the number of neighbors.

    Args:
      kernel_size: window size in pixels, an odd integer or one for each axis; a single
        integer is a square.
      sigma: σ in pixels, above 0.

    Returns:
      float64 weights of that shape, 1 at the center.

    Raises:
      ValueError: a size is even or not positive, or `sigma` is not above 0.

    >>> gaussian_weights((3,)).round(3).tolist()
    [0.607, 1.0, 0.607]
    """
    _checks.check_positive("sigma", sigma)
    sizes = _checks.check_kernel_size(kernel_size)
    squared_distance = np.sum(np.square(_distances(sizes)), axis=0)
    return np.exp(-squared_distance / (2.0 * sigma**2))


def _distances(sizes: tuple[int, ...]) -> Float[np.ndarray, "axes ..."]:
    """Returns each place's signed distance from the center along each axis."""
    return np.indices(sizes) - np.reshape(sizes, (-1, *(1,) * len(sizes))) // 2

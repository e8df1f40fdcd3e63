"""Which pixels count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lal_jax._checks import as_indices, as_where

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Int


def valid_mask(
    labels: Int[Array, "..."],
    *,
    ignore_label: int = 255,
    where: Bool[Array, "..."] | None = None,
) -> Bool[Array, "..."]:
    """Returns True where a pixel has a class, False where it is void.

    Args:
      labels: class indices of any integer dtype and shape.
      ignore_label: the label that marks void pixels.
      where: False marks further pixels as void; same shape as `labels`.

    Returns:
      A boolean mask of the shape of `labels`.

    Raises:
      ValueError: labels are not integers, or `where` is not boolean or differs in
        shape.

    >>> import jax.numpy as jnp
    >>> valid_mask(jnp.array([[0, 255], [3, 1]])).tolist()
    [[True, False], [True, True]]
    """
    labels = as_indices(labels)
    return (labels != ignore_label) & as_where(where, labels.shape, "labels")

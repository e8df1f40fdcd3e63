"""Which pixels count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax.numpy as jnp

from lal_jax._checks import as_where

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
    labels = jnp.asarray(labels)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(
            f"labels must be integer class indices, got {labels.dtype}; "
            "convert them with labels.astype(jnp.int32)"
        )
    # int8 and uint8 could not hold every ignore_label.
    wide = labels if labels.dtype == jnp.int64 else labels.astype(jnp.int32)
    return (wide != ignore_label) & as_where(where, labels.shape, "labels")

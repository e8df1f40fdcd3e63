"""Tiles: what a program of the window losses' kernels reads and writes, and where.

A program has the `TILE` pixels of one tile of an image in planes (see
`lal_jax.window_planes`); threads side by side are side by side in a plane. An image is
read and written through the program's own memory, where pixels are by thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from lal_jax.window_planes import BLOCK, SPAN, TILE, Planes

if TYPE_CHECKING:
    from jaxtyping import Array


def start_of(tile: Any, planes: Planes) -> Any:
    """Returns where in a plane a tile begins: of zeros before, of pixels, or after."""
    of_pixels = tile - np.int32(planes.tiles_before)
    of_zeros = of_pixels - np.int32(planes.tiles)
    end = planes.first + planes.last + TILE
    before = tile * np.int32(TILE)
    after = jnp.minimum(
        np.int32(end) + of_zeros * np.int32(TILE), np.int32(planes.size - TILE)
    )
    first = np.int32(planes.first) + first_of(of_pixels, planes)
    start = jnp.where(
        of_pixels < np.int32(0), before, jnp.where(of_zeros < np.int32(0), first, after)
    )
    return lax.div(start, np.int32(SPAN))


def inside(start: Any, planes: Planes) -> Any:
    """Returns a tile's start, moved to where every offset stays in the plane."""
    first, last = planes.first // SPAN, (planes.first + planes.last) // SPAN
    return jnp.minimum(jnp.maximum(start, np.int32(first)), np.int32(last))


def first_of(tile: Any, planes: Planes) -> Any:
    """Returns the first pixel of a tile of pixels, or of the one nearest to it."""
    first = jnp.maximum(tile, np.int32(0)) * np.int32(TILE)
    return jnp.minimum(first, np.int32(planes.last))


def parts_of(tile: Any, classes: int, planes: Planes) -> Iterator[tuple[Any, Any]]:
    """Yields where parts of a tile of pixels are in an image's row, and in the tile.

    The second is the last of the tile, which overlaps the first where the tile ends
    after the image.
    """
    from jax.experimental import pallas as pl

    first = first_of(tile, planes)
    pixels = jnp.minimum(np.int32(planes.pixels) - first, np.int32(TILE))
    begin, count = first * np.int32(classes), TILE * classes - BLOCK
    yield pl.ds(begin, count), pl.ds(0, count)
    last = pixels * np.int32(classes) - np.int32(BLOCK)
    yield pl.ds(begin + last, BLOCK), pl.ds(last, BLOCK)


def block(start: Any) -> Any:
    """Returns the numbers of a plane that the threads have, from one on."""
    from jax.experimental import pallas as pl

    return pl.ds(start, BLOCK)


def neighbors(
    ref: Any, image: Any, base: Any, planes: Planes, *, stack: int = 0, classes: int = 1
) -> list[list[Array]]:
    """Returns what is at each place of the window of each of a thread's pixels.

    Each number is read once for all of them.

    Args:
      ref: planes `[n, SPAN · classes, length]`.
      image: which.
      base: where the thread's pixels are, `inside`.
      planes: what they are planes of.
      stack: which class.
      classes: how many there are.
    """
    read: dict[tuple[int, int], Array] = {}
    for q in range(SPAN):
        for offset in planes.offsets:
            shift, other = key = divmod(q + offset, SPAN)
            if key not in read:
                at = block(base + np.int32(shift))
                read[key] = ref[image, other * classes + stack, at]
    return [
        [read[divmod(q + offset, SPAN)] for offset in planes.offsets]
        for q in range(SPAN)
    ]

"""Planes: classes before pixels, with each place of a window at one constant offset.

An image is a row of numbers, its rows padded. A place of the window beyond an edge of
the image falls on padding, that of a row being shared with the next. Of every `SPAN`
neighbors in this row each goes to a plane of its own, so that a thread has them all and
reads what their windows share once, while threads side by side read side by side.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from lal_jax.window_sum_slices import offsets_within
from lal_jax.windows import NO_CLASS

if TYPE_CHECKING:
    from jaxtyping import Array, Float, Int

SPAN = 2  # neighboring pixels of a thread
BLOCK = 128  # threads of a program


@dataclasses.dataclass(frozen=True, kw_only=True)
class Planes:
    """Where an image of `height` × `width` pixels lies in `[rows, row]` numbers.

    Its pixels are at `[top : top + height, left : left + width]`. Those of a plane are
    in blocks from `first` up to `end`, from where each offset stays in the plane.
    """

    height: int
    width: int
    rows: int
    row: int
    top: int
    left: int
    first: int
    end: int
    places: tuple[tuple[int, ...], ...]  # of the window
    offsets: tuple[int, ...]  # theirs

    @property
    def size(self) -> int:
        """The numbers of an image, a multiple of `SPAN · BLOCK`."""
        return self.rows * self.row

    @property
    def length(self) -> int:
        """The numbers in a plane."""
        return self.size // SPAN


@functools.lru_cache(maxsize=256)
def planes_of(
    extents: tuple[int, ...], window: tuple[int, ...], dilation: tuple[int, ...]
) -> Planes:
    """Returns where images of those extents lie, for a window."""
    height, width = extents
    steps = {p: o.tolist() for p, o in offsets_within(extents, window, dilation)}
    up, left = (max(abs(step[axis]) for step in steps.values()) for axis in (0, 1))
    whole = SPAN * BLOCK
    row = _multiple(width + left, 8)
    reach = up * row + left
    first = _multiple(reach, whole)
    top = -(-(first - left) // row)
    end = _multiple((top + height - 1) * row + left + width, whole)
    return Planes(
        height=height,
        width=width,
        rows=_multiple(-(-(end + reach) // row), whole // math.gcd(whole, row)),
        row=row,
        top=top,
        left=left,
        first=first // SPAN,
        end=end // SPAN,
        places=tuple(steps),
        offsets=tuple(down * row + right for down, right in steps.values()),
    )


def _multiple(number: int, of: int) -> int:
    """Returns the least multiple that is no smaller."""
    return -(-number // of) * of


def to_rows(images: Array, planes: Planes, fill: int = 0) -> Array:
    """Returns `[n, height, width, ...]` as `[n, size, ...]`."""
    below = planes.rows - planes.top - planes.height
    beside = planes.row - planes.left - planes.width
    rest = [(0, 0)] * (images.ndim - 3)
    border = [(0, 0), (planes.top, below), (planes.left, beside), *rest]
    padded = jnp.pad(images, border, constant_values=fill)
    return padded.reshape(len(images), planes.size, *images.shape[3:])


def to_planes(rows: Array, planes: Planes) -> Array:
    """Returns `[n, size, classes]` as `[n, SPAN · classes, length]`.

    `[n, size]` is of one class. XLA fuses the padding with the transpose.
    """
    return rows.reshape(len(rows), planes.length, -1).swapaxes(1, 2)


def from_planes(flat: Array, planes: Planes, *classes: int) -> Array:
    """Returns planes as the images that they were of, with classes if there are any."""
    shape = (len(flat), planes.rows, planes.row, *classes)
    down = slice(planes.top, planes.top + planes.height)
    right = slice(planes.left, planes.left + planes.width)
    return flat.swapaxes(1, 2).reshape(shape)[:, down, right]


def same_mark_bits(marks: Int[Array, "n size"], planes: Planes) -> Int[Array, "n size"]:
    """Returns words whose bit k says that place k has the center's mark.

    0 at ignored pixels; others have their center's bit.
    """
    reach = max(planes.offsets)
    around = jnp.pad(marks, [(0, 0), (reach, reach)], constant_values=NO_CLASS)
    words = jnp.zeros(marks.shape, jnp.int32)
    for bit, offset in enumerate(planes.offsets):
        start = reach + offset
        same = around[:, start : start + planes.size] == marks
        words |= jnp.where(same, np.int32(1 << bit), np.int32(0))
    return jnp.where(marks != NO_CLASS, words, np.int32(0))


def inverse_divisor(
    words: Int[Array, "..."],
    planes: Planes,
    weights: Float[np.ndarray, "*window"],
    normalizer: str,
    scale: float,
) -> Float[Array, "..."]:
    """Returns the scale over ξ, `weights` joining in only with `normalizer="weights"`.

    See `lal_jax.pooling.window_divisor`.
    """
    if normalizer == "count":
        divisor = jax.lax.population_count(words).astype(jnp.float32)
    else:
        divisor = jnp.zeros(words.shape, jnp.float32)
        for bit, place in enumerate(planes.places):
            has = (words & np.int32(1 << bit)) != 0
            divisor += jnp.where(has, weights[place], np.float32(0))
    return np.float32(scale) / jnp.where(divisor == 0, np.float32(1), divisor)

"""Planes: classes before pixels, with each place of a window at one constant offset.

An image's pixels are one row of numbers, zeros before and after them. A place of the
window beyond an edge of the image falls on another pixel, or on these zeros, and does
not count. Of every `SPAN` neighbors in this row each goes to a plane of its own, so
that a thread has them all and reads what their windows share once, while threads side
by side read side by side.
"""

from __future__ import annotations

import dataclasses
import functools
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
TILE = SPAN * BLOCK  # pixels of a program


@dataclasses.dataclass(frozen=True, kw_only=True)
class Planes:
    """Where an image of `height` × `width` pixels lies in a row of `size` numbers.

    Its pixels are those from `first` on, `pixels` of them with those that fill up a
    small image. Every offset stays in the row from every tile of them; tiles are even.
    """

    height: int
    width: int
    pixels: int
    first: int
    size: int
    places: tuple[tuple[int, ...], ...]  # of the window
    steps: tuple[tuple[int, ...], ...]  # to them, down and right

    @property
    def offsets(self) -> tuple[int, ...]:
        """The places' offsets in the row."""
        return tuple(down * self.width + right for down, right in self.steps)

    @property
    def length(self) -> int:
        """The numbers in a plane."""
        return self.size // SPAN

    @property
    def last(self) -> int:
        """The first pixel of the last tile, which may end one pixel after the image."""
        return _multiple(self.pixels, SPAN) - TILE

    @property
    def tiles(self) -> int:
        """The tiles of an image's pixels; the last two may share some."""
        return -(-self.pixels // TILE)

    @property
    def tiles_before(self) -> int:
        """The tiles of zeros before them."""
        return self.first // TILE

    @property
    def tiles_after(self) -> int:
        """The tiles of zeros after them; the last two may share some."""
        return -(-(self.size - self.first - self.last - TILE) // TILE)


@functools.lru_cache(maxsize=256)
def planes_of(
    extents: tuple[int, ...], window: tuple[int, ...], dilation: tuple[int, ...]
) -> Planes:
    """Returns where images of those extents lie, for a window."""
    height, width = extents
    found = offsets_within(extents, window, dilation)
    steps = {place: tuple(step.tolist()) for place, step in found}
    reach = max(down * width + right for down, right in steps.values())
    pixels = max(height * width, TILE)
    first = _multiple(reach, TILE)
    after = max(reach, TILE)
    return Planes(
        height=height,
        width=width,
        pixels=pixels,
        first=first,
        size=_multiple(first + _multiple(pixels, SPAN) + after, TILE),
        places=tuple(steps),
        steps=tuple(steps.values()),
    )


def _multiple(number: int, of: int) -> int:
    """Returns the least multiple that is no smaller."""
    return -(-number // of) * of


def to_pixels(images: Array, planes: Planes) -> Array:
    """Returns `[n, height, width, ...]` as `[n, pixels · ...]`, one image a row."""
    rows = images.reshape(len(images), planes.height * planes.width, -1)
    filling = planes.pixels - rows.shape[1]
    return jnp.pad(rows, [(0, 0), (0, filling), (0, 0)]).reshape(len(images), -1)


def from_pixels(rows: Array, planes: Planes) -> Array:
    """Returns `[n, pixels · classes]` as `[n, height, width, classes]`."""
    pixels = rows.reshape(len(rows), planes.pixels, -1)
    inside = pixels[:, : planes.height * planes.width]
    return inside.reshape(len(rows), planes.height, planes.width, -1)


def to_planes(images: Array, planes: Planes, fill: int = 0) -> Array:
    """Returns `[n, height, width, classes]` as `[n, SPAN · classes, length]`.

    `[n, height, width]` is of one class. XLA fuses the padding with the transpose.
    """
    rows = images.reshape(len(images), planes.height * planes.width, -1)
    after = planes.size - planes.first - rows.shape[1]
    border = [(0, 0), (planes.first, after), (0, 0)]
    padded = jnp.pad(rows, border, constant_values=fill)
    return padded.reshape(len(rows), planes.length, -1).swapaxes(1, 2)


def from_planes(flat: Array, planes: Planes) -> Array:
    """Returns `[n, SPAN, length]`, of one class, as `[n, height, width]`."""
    rows = flat.swapaxes(1, 2).reshape(len(flat), planes.size)
    inside = rows[:, planes.first : planes.first + planes.height * planes.width]
    return inside.reshape(len(flat), planes.height, planes.width)


def same_mark_bits(
    marks: Int[Array, "n height width"], planes: Planes
) -> Int[Array, "n height width"]:
    """Returns words whose bit k says that place k has the center's mark.

    0 at ignored pixels; others have their center's bit.
    """
    up, left = (max(abs(step[axis]) for step in planes.steps) for axis in (0, 1))
    border = [(0, 0), (up, up), (left, left)]
    around = jnp.pad(marks, border, constant_values=NO_CLASS)
    words = jnp.zeros(marks.shape, jnp.int32)
    for bit, (down, right) in enumerate(planes.steps):
        rows = slice(up + down, up + down + planes.height)
        columns = slice(left + right, left + right + planes.width)
        same = around[:, rows, columns] == marks
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

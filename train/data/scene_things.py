"""The things in the built-in scenes: their shapes, textures and colors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

Rng = np.random.Generator
Field = npt.NDArray[np.floating]
Shape = Callable[[Rng, Field, Field], Field]
Texture = Callable[[Rng, Field, Field], Field]

PIGMENTS = {
    "chalk": (240, 230, 205),
    "straw": (222, 186, 96),
    "terracotta": (198, 104, 68),
    "rose": (206, 138, 150),
    "plum": (126, 66, 84),
    "soil": (104, 84, 66),
    "moss": (112, 148, 72),
    "teal": (78, 142, 146),
    "slate": (92, 112, 152),
}

# Shapes: signed distance to the outline, negative inside, of points x, y [h, w]. The
# unit is the thing's radius; every shape fits the unit disc.


def _rug(rng: Rng, x: Field, y: Field) -> Field:
    """A rectangle with tassels at both ends."""
    beyond_side = np.abs(y) - rng.uniform(0.4, 0.6)
    cloth = np.maximum(np.abs(x) - 0.65, beyond_side)
    comb = np.abs(np.mod(y, 0.2) - 0.1) - 0.035
    tassels = np.maximum.reduce([np.abs(x) - 0.8, beyond_side, comb])
    return np.minimum(cloth, tassels)


def _boulder(rng: Rng, x: Field, y: Field) -> Field:
    """An irregular round outline."""
    angle = np.arctan2(y, x)
    lobes = (np.cos(n * angle + rng.uniform(0, 7)) for n in (2, 3, 4))
    return np.hypot(x, y) - 0.78 - 0.07 * sum(lobes)


def _flower(rng: Rng, x: Field, y: Field) -> Field:
    """Round petals."""
    petals = rng.integers(6, 9)
    return np.hypot(x, y) - 0.85 - 0.1 * np.cos(petals * np.arctan2(y, x))


def _star(rng: Rng, x: Field, y: Field) -> Field:
    """Five or six points."""
    sector = math.pi / rng.integers(5, 7)
    notch = rng.uniform(0.4, 0.5)
    along, across = _fold(x, y, sector)
    # The line from the tip (1, 0) to the notch between two points.
    run, rise = notch * math.cos(sector) - 1, notch * math.sin(sector)
    return ((along - 1) * rise - across * run) / math.hypot(run, rise)


def _wheel(rng: Rng, x: Field, y: Field) -> Field:
    """A rim, a hub and thin spokes."""
    distance = np.hypot(x, y)
    _, across = _fold(x, y, math.pi / rng.integers(4, 8))
    rim = np.abs(distance - 0.8) - 0.2
    spokes = np.maximum(across - 0.05, distance - 0.8)
    return np.minimum.reduce([rim, distance - 0.2, spokes])


def _kite(rng: Rng, x: Field, y: Field) -> Field:
    """A rhombus with a thin waving tail."""
    half = rng.uniform(0.45, 0.6)
    sail = (np.abs(x - 0.3) / 0.7 + np.abs(y) / half - 1) * half * 0.8
    wave = np.abs(y - 0.12 * np.sin(9 * x + rng.uniform(0, 7)))
    tail = np.maximum(wave - 0.06, np.abs(x + 0.6) - 0.35)
    return np.minimum(sail, tail)


def _beetle(rng: Rng, x: Field, y: Field) -> Field:
    """A long body, a head and six thin legs."""
    side = np.abs(y)
    body = 0.45 * (np.hypot((x + 0.15) / 0.8, y / 0.45) - 1)
    head = np.hypot(x - 0.72, y) - 0.24
    spread = 1 + rng.uniform(0.2, 0.5) * side
    feet = [np.abs(x - root * spread) - 0.05 for root in (-0.5, -0.1, 0.35)]
    legs = np.maximum(np.minimum.reduce(feet), side - 0.65)
    return np.minimum.reduce([body, head, legs])


def _fold(x: Field, y: Field, sector: float) -> tuple[Field, Field]:
    """Folds the plane into the angles from 0 to `sector`, radians."""
    angle = np.abs(np.mod(np.arctan2(y, x) + sector, 2 * sector) - sector)
    distance = np.hypot(x, y)
    return distance * np.cos(angle), distance * np.sin(angle)


# Textures: the share, from 0 to 1, of a surface's second color at points u, v [h, w].
# The unit is the pixel, in a frame that turns with the surface.


def _mottled(rng: Rng, u: Field, v: Field) -> Field:
    return smooth_noise(rng, u.shape, (rng.uniform(8, 12),) * 2)


def _leafy(rng: Rng, u: Field, v: Field) -> Field:
    return smooth_noise(rng, u.shape, (rng.uniform(2.5, 4),) * 2)


def _sandy(rng: Rng, u: Field, v: Field) -> Field:
    return 0.5 * (
        smooth_noise(rng, u.shape, (1.2, 1.2)) + smooth_noise(rng, u.shape, (20, 20))
    )


def _grassy(rng: Rng, u: Field, v: Field) -> Field:
    return smooth_noise(rng, u.shape, (rng.uniform(6, 12), 1.8))


def _planked(rng: Rng, u: Field, v: Field) -> Field:
    gap = np.mod(u, rng.uniform(9, 16)) < 1.5
    return np.maximum(gap, 0.6 * smooth_noise(rng, u.shape, (2, 14)))


def _paved(rng: Rng, u: Field, v: Field) -> Field:
    slab = rng.uniform(10, 18)
    joint = np.minimum(np.mod(u, slab), np.mod(v, slab)) < 1.5
    return np.maximum(joint, 0.5 * smooth_noise(rng, u.shape, (3, 3)))


def _dotted(rng: Rng, u: Field, v: Field) -> Field:
    step = 2 * math.pi / rng.uniform(5, 8)
    return np.clip(2 * np.cos(step * u) * np.cos(step * v), 0, 1)


def _quartered(rng: Rng, u: Field, v: Field) -> Field:
    return np.clip(0.5 + u * v, 0, 1)


def _striped(rng: Rng, u: Field, v: Field) -> Field:
    return _bands(u, rng.uniform(7, 11))


def _ribbed(rng: Rng, u: Field, v: Field) -> Field:
    return _bands(u, rng.uniform(3.5, 5))


def _ringed(rng: Rng, u: Field, v: Field) -> Field:
    return _bands(np.hypot(u, v), rng.uniform(3.5, 5))


def _bands(u: Field, period: float) -> Field:
    return np.clip(0.5 + 1.5 * np.sin(2 * math.pi / period * u), 0, 1)


def smooth_noise(rng: Rng, shape: tuple[int, ...], grain: tuple[float, float]) -> Field:
    """Smooth noise in blobs of about `grain` (rows, columns) pixels, upright."""
    cells = [math.ceil(n / g) + 1 for n, g in zip(shape, grain, strict=True)]
    lattice = Image.fromarray(rng.random(cells, np.float32))
    blobs = np.asarray(lattice.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))
    return np.clip(1.6 * blobs - 0.3, 0, 1)


class Thing(NamedTuple):
    """A class of things."""

    name: str
    shape: Shape
    texture: Texture
    pigment: str  # the one it tends to
    rate: float  # expected number in a scene
    smallest: float  # radius, pixels; the largest is SCALE_RANGE times that


GROUNDS: tuple[Texture, ...] = (_grassy, _sandy, _mottled, _planked, _paved)
THINGS = (
    Thing("rug", _rug, _striped, "terracotta", 0.9, 18),
    Thing("stone", _boulder, _mottled, "moss", 1.1, 12),
    Thing("bush", _boulder, _leafy, "moss", 0.9, 12),
    Thing("flower", _flower, _dotted, "rose", 0.8, 11),
    Thing("star", _star, _dotted, "teal", 0.75, 14),
    Thing("wheel", _wheel, _ringed, "slate", 0.5, 11),
    Thing("kite", _kite, _quartered, "straw", 0.45, 14),
    Thing("beetle", _beetle, _ribbed, "plum", 0.24, 11),
)

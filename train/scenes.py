"""The built-in data set: generated scenes of things lying on the ground, from above.

A stand-in for Pascal VOC that needs no download: textured things on textured ground,
hiding one another, cut by the border, under changing light, with thin parts, a void
border and a long tail of classes. A pixel's colour is a hint and no more (a table of
colours reaches a mean IoU of 26 %): all colours, the ground's too, are mixed from the
same pigments, of which a class tends to one. Stone and bush share theirs and differ by
the grain of their texture alone.

A scene is a pure function of its split and index, so nothing has to be stored.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Rng = np.random.Generator
Field = npt.NDArray[np.floating]
Shape = Callable[[Rng, Field, Field], Field]
Texture = Callable[[Rng, Field, Field], Field]

VERSION = "1.1.0"  # raise it whenever a pixel changes
SIZE = (96, 128)
SPLIT_SIZES = {"train": 1600, "val": 240}
VOID = 255

# How hard the scenes are.
CROWDING = 1.0  # factor on the number of things
SCALE_RANGE = 3.0  # largest over smallest radius within a class
COLOUR_TENDENCY = 8.0  # how much of its class's own pigment a thing has; 0 is none
GROUND_CONTRAST = (10.0, 40.0)  # distance between a texture's two colours, in RGB
THING_CONTRAST = (70.0, 120.0)
LIGHT = 0.2  # largest relative change of brightness and contrast
BLUR = 0.8  # largest standard deviation, pixels
NOISE = (2.0, 7.0)  # standard deviation, grey levels
VOID_WIDTH = 1.25  # pixels, outside every outline: thin parts keep their label

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


# Textures: the share, from 0 to 1, of a surface's second colour at points u, v [h, w].
# The unit is the pixel, in a frame that turns with the surface.


def _mottled(rng: Rng, u: Field, v: Field) -> Field:
    return _noise(rng, u.shape, (rng.uniform(8, 12),) * 2)


def _leafy(rng: Rng, u: Field, v: Field) -> Field:
    return _noise(rng, u.shape, (rng.uniform(2.5, 4),) * 2)


def _sandy(rng: Rng, u: Field, v: Field) -> Field:
    return 0.5 * (_noise(rng, u.shape, (1.2, 1.2)) + _noise(rng, u.shape, (20, 20)))


def _grassy(rng: Rng, u: Field, v: Field) -> Field:
    return _noise(rng, u.shape, (rng.uniform(6, 12), 1.8))


def _planked(rng: Rng, u: Field, v: Field) -> Field:
    gap = np.mod(u, rng.uniform(9, 16)) < 1.5
    return np.maximum(gap, 0.6 * _noise(rng, u.shape, (2, 14)))


def _paved(rng: Rng, u: Field, v: Field) -> Field:
    slab = rng.uniform(10, 18)
    joint = np.minimum(np.mod(u, slab), np.mod(v, slab)) < 1.5
    return np.maximum(joint, 0.5 * _noise(rng, u.shape, (3, 3)))


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


def _noise(rng: Rng, shape: tuple[int, ...], grain: tuple[float, float]) -> Field:
    """Smooth noise in blobs of about `grain` (rows, columns) pixels, upright."""
    cells = [math.ceil(n / g) + 1 for n, g in zip(shape, grain, strict=True)]
    lattice = Image.fromarray(rng.random(cells, np.float32))
    blobs = np.asarray(lattice.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))
    return np.clip(1.6 * blobs - 0.3, 0, 1)


class Kind(NamedTuple):
    """A class of things."""

    name: str
    shape: Shape
    texture: Texture
    pigment: str  # the one it tends to
    rate: float  # expected number in a scene
    smallest: float  # radius, pixels; the largest is SCALE_RANGE times that


GROUNDS: tuple[Texture, ...] = (_grassy, _sandy, _mottled, _planked, _paved)
KINDS = (
    Kind("rug", _rug, _striped, "terracotta", 0.9, 18),
    Kind("stone", _boulder, _mottled, "moss", 1.1, 12),
    Kind("bush", _boulder, _leafy, "moss", 0.9, 12),
    Kind("flower", _flower, _dotted, "rose", 0.8, 11),
    Kind("star", _star, _dotted, "teal", 0.75, 14),
    Kind("wheel", _wheel, _ringed, "slate", 0.5, 11),
    Kind("kite", _kite, _quartered, "straw", 0.45, 14),
    Kind("beetle", _beetle, _ribbed, "plum", 0.24, 11),
)
CLASS_NAMES = ("ground", *(kind.name for kind in KINDS))


def draw_scene(
    split: str, index: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Draws one scene, always the same for the same arguments.

    Args:
        split: a key of `SPLIT_SIZES`. Splits share no scene.
        index: the scene's number in its split, 0 or more. Numbers from
            `SPLIT_SIZES[split]` on give further scenes of the same kind.

    Returns:
        The image, uint8 [96, 128, 3], and its label, uint8 [96, 128]. A label is an
        index into `CLASS_NAMES`, or `VOID` around an outline.

    Raises:
        ValueError: if the split is unknown or the index negative.
    """
    if split not in SPLIT_SIZES or index < 0:
        raise ValueError(
            f"no scene {index} in split {split!r}: the index starts at 0, and the "
            f"splits are {', '.join(SPLIT_SIZES)}"
        )
    rng = np.random.default_rng([list(SPLIT_SIZES).index(split), index])
    image = _draw_ground(rng)
    label = np.zeros(SIZE, np.uint8)
    sun = _direction(rng)
    counts = rng.poisson([CROWDING * kind.rate for kind in KINDS])
    for number in rng.permutation(np.repeat(np.arange(len(KINDS)), counts)):
        _draw_thing(rng, number, sun, image, label)
    return _photograph(rng, image), label


def _draw_ground(rng: Rng) -> Field:
    """Two kinds of ground with a soft winding border, [3, H, W] in 0 … 255."""
    y, x = np.indices(SIZE, np.float32)
    first, second = (
        _paint(rng, texture(rng, *_rotate(x, y, _direction(rng))), GROUND_CONTRAST)
        for texture in (GROUNDS[i] for i in rng.integers(len(GROUNDS), size=2))
    )
    border = rng.uniform(0.2, 0.9)
    share = np.clip(0.5 + 5 * (_noise(rng, SIZE, (64, 64)) - border), 0, 1)
    return first + share * (second - first)


def _draw_thing(
    rng: Rng,
    number: int,
    sun: tuple[float, float],
    image: Field,
    label: npt.NDArray[np.uint8],
) -> None:
    """Draws a thing of a kind, in a random size and pose, with its shadow, in place."""
    kind = KINDS[number]
    radius = kind.smallest * SCALE_RANGE ** rng.random()
    centre_y, centre_x = rng.uniform(0, SIZE).tolist()
    height = rng.uniform(1.5, 5)  # the length of the shadow, pixels

    # A window that holds thing and shadow, and the part of it within the image.
    reach = math.ceil(radius) + 8
    top, left = int(centre_y) - reach, int(centre_x) - reach
    rows, seen_rows = _overlap(top, 2 * reach, SIZE[0])
    columns, seen_columns = _overlap(left, 2 * reach, SIZE[1])
    seen = seen_rows, seen_columns

    y, x = np.indices((2 * reach, 2 * reach), np.float32)
    y, x = y + (top - centre_y), x + (left - centre_x)
    u, v = _rotate(x, y, _direction(rng))
    distance = radius * kind.shape(rng, u / radius, v / radius)
    cover = np.clip(0.5 - distance, 0, 1)
    shift = round(-height * sun[1]), round(-height * sun[0])
    shadow = np.roll(cover, shift, axis=(0, 1))
    relief = 1 + 0.2 / radius * (sun[0] * x + sun[1] * y)
    texture = kind.texture(rng, u[seen], v[seen])
    surface = relief[seen] * _paint(rng, texture, THING_CONTRAST, kind.pigment)

    image[:, rows, columns] *= 1 - 0.45 * shadow[seen]
    image[:, rows, columns] += cover[seen] * (surface - image[:, rows, columns])
    label[rows, columns][distance[seen] < VOID_WIDTH] = VOID
    label[rows, columns][distance[seen] < 0] = number + 1


def _overlap(start: int, length: int, limit: int) -> tuple[slice, slice]:
    """The part of [start, start + length) in [0, limit), counted from 0 and start."""
    first, last = max(start, 0), min(start + length, limit)
    return slice(first, last), slice(first - start, last - start)


def _paint(
    rng: Rng, share: Field, contrast: tuple[float, float], pigment: str = ""
) -> Field:
    """Mixes two random colours by a texture, [3, h, w] in 0 … 255."""
    concentration = [0.3 + COLOUR_TENDENCY * (name == pigment) for name in PIGMENTS]
    first, second = rng.dirichlet(concentration, 2) @ list(PIGMENTS.values())
    step = second - first
    step *= rng.uniform(*contrast) / (np.linalg.norm(step) + 1)
    first, step = (c.astype(np.float32)[:, None, None] for c in (first, step))
    return first + step * (share - np.float32(0.5))


def _photograph(rng: Rng, image: Field) -> npt.NDArray[np.uint8]:
    """Lights a scene [3, H, W] unevenly and takes a picture, [H, W, 3]."""
    slope_y, slope_x, brightness, contrast = rng.uniform(-LIGHT, LIGHT, 4).tolist()
    cast = rng.uniform(-LIGHT / 2, LIGHT / 2, (3, 1, 1)).astype(np.float32)
    y, x = (np.linspace(-0.5, 0.5, n, dtype=np.float32) for n in SIZE)
    light = 1 + brightness + cast + slope_y * y[:, None] + slope_x * x
    exposed = 128 + (1 + contrast) * (light * image - 128)
    sharp = np.clip(exposed, 0, 255).astype(np.uint8).transpose(1, 2, 0)
    blur = ImageFilter.GaussianBlur(rng.uniform(0, BLUR))
    blurred = np.asarray(Image.fromarray(sharp).filter(blur))
    noise = rng.uniform(*NOISE) * rng.standard_normal(blurred.shape, np.float32)
    return np.clip(blurred + noise, 0, 255).astype(np.uint8)


def _direction(rng: Rng) -> tuple[float, float]:
    """A random unit vector (x, y)."""
    angle = rng.uniform(0, 2 * math.pi)
    return math.cos(angle), math.sin(angle)


def _rotate(x: Field, y: Field, axis: tuple[float, float]) -> tuple[Field, Field]:
    """Coordinates in a frame whose first axis is the unit vector `axis`."""
    return axis[0] * x + axis[1] * y, axis[0] * y - axis[1] * x

"""The built-in data set: generated scenes of things lying on the ground, from above.

A stand-in for Pascal VOC that needs no download: textured things over textured ground,
hiding one another, cut by the border, under changing light, with thin parts, a void
border and a long tail of classes. Things and ground mix their colours from the same
pigments, so colour tells no class: star and flower differ by outline alone, stone and
bush by the grain of their texture alone.

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

VERSION = "1.0.0"
SIZE = (96, 128)
SPLIT_SIZES = {"train": 1200, "val": 200}
VOID = 255

# How hard the scenes are. A change here changes pixels: bump VERSION.
CROWDING = 1.0  # factor on the number of things; more things hide one another more
SCALE_RANGE = 4.0  # largest over smallest radius within a class
VOID_WIDTH = 1.25  # pixels around every outline
GROUND_CONTRAST = (20.0, 60.0)  # distance between a texture's two colours in RGB
THING_CONTRAST = (40.0, 100.0)
LIGHT = 0.25  # largest relative change of brightness, contrast, slope of the light
BLUR = 0.8  # largest standard deviation, pixels
NOISE = (2.0, 10.0)  # standard deviation, grey levels of 255

PIGMENTS = np.array(
    [
        (240, 230, 205),  # chalk
        (222, 186, 96),  # straw
        (198, 104, 68),  # terracotta
        (206, 138, 150),  # rose
        (126, 66, 84),  # plum
        (104, 84, 66),  # soil
        (112, 148, 72),  # moss
        (78, 142, 146),  # teal
        (92, 112, 152),  # slate
    ],
    np.float32,
)


# Shapes: signed distance to the outline, negative inside, in units of the thing's
# radius. x and y [h, w] are in the same units; every shape fits the unit disc.


def _rug(rng: Rng, x: Field, y: Field) -> Field:
    """A rectangle with tassels at both ends."""
    half = rng.uniform(0.4, 0.6)
    strip = (np.mod(y, 0.2) - 0.1).astype(np.float32)
    cloth = np.maximum(np.abs(x) - 0.65, np.abs(y) - half)
    tassels = np.maximum.reduce(
        [np.abs(x) - 0.8, np.abs(y) - half, np.abs(strip) - 0.035]
    )
    return np.minimum(cloth, tassels)


def _boulder(rng: Rng, x: Field, y: Field) -> Field:
    """An irregular round outline."""
    angle = np.arctan2(y, x)
    lobes = (np.cos(n * angle + rng.uniform(0, 7)) for n in (2, 3, 4))
    return np.hypot(x, y) - 0.8 - 0.07 * sum(lobes)


def _flower(rng: Rng, x: Field, y: Field) -> Field:
    """Round petals."""
    petals = rng.integers(5, 8)
    return 0.9 * np.hypot(x, y) - 0.72 - 0.16 * np.cos(petals * np.arctan2(y, x))


def _star(rng: Rng, x: Field, y: Field) -> Field:
    """Five to seven points."""
    sector = math.pi / rng.integers(5, 8)
    notch = rng.uniform(0.42, 0.55)
    along, across = _fold(x, y, sector)
    # The line from the point (1, 0) to the notch between two points.
    run, rise = notch * math.cos(sector) - 1, notch * math.sin(sector)
    return ((along - 1) * rise - across * run) / math.hypot(run, rise)


def _wheel(rng: Rng, x: Field, y: Field) -> Field:
    """A rim, a hub and thin spokes."""
    along, across = _fold(x, y, math.pi / rng.integers(4, 8))
    distance = np.hypot(x, y)
    rim = np.abs(distance - 0.8) - 0.2
    spokes = np.maximum(across - 0.05, distance - 0.8)
    return np.minimum.reduce([rim, distance - 0.2, spokes])


def _kite(rng: Rng, x: Field, y: Field) -> Field:
    """A rhombus with a thin waving tail."""
    half = rng.uniform(0.45, 0.6)
    sail = (half * np.abs(x - 0.3) + 0.7 * np.abs(y) - 0.7 * half) / math.hypot(
        half, 0.7
    )
    wave = y - 0.12 * np.sin(9 * x + rng.uniform(0, 7))
    tail = np.maximum(np.abs(wave) - 0.06, np.abs(x + 0.6) - 0.35)
    return np.minimum(sail, tail)


def _beetle(rng: Rng, x: Field, y: Field) -> Field:
    """A long body, a head and six thin legs."""
    body = 0.45 * (np.hypot((x + 0.15) / 0.8, y / 0.45) - 1)
    head = np.hypot(x - 0.72, y) - 0.24
    slant = rng.uniform(0.2, 0.5)
    side = np.abs(y)
    legs = [
        np.maximum(np.abs(x - start - slant * start * side) - 0.05, side - 0.75)
        for start in (-0.55, -0.1, 0.35)
    ]
    return np.minimum.reduce([body, head, *legs])


def _fold(x: Field, y: Field, sector: float) -> tuple[Field, Field]:
    """Folds the plane into one sector: 0 <= angle <= sector, in radians."""
    angle = np.abs(np.mod(np.arctan2(y, x) + sector, 2 * sector) - sector)
    distance = np.hypot(x, y)
    return distance * np.cos(angle), distance * np.sin(angle)


# Textures: the share of a surface's second colour, in [0, 1]. u and v [h, w] are pixels
# in the surface's own, rotated frame.


def _noise(rng: Rng, shape: tuple[int, ...], period: tuple[float, float]) -> Field:
    """Smooth noise with blobs of about `period` (rows, columns) pixels."""
    cells = [math.ceil(n / p) + 1 for n, p in zip(shape, period, strict=True)]
    lattice = Image.fromarray(rng.random(cells, np.float32))
    fine = lattice.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.clip(1.6 * np.asarray(fine) - 0.3, 0, 1)


def _mottled(rng: Rng, u: Field, v: Field) -> Field:
    """Broad blotches."""
    return _noise(rng, u.shape, (rng.uniform(8, 12),) * 2)


def _leafy(rng: Rng, u: Field, v: Field) -> Field:
    """Fine blotches."""
    return _noise(rng, u.shape, (rng.uniform(2.5, 4),) * 2)


def _grainy(rng: Rng, u: Field, v: Field) -> Field:
    """Grains of a pixel, over broad blotches."""
    return 0.5 * (_noise(rng, u.shape, (1.2, 1.2)) + _noise(rng, u.shape, (20, 20)))


def _grassy(rng: Rng, u: Field, v: Field) -> Field:
    """Upright blades."""
    return _noise(rng, u.shape, (rng.uniform(6, 12), 1.8))


def _striped(rng: Rng, u: Field, v: Field) -> Field:
    return _wave(u, rng.uniform(6, 11))


def _ringed(rng: Rng, u: Field, v: Field) -> Field:
    return _wave(u, rng.uniform(3, 4.5))


def _planked(rng: Rng, u: Field, v: Field) -> Field:
    """Broad boards with narrow gaps, and grain along them."""
    gaps = np.mod(u, rng.uniform(9, 16)) < 1.5
    return np.where(gaps, np.float32(1), 0.6 * _noise(rng, u.shape, (2, 14)))


def _checked(rng: Rng, u: Field, v: Field) -> Field:
    period = rng.uniform(7, 12)
    return np.abs(_wave(u, period) - _wave(v, period))


def _paved(rng: Rng, u: Field, v: Field) -> Field:
    """Square slabs with narrow joints."""
    slab = rng.uniform(10, 18)
    joints = np.minimum(np.mod(u, slab), np.mod(v, slab)) < 1.5
    return np.where(joints, np.float32(1), 0.5 * _noise(rng, u.shape, (3, 3)))


def _dotted(rng: Rng, u: Field, v: Field) -> Field:
    step = 2 * math.pi / rng.uniform(5, 8)
    return np.clip(2 * np.cos(step * u) * np.cos(step * v), 0, 1)


def _wave(u: Field, period: float) -> Field:
    """Bands with soft edges."""
    return np.clip(0.5 + 1.5 * np.sin(2 * math.pi / period * u), 0, 1)


class Kind(NamedTuple):
    """A class of things."""

    name: str
    shape: Shape
    texture: Texture
    rate: float  # expected number in an image
    smallest: float  # radius, pixels; the largest is SCALE_RANGE times that


GROUNDS: tuple[Texture, ...] = (_grassy, _grainy, _mottled, _planked, _paved)
KINDS = (
    Kind("rug", _rug, _striped, 0.8, 15),
    Kind("stone", _boulder, _mottled, 1.1, 10),
    Kind("bush", _boulder, _leafy, 1.0, 10),
    Kind("flower", _flower, _dotted, 0.8, 9),
    Kind("star", _star, _dotted, 0.8, 10),
    Kind("wheel", _wheel, _grainy, 0.5, 9),
    Kind("kite", _kite, _checked, 0.4, 10),
    Kind("beetle", _beetle, _ringed, 0.3, 7),
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
        The image [96, 128, 3] and its label [96, 128], both uint8, where a pixel is an index
        into `CLASS_NAMES`, or `VOID` around an outline.

    Raises:
        ValueError: the split is unknown or the index negative.
    """
    if split not in SPLIT_SIZES or index < 0:
        raise ValueError(
            f"no scene {index} in split {split!r}: give an index of 0 or more and "
            f"a split of {', '.join(SPLIT_SIZES)}"
        )
    rng = np.random.default_rng([list(SPLIT_SIZES).index(split), index])
    sun = _direction(rng)
    image = _draw_ground(rng)
    label = np.zeros(SIZE, np.uint8)
    counts = rng.poisson([CROWDING * kind.rate for kind in KINDS])
    for class_index in rng.permutation(np.repeat(np.arange(len(KINDS)), counts) + 1):
        _draw_thing(rng, class_index, sun, image, label)
    return _photograph(rng, image), label


def _draw_ground(rng: Rng) -> Field:
    """Two kinds of ground with a soft winding border, [3, H, W] in 0 … 255."""
    y, x = np.indices(SIZE, np.float32)
    first, second = (
        _surface(rng, GROUNDS[number], GROUND_CONTRAST, *_rotate(x, y, _direction(rng)))
        for number in rng.integers(len(GROUNDS), size=2)
    )
    border = rng.uniform(0.2, 0.9)
    share = np.clip(0.5 + 5 * (_noise(rng, SIZE, (64, 64)) - border), 0, 1)
    return first + share * (second - first)


def _draw_thing(
    rng: Rng,
    class_index: int,
    sun: tuple[float, float],
    image: Field,
    label: npt.NDArray[np.uint8],
) -> None:
    """Draws a thing of random size and pose, and its shadow, in place."""
    kind = KINDS[class_index - 1]
    radius = kind.smallest * SCALE_RANGE ** rng.random()
    centre_y, centre_x = rng.uniform(0, SIZE).tolist()
    height = rng.uniform(1.5, 5)  # the length of the shadow, pixels

    # A square window that holds thing and shadow, and the part of it in the picture.
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
    surface = relief[seen] * _surface(
        rng, kind.texture, THING_CONTRAST, u[seen], v[seen]
    )

    picture = image[:, rows, columns]
    picture *= 1 - 0.45 * shadow[seen]
    picture += cover[seen] * (surface - picture)
    label[rows, columns][distance[seen] < VOID_WIDTH] = VOID
    label[rows, columns][distance[seen] < 0] = class_index


def _overlap(start: int, length: int, limit: int) -> tuple[slice, slice]:
    """The part of [start, start + length) in [0, limit), counted from 0 and start."""
    first, last = max(start, 0), min(start + length, limit)
    return slice(first, last), slice(first - start, last - start)


def _surface(
    rng: Rng, texture: Texture, contrast: tuple[float, float], u: Field, v: Field
) -> Field:
    """A surface of two random colours mixed by a texture, [3, h, w] in 0 … 255."""
    colour, other = rng.dirichlet(np.full(len(PIGMENTS), 0.3), 2) @ PIGMENTS
    step = other - colour
    step *= rng.uniform(*contrast) / (np.linalg.norm(step) + 1)
    colour, step = (a.astype(np.float32)[:, None, None] for a in (colour, step))
    return colour + step * (texture(rng, u, v) - 0.5)


def _photograph(rng: Rng, image: Field) -> npt.NDArray[np.uint8]:
    """Lights a scene [3, H, W] unevenly and takes a picture, [H, W, 3]."""
    slope_y, slope_x, brightness, contrast, *cast = rng.uniform(
        -LIGHT, LIGHT, 7
    ).tolist()
    y, x = (np.linspace(-0.5, 0.5, n, dtype=np.float32) for n in SIZE)
    light = 1 + slope_y * y[:, None] + slope_x * x
    gain = (1 + contrast) * (1 + brightness + 0.5 * np.array(cast, np.float32))
    lit = light * gain[:, None, None] * image - 128 * contrast
    sharp = Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8).transpose(1, 2, 0))
    blurred = np.asarray(sharp.filter(ImageFilter.GaussianBlur(rng.uniform(0, BLUR))))
    noise = rng.standard_normal((*SIZE, 3), np.float32) * np.float32(
        rng.uniform(*NOISE)
    )
    return np.clip(blurred + noise, 0, 255).astype(np.uint8)


def _direction(rng: Rng) -> tuple[float, float]:
    """A random unit vector (x, y)."""
    angle = rng.uniform(0, 2 * math.pi)
    return math.cos(angle), math.sin(angle)


def _rotate(x: Field, y: Field, axis: tuple[float, float]) -> tuple[Field, Field]:
    """Coordinates in a frame whose first axis is the unit vector `axis`."""
    return axis[0] * x + axis[1] * y, axis[0] * y - axis[1] * x

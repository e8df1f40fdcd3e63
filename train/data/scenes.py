"""The built-in data set: generated scenes of things lying on the ground, from above.

A stand-in for Pascal VOC that needs no download: textured things on textured ground,
hiding one another, cut by the border, under changing light, with thin parts, a void
border and a long tail of classes. A pixel's color is a hint and no more (a table of
colors reaches a mean IoU of 26 %): all colors, the ground's too, are mixed from the
same pigments, of which a class tends to one. Stone and bush share theirs and differ by
the grain of their texture alone.

A scene is a pure function of its split and index, so nothing has to be stored.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow_datasets as tfds
from PIL import Image, ImageFilter

from train.data.images import IGNORED, encode
from train.data.records import SegmentationBuilder, make_record, progress
from train.data.scene_things import (
    GROUNDS,
    PIGMENTS,
    THINGS,
    Field,
    Rng,
    smooth_noise,
)

SCENES_VERSION = "1.1.0"  # raise it whenever a pixel changes
SIZE = (96, 128)
SPLIT_SIZES = {"train": 1600, "val": 240}

# How hard the scenes are.
CROWDING = 1.0  # factor on the number of things
SCALE_RANGE = 3.0  # largest over smallest radius within a class
COLOR_TENDENCY = 8.0  # how much of its class's own pigment a thing has; 0 is none
GROUND_CONTRAST = (10.0, 40.0)  # distance between a texture's two colors, in RGB
THING_CONTRAST = (70.0, 120.0)
LIGHT = 0.2  # largest relative change of brightness and contrast
BLUR = 0.8  # largest standard deviation, pixels
NOISE = (2.0, 7.0)  # standard deviation, gray levels
IGNORED_WIDTH = 1.25  # pixels, outside every outline: thin parts keep their label

CLASS_NAMES = ("ground", *(kind.name for kind in THINGS))


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
        index into `CLASS_NAMES`, or `IGNORED` around an outline.

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
    counts = rng.poisson([CROWDING * kind.rate for kind in THINGS])
    for number in rng.permutation(np.repeat(np.arange(len(THINGS)), counts)):
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
    share = np.clip(0.5 + 5 * (smooth_noise(rng, SIZE, (64, 64)) - border), 0, 1)
    return first + share * (second - first)


def _draw_thing(
    rng: Rng,
    number: int,
    sun: tuple[float, float],
    image: Field,
    label: npt.NDArray[np.uint8],
) -> None:
    """Draws a thing of a kind, in a random size and pose, with its shadow, in place."""
    kind = THINGS[number]
    radius = kind.smallest * SCALE_RANGE ** rng.random()
    center_y, center_x = rng.uniform(0, SIZE).tolist()
    height = rng.uniform(1.5, 5)  # the length of the shadow, pixels

    # A window that holds thing and shadow, and the part of it within the image.
    reach = math.ceil(radius) + 8
    top, left = int(center_y) - reach, int(center_x) - reach
    rows, seen_rows = _overlap(top, 2 * reach, SIZE[0])
    columns, seen_columns = _overlap(left, 2 * reach, SIZE[1])
    seen = seen_rows, seen_columns

    y, x = np.indices((2 * reach, 2 * reach), np.float32)
    y, x = y + (top - center_y), x + (left - center_x)
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
    label[rows, columns][distance[seen] < IGNORED_WIDTH] = IGNORED
    label[rows, columns][distance[seen] < 0] = number + 1


def _overlap(start: int, length: int, limit: int) -> tuple[slice, slice]:
    """The part of [start, start + length) in [0, limit), counted from 0 and start."""
    first, last = max(start, 0), min(start + length, limit)
    return slice(first, last), slice(first - start, last - start)


def _paint(
    rng: Rng, share: Field, contrast: tuple[float, float], pigment: str = ""
) -> Field:
    """Mixes two random colors by a texture, [3, h, w] in 0 … 255."""
    concentration = [0.3 + COLOR_TENDENCY * (name == pigment) for name in PIGMENTS]
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


class BuiltinScenes(SegmentationBuilder):
    """The generated scenes as a TFDS data set."""

    VERSION = tfds.core.Version(SCENES_VERSION)
    classes = range(len(CLASS_NAMES))

    def _split_generators(self, dl_manager: object) -> dict[str, Iterator[Any]]:
        return {split: self._generate_examples(split) for split in SPLIT_SIZES}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for index in progress(range(SPLIT_SIZES[split]), split):
            image, label = draw_scene(split, index)
            encoded = encode(image, "JPEG", quality=95, subsampling=0)
            yield index, make_record(encoded, label, f"{split}_{index:04d}")

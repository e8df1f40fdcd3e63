"""Summary of a data set: its classes, sizes, values and findings, as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

import lal_jax
from train.data.images import IGNORED, Size
from train.data.palette import VOID_COLOR, voc_colormap
from train.data.void import void_marked
from train.inspection.causes import MANY, Cause, cause_of_colors, cause_of_values
from train.inspection.contents import Contents
from train.inspection.facts import Color, Facts
from train.inspection.findings_of_data import (
    FactsOf,
    Finding,
    Listed,
    checked_together,
    faults_of,
    images_with,
    warnings_of,
)


class Occurrence(NamedTuple):
    """How often a class occurs in a split."""

    pixels: float  # fraction of those that are not ignored
    images: int
    of_images: float


class ClassLine(NamedTuple):
    """A class, and how often it occurs in each split."""

    name: str
    color: np.ndarray  # uint8 [3]
    splits: dict[str, Occurrence]
    weight: float | None


class Sizes(NamedTuple):
    """Sizes of the images of a split, pixels."""

    height: tuple[int, int]  # smallest and largest
    width: tuple[int, int]
    commonest: Size
    share: float  # of the images have it
    different: int  # sizes


class StrayLine(NamedTuple):
    """A value or a color of masks that is no class."""

    what: str
    pixels: int
    images: int
    places: tuple[Listed, ...]


class Stray(NamedTuple):
    """All values, or all colors, that are no classes; all values, if none are known."""

    title: str
    lines: list[StrayLine]
    cause: Cause


class Summary(NamedTuple):
    """All that an inspection shows."""

    contents: Contents
    facts: FactsOf
    faults: list[Finding]
    warnings: list[Finding]
    sizes: dict[str, Sizes]
    ignored: dict[str, float]  # fraction of the pixels, by split
    classes: list[ClassLine]
    values: Stray | None
    colors: Stray | None
    labelmap: str  # that would read the colors

    def name(self, place: Listed) -> str:
        """Returns the name of an image."""
        return self.facts[place.split][place.number].name


def summarize(contents: Contents, facts: FactsOf) -> Summary:
    """Returns the tables of a data set.

    Args:
      contents: what was listed.
      facts: of each of its images.
    """
    together = checked_together(contents, facts)
    faults = faults_of(contents, facts, together)
    colors = _stray_colors(contents, facts)
    return Summary(
        contents,
        facts,
        faults,
        warnings_of(contents, facts, together),
        {split: sizes for split, of in facts.items() if (sizes := _sizes(of))},
        {split: _ignored(of) for split, of in facts.items()},
        _classes(contents, facts, weighted=not faults),
        _stray_values(contents, facts),
        colors,
        _labelmap(colors) if colors and not contents.by_color else "",
    )


def _sizes(facts: Sequence[Facts]) -> Sizes | None:
    sizes = [known.size for known in facts if known.size]
    if not sizes:
        return None
    heights, widths = zip(*sizes, strict=True)
    counts = Counter(sizes)
    ((commonest, count),) = counts.most_common(1)
    return Sizes(
        (min(heights), max(heights)),
        (min(widths), max(widths)),
        commonest,
        count / len(sizes),
        len(counts),
    )


def _ignored(facts: Sequence[Facts]) -> float:
    total = sum(sum(known.values.values()) for known in facts)
    return sum(known.values.get(IGNORED, 0) for known in facts) / max(1, total)


def _counts(facts: Sequence[Facts], classes: int) -> np.ndarray:
    """Returns the pixels of each class in each image, int64 `[images, classes]`."""
    counts = np.zeros((len(facts), classes), np.int64)
    for row, known in zip(counts, facts, strict=True):
        for value, pixels in known.values.items():
            if value < classes:
                row[value] = pixels
    return counts


def _classes(contents: Contents, facts: FactsOf, *, weighted: bool) -> list[ClassLine]:
    """Returns a line for each class, with weights where all pixels are counted."""
    names = contents.class_names
    splits: dict[str, list[Occurrence]] = {}
    weights: list[float] = []
    for split, of in facts.items():
        counts = _counts(of, len(names))
        pixels, images = counts.sum(axis=0), (counts > 0).sum(axis=0)
        splits[split] = [
            Occurrence(n / max(1, pixels.sum()), int(m), m / max(1, len(of)))
            for n, m in zip(pixels.tolist(), images.tolist(), strict=True)
        ]
        # Of what is trained on, which is the first.
        if weighted and not weights and pixels.any():
            weights = lal_jax.class_weights_from_counts(
                counts, method="inverse_root"
            ).tolist()
    return [
        ClassLine(
            name,
            contents.colors[index],
            {split: lines[index] for split, lines in splits.items()},
            weights[index] if weights else None,
        )
        for index, name in enumerate(void_marked(names, contents.void))
    ]


def _stray_values(contents: Contents, facts: FactsOf) -> Stray | None:
    """Returns the values that are neither a class nor ignored.

    All of them, where nothing names the classes and they cannot be counted either.
    """
    names = contents.class_names
    having = Counter[int]()
    for of in facts.values():
        having += images_with(of)
    lines = []
    for value in sorted(set(having) - set(range(len(names))) - {IGNORED}):
        found = [
            (Listed(split, index), known.values[value])
            for split, of in facts.items()
            for index, known in enumerate(of)
            if value in known.values
        ]
        places = tuple(place for place, _ in found)
        total = sum(pixels for _, pixels in found)
        lines.append(StrayLine(str(value), total, len(found), places[:9]))
    sound = [str(value) for value in range(len(lines))]  # which can be counted
    if [line.what for line in lines] == ([] if names else sound):
        return None
    title = "Values without class" if names else "Values, classes unknown"
    return Stray(title, lines, cause_of_values(having, names, contents.colors))


def _stray_colors(contents: Contents, facts: FactsOf) -> Stray | None:
    """Returns the colors of masks that are pictures of colors without classes."""
    pixels, images = Counter[Color](), Counter[Color]()
    places: dict[Color, list[Listed]] = {}
    named = {(r, g, b) for r, g, b in contents.colors.tolist()}
    for split, of in facts.items():
        for index, known in enumerate(of):
            for color, count in known.colors.items():
                if contents.by_color and color in named:
                    continue
                pixels[color] += count
                images[color] += 1
                places.setdefault(color, []).append(Listed(split, index))
    lines = [
        StrayLine(_as_text(color), n, images[color], tuple(places[color][:9]))
        for color, n in pixels.most_common()
    ]
    cause = cause_of_colors(pixels, contents.by_color)
    return Stray("Colors without class", lines, cause) if lines else None


def _labelmap(colors: Stray) -> str:
    """Returns lines that give each color a class; the names are to be filled in.

    They are in the order of Pascal VOC's colors where all are of those; there are none
    where the colors are more than anybody names.
    """
    found = [line.what for line in colors.lines if line.what != _as_text(VOID_COLOR)]
    order = list(map(_as_text, voc_colormap()))
    if set(found) <= set(order):
        found.sort(key=order.index)
    elif len(found) > MANY:
        return ""
    return "".join(f"class_{i}:{color}::\n" for i, color in enumerate(found))


def _as_text(color: Iterable[int]) -> str:
    return ",".join(map(str, color))

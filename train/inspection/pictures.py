"""Pictures of an inspection: which images are shown, and their masks laid over them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from train.common.errors import UserError
from train.data.forms import shown_image
from train.data.images import IGNORED, decode, read_image, read_mask
from train.data.palette import overlay
from train.data.voc_files import Pair
from train.data.void import without_void
from train.inspection.contents import Contents
from train.inspection.findings_of_data import Listed
from train.inspection.summary import Summary
from train.report.html import jpeg

_SEED = 0
_AT_RANDOM = 6  # of each split
_RAREST = 6  # classes, each by the image with most of it
_OF_A_FINDING = 3
_FINDINGS = 12
_SIDE = 360  # pixels, of the longest
STRAY_COLOR = np.array((229, 36, 59), np.uint8)  # of values that are no class


class Picture(NamedTuple):
    """A mask laid over its image."""

    title: str
    why: str
    source: str  # of an HTML image


def pictures_of(summary: Summary) -> list[Picture]:
    """Returns what is suspicious, then the rarest classes, then some at random.

    Images that cannot be decoded are left out.
    """
    chosen: dict[Listed, dict[str, None]] = {}
    for place, why in [
        *_suspicious(summary),
        *_of_rarest_classes(summary),
        *_at_random(summary),
    ]:
        chosen.setdefault(place, {})[why] = None
    found = (_picture(summary, place, ", ".join(why)) for place, why in chosen.items())
    return [picture for picture in found if picture]


def _suspicious(summary: Summary) -> Iterator[tuple[Listed, str]]:
    for kind, findings in (("fault", summary.faults), ("warning", summary.warnings)):
        for number, finding in enumerate(findings[:_FINDINGS], start=1):
            for place in finding.places[:_OF_A_FINDING]:
                yield place, f"{kind} {number}"


def _of_rarest_classes(summary: Summary) -> Iterator[tuple[Listed, str]]:
    """Yields the image of the first split that has most of each of the rarest."""
    if not summary.facts:
        return
    split, facts = next(iter(summary.facts.items()))
    present = [
        (line.splits[split].pixels, value, line.name)
        for value, line in enumerate(summary.classes)
        if line.splits[split].images
    ]
    for _, value, name in sorted(present)[:_RAREST]:
        most = max(range(len(facts)), key=lambda i: facts[i].values.get(value, 0))
        yield Listed(split, most), f"rare: {name}"


def _at_random(summary: Summary) -> Iterator[tuple[Listed, str]]:
    for split, facts in summary.facts.items():
        order = np.random.default_rng(_SEED).permutation(len(facts))
        for index in order[:_AT_RANDOM].tolist():
            yield Listed(split, index), "at random"


def _picture(summary: Summary, place: Listed, why: str) -> Picture | None:
    title = f"{place.split}/{summary.name(place)}"
    try:
        pixels = _painted(summary.contents, summary.contents.splits[place.split], place)
    except Exception:  # the facts say of which
        return None
    photo = Image.fromarray(pixels)
    photo.thumbnail((_SIDE, _SIDE))
    return Picture(title, why, jpeg(photo))


def _painted(contents: Contents, split: Any, place: Listed) -> np.ndarray:
    """Returns an image under its mask, or alone where the mask cannot be laid on it."""
    entry = split[place.number]
    if not isinstance(entry, Pair):
        image, label = decode(entry)
        image = shown_image(image)
    else:
        image = shown_image(read_image(entry.image, contents.form))
        colors = contents.colors if contents.by_color else None
        try:
            label = without_void(read_mask(entry.mask, colors), contents.void)
        except UserError:
            return image
    if label.shape != image.shape[:2]:
        return image
    painted = overlay(image, label, contents.colors)
    painted[(label >= len(contents.colors)) & (label != IGNORED)] = STRAY_COLOR
    return painted

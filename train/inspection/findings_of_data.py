"""Findings: what of all images together would end a training, or spoil it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from train.common.errors import UserError
from train.data.images import IGNORED
from train.data.mask_checks import (
    MaskChecks,
    check_values,
    is_made,
    of_white,
    white_beside_classes,
)
from train.data.voc_files import Pair
from train.inspection.contents import HELD_OUT, Contents
from train.inspection.facts import Facts

_SHOWN = 9  # missing files of one kind
_NAMES = re.compile(r"[/\d]")  # is in words that are paths and numbers
_TAKE_OUT = "Keep one of each: take the others' lines, or without lists files, out."
NEARLY_ALL = 0.99  # of a mask's pixels

FactsOf = Mapping[str, Sequence[Facts]]  # by split, in the order of its list


class Listed(NamedTuple):
    """An image, by its split and its number there."""

    split: str
    number: int


class Finding(NamedTuple):
    """Something that one or more images have in common."""

    text: str
    places: tuple[Listed, ...] = ()


def faults_of(contents: Contents, facts: FactsOf, together: Together) -> list[Finding]:
    """Returns what ends a training, one of each kind, with all its images.

    Args:
      contents: what was listed, and what could not be.
      facts: of each image.
      together: what all masks are.
    """
    first: dict[str, str] = {}
    places: dict[str, list[Listed]] = defaultdict(list)
    by_image = {text for of in facts.values() for each in of for text in each.faults}
    listed = _alike([text for text in contents.faults if text not in by_image])
    for place, pair, text in [*_faults_by_image(contents, facts), *together.alone]:
        kind = _kind(text, pair)
        first.setdefault(kind, text)
        places[kind].append(place)
    found = [Finding(text, tuple(places[kind])) for kind, text in first.items()]
    known = {finding.text for finding in listed}
    of_all = [Finding(text) for text in together.whole if text not in known]
    return [*listed, *of_all, *found]


def _alike(texts: Sequence[str]) -> list[Finding]:
    """Returns the faults of lists, the first of each kind with the number of others."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for text in texts:
        kinds[_without_names(text)].append(text)
    return [
        Finding(
            "\n".join(of[:_SHOWN])
            + f"\n… and {len(of) - _SHOWN} more" * (len(of) > _SHOWN)
        )
        for of in kinds.values()
    ]


def _without_names(text: str) -> str:
    """Returns a fault without what is quoted, and words with a slash or a digit."""
    words = re.sub("'[^']*'", "#", text).split()
    return " ".join("#" if _NAMES.search(word) else word for word in words)


_Fault = tuple[Listed, Pair | None, str]


def _faults_by_image(contents: Contents, facts: FactsOf) -> Iterator[_Fault]:
    for split, of in facts.items():
        for index, known in enumerate(of):
            for text in known.faults:
                yield Listed(split, index), contents.pair(split, index), text


class Together(NamedTuple):
    """What training finds of all masks together."""

    whole: list[str]  # faults of all
    alone: list[_Fault]  # of masks that contradict earlier ones
    renumbered: list[Finding]  # a value of two colors


def checked_together(contents: Contents, facts: FactsOf) -> Together:
    """Returns what training finds of all masks together, nothing where colors tell."""
    found = Together([], [], [])
    checks, values = MaskChecks(made=contents.made, void=contents.void), set[int]()
    if contents.by_color:
        return found
    ends_training = HELD_OUT if HELD_OUT in facts else next(iter(facts), "")
    for split, of in facts.items():
        for index, known in enumerate(of):
            pair, place = contents.pair(split, index), Listed(split, index)
            if pair is None or known.faults:
                continue  # records have been checked
            try:
                checks.add(pair.mask, np.array(known.written, np.uint8))
                values.update(known.written)
            except UserError as error:
                found.alone.append((place, pair, str(error)))
            if said := checks.colors.renumbered():
                found.renumbered.append(Finding(said, (place,)))
        if split == ends_training and (pair := contents.pair(split, 0)):
            try:
                converted = contents.made is not None
                check_values(values, contents.root, pair.mask, converted=converted)
            except UserError as error:
                found.whole.append(str(error))
    return found


def _kind(text: str, pair: Pair | None = None) -> str:
    """Returns a fault without what is of one file: its paths and numbers."""
    if pair:
        text = text.replace(str(pair.image), "image").replace(str(pair.mask), "mask")
    return re.sub(r"\d+(\D{1,2}\d+)*", "#", text)


def warnings_of(
    contents: Contents, facts: FactsOf, together: Together
) -> list[Finding]:
    """Returns what does not end a training, but may spoil it or its metrics."""
    return [
        *together.renumbered,
        *_repeated(contents, facts),
        *_white(contents, facts),
        *_classes_of_one_split(contents, facts),
        *_nearly_empty(contents, facts),
    ]


def _white(contents: Contents, facts: FactsOf) -> Iterator[Finding]:
    """Yields the masks, of those that are read as they are, with white for a class."""
    if contents.by_color:
        return
    every = [
        (Listed(split, index), known.written)
        for split, of in facts.items()
        for index, known in enumerate(of)
        if not (
            (pair := contents.pair(split, index)) and is_made(pair.mask, contents.made)
        )
    ]
    if white := white_beside_classes([values for _, values in every]):
        places = tuple(every[number][0] for number in white)
        yield Finding(of_white(len(white), len(every)), places)


def _repeated(contents: Contents, facts: FactsOf) -> Iterator[Finding]:
    """Yields the images that are there twice, by their pixels."""
    if contents.one_list:
        yield Finding(
            "One list is both trained on and evaluated: metrics are not those of new "
            "images. Add --holdout 0.2."
        )
    same: dict[bytes, list[Listed]] = defaultdict(list)
    for split, of in facts.items():
        for index, known in enumerate(of):
            if known.digest:
                same[known.digest].append(Listed(split, index))
    across, within = [], []
    for places in same.values():
        splits = {place.split for place in places}
        if len(splits) > 1:
            across += places
        elif len(places) > 1:
            within += places
    if across:
        yield Finding(
            "The same image, pixel by pixel, is trained on and evaluated: metrics are "
            f"not those of new images. {_TAKE_OUT}",
            tuple(across),
        )
    if within:
        yield Finding(
            "The same image, pixel by pixel, is in one list more than once, and counts "
            f"as often. If that is not meant: {_TAKE_OUT}",
            tuple(within),
        )


def images_with(facts: Sequence[Facts]) -> Counter[int]:
    """Returns the number of images that have each value."""
    return Counter(value for known in facts for value in known.values)


def _classes_of_one_split(contents: Contents, facts: FactsOf) -> Iterator[Finding]:
    """Yields the classes that cannot be learned, or whose IoU is not measured."""
    names = dict(enumerate(contents.class_names))
    for value in contents.void:
        names.pop(value, None)
    having = {split: images_with(of) for split, of in facts.items()}
    present = set().union(*having.values())
    absent = [name for value, name in names.items() if value not in present]
    if absent and any(having.values()):
        yield Finding(
            f"No mask has {', '.join(absent)}: nothing learns what that is, and a "
            "weight by its pixels is 0."
        )
    if len(having) != 2 or not all(having.values()):
        return
    (train, trained), (val, evaluated) = having.items()
    for split, here, other, follows in (
        (train, trained, val, evaluated),
        (val, evaluated, train, trained),
    ):
        alone = [
            f"{name} ({here[value]} images)"
            for value, name in names.items()
            if value in here and value not in follows
        ]
        means = (
            f"{other} does not measure their IoU"
            if split == train
            else f"{other} does not teach them"
        )
        if alone:
            yield Finding(f"Only {split} has {', '.join(alone)}: {means}.")


def _nearly_empty(contents: Contents, facts: FactsOf) -> Iterator[Finding]:
    """Yields the masks that are almost all ignored, or of one class."""
    ignored, single = [], []
    for split, of in facts.items():
        for index, known in enumerate(of):
            if known.faults:
                continue
            total = sum(known.values.values())
            counted = {v: n for v, n in known.values.items() if v != IGNORED}
            if total and sum(counted.values()) <= (1 - NEARLY_ALL) * total:
                ignored.append(Listed(split, index))
            elif total and max(counted.values()) >= NEARLY_ALL * sum(counted.values()):
                single.append(Listed(split, index))
    if ignored:
        yield Finding(
            f"Masks of which {NEARLY_ALL:.0%} or more is ignored: nothing is learned "
            "from them. Look whether they were drawn to the end.",
            tuple(ignored),
        )
    if single:
        yield Finding(
            f"Masks of which one class has {NEARLY_ALL:.0%} or more. Look whether "
            "something was left undrawn.",
            tuple(single),
        )

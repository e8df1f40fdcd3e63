"""Parts of a split: what is trained on, and what `--holdout` keeps from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from train.common.errors import UserError
from train.data.images import Source
from train.data.splits import shared_names
from train.data.voc_files import Pair


@dataclasses.dataclass(frozen=True)
class Part:
    """Some records of a source, by their indices."""

    source: Source
    indices: Sequence[int]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        return self.source[self.indices[index]]


def hold_out(source: Source, fraction: float, split: str) -> tuple[Source, Source]:
    """Splits records into those trained on and those held out.

    Args:
      source: the records.
      fraction: to hold out.
      split: their name, for messages.

    Raises:
      UserError: a side would be empty.
    """
    kept, held = both_sides(len(source), fraction, split)
    return Part(source, kept), Part(source, held)


def both_sides(count: int, fraction: float, split: str) -> tuple[list[int], list[int]]:
    """Returns what `held_out` does, of a split that has images for both sides.

    Raises:
      UserError: as `hold_out`.
    """
    kept, held = held_out(count, fraction)
    if not kept or not held:
        raise UserError(
            f"--holdout {fraction:g} leaves one side without any of the {count} "
            f"images of split {split!r}. Choose another fraction."
        )
    return kept, held


def held_out(count: int, fraction: float) -> tuple[list[int], list[int]]:
    """Returns which of a list's images are trained on, and which are held out.

    The list is cut into stretches, and the end of each is held out. Single images would
    have neighbors in training that may be the next frames of a film; the end of the
    whole list may be of one film, unlike the rest.

    Args:
      count: number of images.
      fraction: to hold out, about; each stretch is rounded.
    """
    parts = max(1, min(10, round(fraction * count)))
    kept, held = [], []
    for stretch in np.array_split(np.arange(count), parts):
        end = len(stretch) - round(fraction * len(stretch))
        kept += stretch[:end].tolist()
        held += stretch[end:].tolist()
    return kept, held


def held_and_kept(
    pairs: Sequence[Pair], digests: Mapping[Path, str], fraction: float
) -> tuple[str, ...]:
    """Returns the names of images held out that are trained on under other names.

    Args:
      pairs: images and masks of a list.
      digests: of each file.
      fraction: to hold out.
    """
    parts = zip(("kept", "held"), held_out(len(pairs), fraction), strict=True)
    splits = {part: [pairs[index] for index in of] for part, of in parts}
    return shared_names(splits, digests)

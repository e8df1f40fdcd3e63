"""Experiments: losses that are trained alike and compared."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple


@dataclasses.dataclass(frozen=True)
class Variant:
    """A loss with its options, and what the paper reports for it."""

    label: str
    loss: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    paper: float | None = None
    """Mean IoU on Pascal VOC 2012, percent."""
    share: float = 1.0
    """Fraction of the experiment's steps, for a comparison at equal time."""
    settings_of: str = ""
    """Label of the variant whose learning rate and gradient clipping it takes, in
    experiments that tune them; empty for its own."""
    parts: frozenset[str] | None = None
    """Of the locally adaptive loss, where the variant is a combination of them."""


class Experiment(NamedTuple):
    """Variants trained alike; the first is what the others are compared with."""

    title: str
    variants: tuple[Variant, ...]
    steps: int = 0
    """Steps of its runs; 0 for those of the preset."""
    tunes: bool = False
    """Each variant gets its own best learning rate and gradient clipping first, on a
    held-out part of the training split."""
    confirms: bool = True
    """Its runs are evaluated on the validation split, with seeds of their own."""
    rival: str = ""
    """Label of a second baseline."""
    shows: bool = False
    """Shows images under each loss."""
    most_seeds: int | None = None
    """How many seeds make sense; None for as many as are asked for."""

    @property
    def options(self) -> set[str]:
        """Options that its variants set, so that the command line may not."""
        return {"loss"}.union(*(variant.options for variant in self.variants))

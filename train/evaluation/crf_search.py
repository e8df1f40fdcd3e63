"""The search for a dense CRF's parameters, from coarse to fine.

As DeepLab's (Chen et al., §4.1.1): a grid, then its steps halved around the best.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from train.common.errors import UserError
from train.common.options import flag
from train.evaluation.crf_worker import Parameters


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grid:
    """The values of the bilateral kernel that are tried, all with all."""

    weights: tuple[float, ...] = (3.0, 4.5, 6.0)
    """Weights w₁."""
    position_stds: tuple[float, ...] = (30.0, 65.0, 100.0)
    """Standard deviations σ_α of positions, pixels."""
    color_stds: tuple[float, ...] = (3.0, 4.5, 6.0)
    """Standard deviations σ_β of colors, of 0 to 255."""

    def __post_init__(self) -> None:
        """Checks that there is something to try.

        Raises:
          UserError: it names the option without a value.
        """
        for field in dataclasses.fields(self):
            if not getattr(self, field.name):
                raise UserError(f"--{flag(field.name)} needs one value or more")

    def settings(self, fixed: Parameters) -> Iterator[Parameters]:
        """Yields every setting, with what is not searched as it is given."""
        for weight, position_std, color_std in itertools.product(
            self.weights, self.position_stds, self.color_stds
        ):
            yield fixed._replace(
                weight=weight, position_std=position_std, color_std=color_std
            )

    def ends(self, best: Parameters) -> list[str]:
        """Returns the fields at an end of whose values a setting lies, or beyond it."""
        sides = (
            ("weights", best.weight),
            ("position_stds", best.position_std),
            ("color_stds", best.color_std),
        )
        return [
            name
            for name, value in sides
            if not min(getattr(self, name)) < value < max(getattr(self, name))
        ]

    def finer(self, best: Parameters) -> Grid:
        """Returns the grid of half the steps around a setting of this one."""
        return Grid(
            weights=_around(self.weights, best.weight),
            position_stds=_around(self.position_stds, best.position_std),
            color_stds=_around(self.color_stds, best.color_std),
        )


class Attempt(NamedTuple):
    """A setting and the mean IoU that it reached, a fraction."""

    parameters: Parameters
    mean_iou: float


def search(
    grid: Grid,
    fixed: Parameters,
    rounds: int,
    mean_iou: Callable[[Parameters], float],
) -> list[Attempt]:
    """Returns the settings that were tried, the best first.

    Args:
      grid: of the first round; each following one has half the steps around the best.
      fixed: what is not searched; tried as it is, too.
      rounds: 1 or more.
      mean_iou: of a setting.
    """
    tried: dict[Parameters, float] = {}

    def best() -> list[Attempt]:
        found = (Attempt(*item) for item in tried.items())
        return sorted(found, key=lambda one: -one.mean_iou)  # earlier ones first

    for number in range(rounds):
        if number:
            inside = set(grid.settings(fixed))
            middle = next(one for one in best() if one.parameters in inside)
            grid = grid.finer(middle.parameters)
        for setting in (*grid.settings(fixed), fixed):
            if setting not in tried:
                tried[setting] = mean_iou(setting)
    return best()


def _around(values: Sequence[float], best: float) -> tuple[float, ...]:
    """Returns a value and the middles between it and the next ones on both sides."""
    known = sorted(set(values))
    at = known.index(best)
    near = known[max(0, at - 1) : at + 2]
    return tuple(sorted({(value + best) / 2 for value in near}))

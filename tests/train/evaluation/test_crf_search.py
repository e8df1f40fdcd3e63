"""The search for a dense CRF's parameters: a grid, then half its steps."""

from __future__ import annotations

import pytest

from train.common.errors import UserError
from train.evaluation.crf_options import CrfOptions
from train.evaluation.crf_search import Attempt, Grid, search
from train.evaluation.crf_worker import Parameters

FIXED = CrfOptions().parameters._replace(iterations=5)


def peak(parameters: Parameters) -> float:
    """Is highest at 4, 80, 3."""
    return 1 - (
        abs(parameters.weight - 4) / 10
        + abs(parameters.position_std - 80) / 100
        + abs(parameters.color_std - 3) / 10
    )


def test_the_whole_grid_is_tried_and_the_defaults() -> None:
    tried = search(Grid(), FIXED, 1, peak)
    assert len(tried) == 28
    assert {one.parameters for one in tried} == {*Grid().settings(FIXED), FIXED}
    assert all(one.parameters.iterations == 5 for one in tried)
    assert [one.mean_iou for one in tried] == sorted(map(peak, _of(tried)))[::-1]


def test_later_rounds_halve_the_steps_around_the_best() -> None:
    calls: list[Parameters] = []

    def noted(parameters: Parameters) -> float:
        calls.append(parameters)
        return peak(parameters)

    tried = search(Grid(), FIXED, 2, noted)
    # 4.5, 65 and 3 win the first round; 3 is at the end of its values.
    second = set(calls[28:])
    assert {one.weight for one in second} == {3.75, 4.5, 5.25}
    assert {one.position_std for one in second} == {47.5, 65, 82.5}
    assert {one.color_std for one in second} == {3, 3.75}
    assert len(calls) == len(set(calls)) == 28 + 3 * 3 * 2 - 1
    assert tried[0] == Attempt(
        FIXED._replace(weight=3.75, position_std=82.5), peak(_best)
    )


def test_a_best_setting_at_an_end_is_told() -> None:
    assert Grid().ends(FIXED._replace(weight=4, position_std=80, color_std=3)) == [
        "color_stds"
    ]
    outside = FIXED._replace(weight=7, position_std=30, color_std=4.5)
    assert Grid().ends(outside) == ["weights", "position_stds"]
    assert Grid().ends(FIXED._replace(weight=3.1, position_std=67, color_std=5)) == []


def test_of_equals_the_first_is_taken() -> None:
    tried = search(Grid(), FIXED, 1, lambda parameters: 0.5)
    assert tried[0].parameters == next(Grid().settings(FIXED))
    one = Grid(weights=(5.0,), position_stds=(9.0,), color_stds=(4.0,))
    assert len(search(one, FIXED, 3, peak)) == 2


@pytest.mark.parametrize("option", ["weights", "position_stds", "color_stds"])
def test_options_without_values_are_refused(option: str) -> None:
    name = option.replace("_", "-")
    with pytest.raises(UserError, match=f"--{name} needs one value or more"):
        Grid(**{option: ()})


_best = FIXED._replace(weight=3.75, position_std=82.5)


def _of(tried: list[Attempt]) -> list[Parameters]:
    return [one.parameters for one in tried]

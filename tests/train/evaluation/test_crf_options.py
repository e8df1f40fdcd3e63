"""Options of the dense CRF: DeepLab's values, refusals, and words for files."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import tyro

from train.common.errors import UserError
from train.common.options import annotate
from train.evaluation.crf_options import WITHOUT, CrfOptions
from train.evaluation.crf_worker import Parameters


def test_defaults_are_deeplab_s() -> None:
    assert WITHOUT.parameters == Parameters(10, 4, 67, 3, 3, 3)
    assert not WITHOUT.on and WITHOUT.named() == [] and WITHOUT.noted() is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iterations": 0}, r"--crf-iterations must lie in \[1, 1000\], got 0"),
        ({"weight": -1.0}, r"--crf-weight must lie in \[0, 1000\], got -1"),
        ({"weight": float("nan")}, "--crf-weight must lie"),
        ({"position_std": 0.0}, r"--crf-position-std must lie in \[0.5, 1000\]"),
        ({"color_std": 0.4}, "--crf-color-std must lie"),
        ({"gaussian_weight": float("inf")}, "--crf-gaussian-weight must lie"),
        ({"gaussian_std": 1001.0}, "--crf-gaussian-std must lie"),
        ({"on": False, "weight": 5.0}, "--crf-weight has no effect without --crf"),
        ({"on": False, "iterations": 5}, "--crf-iterations has no effect without"),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_by_name(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        CrfOptions(**{"on": True, **options})


def test_results_and_files_have_every_parameter() -> None:
    options = CrfOptions(on=True, weight=4.5, position_std=50.0)
    assert options.named() == ["crf10x4.5x50x3x3x3"]
    assert options.noted() == {
        "iterations": 10,
        "weight": 4.5,
        "position_std": 50.0,
        "color_std": 3.0,
        "gaussian_weight": 3.0,
        "gaussian_std": 3.0,
    }


def test_the_command_line_takes_what_is_printed() -> None:
    annotate(CrfOptions)
    options = CrfOptions.of(Parameters(7, 0.25, 40, 5.5, 2, 1.5))
    words = shlex.split(options.command())
    assert words[:3] == ["--crf", "--crf-iterations", "7"]
    found = tyro.cli(CrfOptions, args=words, config=(tyro.conf.FlagCreatePairsOff,))
    assert found == options

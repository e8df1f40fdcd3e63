"""Masks that a run is evaluated on, whose colors those of its training contradict."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flax import nnx

from train.common.errors import UserError
from train.config import Config, save_config
from train.data.dataset import Dataset
from train.data.images import Source
from train.data.kinds import Found
from train.data.mask_colors import ShownColor
from train.evaluation.views import PredictionOptions
from train.workdir import evaluated
from train.workdir.evaluated import SplitOptions, check_colors
from train.workdir.run import Run
from train.workdir.trained import Trained

from ..standins import STATE, Brightest

NAMES = ("ground", "red", "blue")
TRAINED = {"0,0,0": 0, "200,0,0": 1, "0,0,200": 2, "0,0,201": 2}


def dataset(colors: dict[str, int], *, by_color: bool = False) -> Dataset:
    source: Source = []
    palette = np.zeros((3, 3), np.uint8)
    shown = tuple(ShownColor(color, value, "b.png") for color, value in colors.items())
    return Dataset(
        *("data", NAMES, palette, "f", source, source), shown=shown, by_color=by_color
    )


@pytest.fixture
def trained(tmp_path: Path) -> Callable[[dict[str, int]], Run]:
    def record(colors: dict[str, int]) -> Run:
        run = Run(tmp_path / "run")
        run.workdir.mkdir()
        run.record(Config().data, dataset(colors))
        return run

    return record


def test_a_color_of_another_value_is_refused(
    trained: Callable[[dict[str, int]], Run],
) -> None:
    run = trained(TRAINED)
    said = (
        f"^b.png shows 0,0,200 where the value is 1, but the masks that {run.workdir} "
        "was trained with where it is 2: .* Write labelmap.txt in the folder of the d"
    )
    with pytest.raises(UserError, match=said):
        check_colors(run, dataset({"0,0,0": 0, "0,0,200": 1}))
    check_colors(run, dataset({"0,0,0": 0, "0,0,200": 1}, by_color=True))


def test_no_program_evaluates_a_run_on_them(
    trained: Callable[[dict[str, int]], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, other = trained(TRAINED), dataset({"0,0,200": 1})
    save_config(Config(), run.config_path)
    palette, graph = np.zeros((3, 3), np.uint8), nnx.graphdef(Brightest())
    network = Trained(Config(), NAMES, palette, graph, STATE)
    monkeypatch.setattr(evaluated, "load_run", lambda *path: network)
    monkeypatch.setattr(evaluated, "load_dataset", lambda options: other)
    with pytest.raises(UserError, match="b.png shows 0,0,200"):
        evaluated.load_split(run.workdir, PredictionOptions(), SplitOptions())


@pytest.mark.parametrize("colors", [{}, {"0,0,0": 0, "0,0,201": 2}, TRAINED])
def test_the_same_colors_and_none_are_fine(
    trained: Callable[[dict[str, int]], Run],
    colors: dict[str, int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    check_colors(trained(TRAINED), dataset(colors))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("values", [(2, 255), (255, 2)])
def test_a_class_was_not_ignored_in_training(
    trained: Callable[[dict[str, int]], Run], values: tuple[int, int]
) -> None:
    before, now = values
    run, other = trained({"0,0,200": before}), dataset({"0,0,200": now})
    with pytest.raises(UserError, match=f"value is {now}.*, but .* it is {before}.*: "):
        check_colors(run, other)
    check_colors(run, other._replace(void=(2,)))


def test_other_colors_are_told(
    trained: Callable[[dict[str, int]], Run], capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained(TRAINED)
    check_colors(run, dataset({"0,0,0": 0, "0,90,0": 1, "0,91,0": 2}))
    said = capsys.readouterr().err
    assert said.count("warning") == 1
    assert "warning: b.png shows 0,90,0 where the value is 1, but the masks th" in said
    assert f"{run.workdir} was trained with 200,0,0." in said


def test_runs_of_before_have_no_colors(
    trained: Callable[[dict[str, int]], Run], capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained({})
    check_colors(run, dataset({"0,0,0": 0, "0,0,200": 1}))
    assert capsys.readouterr().err == ""


def test_colors_stay_where_nothing_is_prepared(
    trained: Callable[[dict[str, int]], Run],
) -> None:
    run = trained(TRAINED)
    found = Found("data", NAMES, np.zeros((3, 3), np.uint8), "f", lambda splits: {})
    run.record(Config().data, found)
    assert run.described().mask_colors == TRAINED


@pytest.mark.parametrize("damage", [{"0,0,256": 1}, {"0,0,1\n": 1}, {"0,0,1": 256}])
def test_what_no_masks_show_is_damage(
    trained: Callable[[dict[str, int]], Run], damage: dict[str, int]
) -> None:
    run = trained({})
    run.record(Config().data, dataset(damage))
    with pytest.raises(UserError, match="is damaged"):
        run.described()

"""The newest checkpoints that are kept, and the best beside them."""

import functools
from pathlib import Path

import jax.numpy as jnp
import pytest

from train.common.errors import UserError
from train.training.best import Best, warn_of_better
from train.training.checkpoint import Checkpoints
from train.training.step import TrainState

from ..standins import STATE

NAN = float("nan")


def state_of(step: int) -> TrainState:
    return STATE._replace(step=jnp.int32(step))


def open_in(folder: Path) -> Best:
    return Best(functools.partial(Checkpoints, folder, 0, "data", keep=1))


def steps_in(folder: Path) -> list[int]:
    return sorted(int(path.name) for path in folder.glob("[0-9]*"))


@pytest.mark.parametrize("keep", [1, 2, 4])
def test_the_newest_are_kept(tmp_path: Path, keep: int) -> None:
    with Checkpoints(tmp_path, 0, "data", keep=keep) as checkpoints:
        for step in range(6):
            checkpoints.save(state_of(step), 1.0)
    assert steps_in(tmp_path) == [0, 1, 2, 3, 4, 5][-keep:]


def test_the_best_replaces_the_one_before(tmp_path: Path) -> None:
    best = open_in(tmp_path)
    assert best.described() == {}
    found = {1: NAN, 2: 0.25, 3: 0.5, 4: 0.375, 5: 0.5, 6: NAN, 7: 0.75}
    kept = {1: [], 2: [2], 3: [3], 4: [3], 5: [3], 6: [3], 7: [7]}
    watched = best.watching(lambda state: {"mean_iou": found[int(state.step)]})
    for step, mean_iou in found.items():
        assert str(watched(state_of(step))) == str({"mean_iou": mean_iou})
        assert steps_in(tmp_path) == kept[step]
    assert best.described() == {"best": {"step": 7, "mean_iou": 0.75}}
    again = open_in(tmp_path)  # by a run that went back to step 6
    assert again.described() == best.described()
    for step, mean_iou in ((7, 0.75), (7, 1.0), (8, 0.75)):
        again.offer(state_of(step), mean_iou)
        assert steps_in(tmp_path) == [7] and again.described() == best.described()


def test_evaluation_without_a_number_is_not_the_best(tmp_path: Path) -> None:
    best = open_in(tmp_path)
    best.offer(state_of(1), NAN)
    assert steps_in(tmp_path) == []
    best.offer(state_of(2), 0.0)
    assert steps_in(tmp_path) == [2]


def test_damaged_best_is_set_aside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    open_in(tmp_path).offer(state_of(1), 0.5)
    (path,) = tmp_path.rglob("position/metadata")
    path.write_text("junk")
    best = open_in(tmp_path)
    assert f"warning: {tmp_path / '1'} is damaged" in capsys.readouterr().out
    assert best.described() == {}
    with pytest.raises(UserError, match="No other checkpoint"):
        with Checkpoints(tmp_path, 0, "data") as checkpoints:
            checkpoints.restore(STATE)
    best.offer(state_of(1), 0.25)  # of the same step
    assert open_in(tmp_path).described() == {"best": {"step": 1, "mean_iou": 0.25}}
    assert [p.name[:10] for p in tmp_path.glob("[!0-9]*")] == ["damaged-1-"]


def test_none_is_kept_unless_asked_for(tmp_path: Path) -> None:
    best = Best(None)
    best.offer(state_of(1), 0.5)
    assert best.described() == {}
    assert best.watching(lambda state: {"mean_iou": 1.0})(STATE) == {"mean_iou": 1.0}


@pytest.mark.parametrize(
    ("later", "said"), [(0.75, "reached 75.0 % at step 9"), (0.5, ""), (None, "")]
)
def test_a_better_evaluation_that_was_not_kept_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], later: float | None, said: str
) -> None:
    """A run may be resumed without --keep-best."""
    lines = [
        {"step": 1, "split": "val", "mean_iou": NAN},
        {"step": 3, "split": "val", "mean_iou": 0.5},
        {"step": 9, "split": "val", "mean_iou": later},
        {"step": 9, "split": "train", "loss": 0.1},
    ]
    assert warn_of_better(tmp_path, 3, 0.5, lines) == bool(said)
    told = capsys.readouterr().out
    assert said in told and told.startswith("warning" if said else "")
    assert bool(told) == bool(said)
    assert not warn_of_better(tmp_path, 3, None, lines)
    best = open_in(tmp_path)
    best.offer(state_of(3), 0.5)
    by = {"overtaken_by": {"step": 9, "mean_iou": later}} if said else {}
    assert best.described(lines) == {"best": {"step": 3, "mean_iou": 0.5, **by}}

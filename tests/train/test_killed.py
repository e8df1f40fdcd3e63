"""A run that is killed again and again ends as one that is left alone."""

import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from train.config import load_config
from train.training.step import TrainState, abstract_state
from train.workdir.contents import read_metrics
from train.workdir.run import Run

from .conftest import CLASSES, make_folder
from .forks import Forks
from .programs import OPTIONS

KILLS = 20
STEPS = 300


def words(place: Path, name: str, *more: object) -> Sequence[object]:
    paths = ("--data", place / "voc", "--prepared", place / "prepared")
    budget = ("--steps", STEPS, "--evaluate-every", 100, "--evaluation-batch", 2)
    rest = ("--backbone", "tiny", "--log-every", 10, "--keep-best", "--ema", 0.9)
    where = ("--workdir", place / name)
    return ("demo", *OPTIONS, *paths, *budget, *rest, *where, *more)


def newest(run: Path) -> int:
    """Returns the step of the newest checkpoint, 0 if there is none."""
    names = [path.name for path in (run / "checkpoints").glob("*")]
    return max((int(name) for name in names if name.isdigit()), default=0)


def told(run: Path) -> list[dict[str, Any]]:
    """Returns what a run has logged, but for the time that it took."""
    lines = read_metrics(run / "metrics.jsonl")
    return [{k: v for k, v in x.items() if k != "images_per_second"} for x in lines]


def restored(run: Path, best: bool) -> TrainState:
    """Returns the newest state of a run, or that of its best evaluation."""
    config, data = load_config(run / "config.json"), Run(run).described().fingerprint
    _, like = abstract_state(config, CLASSES)
    with Run(run).open_checkpoints(config, data, "", best=best) as checkpoints:
        found = checkpoints.restore(like)
    assert found is not None
    return found.state


def test_killed_twenty_times_it_ends_as_if_it_had_not_been(
    tmp_path: Path, tiny: str
) -> None:
    make_folder(tmp_path / "voc")
    chance = random.Random(0)
    rarely, always = ("--checkpoint-every", STEPS), ("--checkpoint-every", 1)
    with Forks(tmp_path) as forks:
        straight = forks.start(words(tmp_path, "straight", *rarely))
        assert straight.end() == 0, straight.said
        begun = []
        for number in [signal.SIGKILL] * KILLS + [signal.SIGTERM, signal.SIGINT]:
            before = newest(tmp_path / "killed")
            leg = forks.start(words(tmp_path, "killed", *always))
            leg.until("from step")
            early = chance.random() < 0.25  # before the first save
            while not early and newest(tmp_path / "killed") == before:
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 0.2))  # saves are nearly always under way
            status = leg.end(number)
            assert status == {15: 75, 2: 130}.get(number, -number), leg.said
            begun.append(int(leg.said.split("from step ")[1].split()[0]))
        last = forks.start(words(tmp_path, "killed", *rarely))
        assert last.end() == 0, last.said
    assert begun == sorted(begun) and len(set(begun)) > 5, begun
    for best in (False, True):
        wanted, found = (restored(tmp_path / n, best) for n in ("straight", "killed"))
        assert wanted.average is not None
        assert len(jax.tree.leaves(wanted)) > 10
        jax.tree.map(np.testing.assert_array_equal, found, wanted)
    assert told(tmp_path / "killed") == told(tmp_path / "straight")

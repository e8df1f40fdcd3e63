"""Whatever happens to the files of a run, its results stay, or the file is named."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from .conftest import make_folder
from .programs import OPTIONS, call
from .training.test_damage import be_another, cut

FILES = ("config.json", "dataset.json", "summary.json", "metrics.jsonl", "report.html")


def words(place: Path, tiny: str) -> Sequence[object]:
    paths = ("--data", place / "voc", "--prepared", place / "prepared")
    rest = ("--backbone", tiny, "--steps", 4, "--evaluation-batch", 2, "--workdir")
    return ("demo", *OPTIONS, *paths, *rest, place / "run")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: str) -> Path:
    """A folder with data and a finished run."""
    place = tmp_path_factory.mktemp("damaged")
    make_folder(place / "voc")
    done = call("main", *words(place, tiny))
    assert done.returncode == 0, done.stderr
    return place


def result(run: Path) -> dict[str, Any]:
    summary = json.loads((run / "summary.json").read_text())
    return {k: summary[k] for k in ("mean_iou", "iou", "pixels", "boundary", "steps")}


@pytest.mark.parametrize("damage", [cut, be_another, Path.unlink])
@pytest.mark.parametrize("name", FILES)
def test_damaged_file_of_a_run_is_named_or_costs_nothing(
    finished: Path, tmp_path: Path, tiny: str, name: str, damage: Callable[..., object]
) -> None:
    place = shutil.copytree(finished, tmp_path / "place")
    wanted = result(place / "run")
    damage(place / "run" / name)
    done = call("main", *words(place, tiny))
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert done.returncode == 2 and str(place / "run") in done.stderr
        assert name in done.stderr, done.stderr
    else:
        assert result(place / "run") == wanted

"""Runs on folders without lists: trained, resumed and evaluated on the same split."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from .conftest import make_folder
from .programs import OPTIONS, Ended, call


def train(place: Path, *more: object, workdir: str = "run") -> Ended:
    paths = ("--data", place / "voc", "--prepared", place / "prepared")
    budget = ("--steps", 4, "--evaluation-batch", 2, "--workdir", place / workdir)
    options = (*OPTIONS, "--backbone", "tiny", "--dilations", 1)
    return call("main", "demo", *options, *budget, *paths, *more)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny: str) -> Path:
    """A folder with unlisted data, and a finished run on it in `run`."""
    place = tmp_path_factory.mktemp("divided")
    shutil.rmtree(make_folder(place / "voc") / "ImageSets")
    done = train(place, "--split", 0.34)
    assert done.returncode == 0, done.stderr
    said = "6 images without lists: 4 to train, 2 to val, by --split 0.34\n"
    assert done.stderr.count(said) == 1
    return place


def evaluated(place: Path, *more: object) -> int:
    """Returns on how many images a run is evaluated."""
    done = call("evaluate", place / "run", *more)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.rpartition("Step 4, ")[2].partition(" images")[0])


def test_split_is_recorded_and_evaluated(place: Path) -> None:
    described = json.loads((place / "run" / "dataset.json").read_text())
    assert len(described["val_names"]) == 2
    assert evaluated(place) == 2
    written = json.loads((place / "run" / "evaluation_val.json").read_text())
    summary = json.loads((place / "run" / "summary.json").read_text())
    assert written["iou"] == summary["iou"]
    assert evaluated(place, "--split", "train") == 4


def test_without_split_the_way_out_is_said(place: Path) -> None:
    done = train(place, workdir="other")
    assert done.returncode == 2 and "add --split 0.2" in done.stderr
    assert not (place / "other").exists()


def test_what_is_added_later_validates_nothing(place: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(place, tmp_path / "moved")
    (moved / "run" / "summary.json").unlink()  # as if it had been stopped at the end
    resumed = train(moved, "--split", 0.34)
    assert resumed.returncode == 0, resumed.stderr
    assert "from step 4 of 4" in resumed.stdout
    for kind, end in (("JPEGImages", "jpg"), ("SegmentationClass", "png")):
        for number in range(9):
            folder = moved / "voc" / kind
            shutil.copy(folder / f"a.{end}", folder / f"new {number}.{end}")
    assert evaluated(moved) == 2
    assert (moved / "run" / "evaluation_val.json").is_file()  # the run's own split
    refused = train(moved, "--split", 0.34)
    assert refused.returncode == 2 and "was trained on other data" in refused.stderr
    (moved / "run" / "summary.json").unlink()
    unfinished = train(moved, "--split", 0.34)
    assert unfinished.returncode == 2 and refused.stderr == unfinished.stderr

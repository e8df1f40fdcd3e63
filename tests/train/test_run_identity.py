"""A run belongs to its data: moved, mended, swapped, and evaluated on others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.common.sealed import read_sealed

from .conftest import make_folder
from .programs import OPTIONS, call


def train(place: Path, data: str, workdir: str = "run") -> Sequence[object]:
    paths = ("--data", place / data, "--prepared", place / "prepared")
    budget = ("--steps", 4, "--evaluation-batch", 2, "--workdir", place / workdir)
    return ("demo", *OPTIONS, *budget, *paths)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, and a finished run on it in `run`."""
    place = tmp_path_factory.mktemp("identity")
    make_folder(place / "voc")
    done = call("main", *train(place, "voc"))
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def place(finished: Path, tmp_path: Path) -> Path:
    """A copy of it, moved with all that is in it."""
    return shutil.copytree(finished, tmp_path / "place")


def change_mask(folder: Path, name: str) -> None:
    path = folder / "SegmentationClass" / f"{name}.png"
    labels = np.array(Image.open(path))
    labels[5:9] = 2
    Image.fromarray(labels).save(path)


def fingerprint(place: Path, workdir: str = "run") -> str:
    return json.loads((place / workdir / "dataset.json").read_text())["fingerprint"]


def test_a_run_goes_on_where_its_data_are_now(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "run" / "summary.json").unlink()  # as if it had been stopped at the end
    (place / "voc").rename(place / "moved")
    records = sorted((place / "prepared").rglob("*.array_record*"))
    done = call("main", *train(place, "moved"))
    assert done.returncode == 0, done.stderr
    assert "from step 4 of 4" in done.stdout
    assert sorted((place / "prepared").rglob("*.array_record*")) == records

    monkeypatch.chdir("/")
    done = call("evaluate", place / "run")  # which knows where they are
    assert done.returncode == 0, done.stderr
    written = json.loads((place / "run" / "evaluation_val.json").read_text())
    summary = json.loads((place / "run" / "summary.json").read_text())
    assert written["iou"] == summary["iou"]
    assert sorted((place / "prepared").rglob("*.array_record*")) == records


def test_a_finished_run_is_not_passed_off_as_one_on_other_data(place: Path) -> None:
    assert call("main", *train(place, "voc")).returncode == 0
    before = fingerprint(place)
    change_mask(shutil.copytree(place / "voc", place / "other"), "b")
    change_mask(place / "voc", "c")
    for data in ("other", "voc"):
        done = call("main", *train(place, data))
        assert done.returncode == 2 and "Traceback" not in done.stderr
        assert f"was trained on other data ({before})" in done.stderr
        assert str(place / data) in done.stderr and "--workdir" in done.stderr
    assert fingerprint(place) == before
    shutil.rmtree(place / "voc")  # only its result is left
    assert call("main", *train(place, "voc")).returncode == 0
    done = call("main", *train(place, "nowhere"))
    assert done.returncode == 2 and "no such folder" in done.stderr


def test_data_mended_after_the_first_checkpoint_are_refused(place: Path) -> None:
    (place / "run" / "summary.json").unlink()
    before = fingerprint(place)
    change_mask(place / "voc", "b")
    done = call("main", *train(place, "voc"))
    assert done.returncode == 2 and before in done.stderr
    assert fingerprint(place) == before


def test_data_mended_before_the_first_checkpoint_are_the_run_s_own(
    place: Path,
) -> None:
    before = fingerprint(place)
    shutil.rmtree(place / "run" / "checkpoints")
    (place / "run" / "summary.json").unlink()
    change_mask(place / "voc", "b")
    done = call("main", *train(place, "voc"))
    assert done.returncode == 0, done.stderr
    assert "from step 0 of 4" in done.stdout and fingerprint(place) != before
    image = place / "voc" / "JPEGImages" / "e.jpg"
    done = call("predict", place / "run", image, "--out", place / "masks")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("damage", ["", "junk", "[]", "{}"])
def test_a_lost_record_of_the_data_is_written_anew(place: Path, damage: str) -> None:
    path = place / "run" / "dataset.json"
    kept = read_sealed(path)
    path.write_text(damage)
    done = call("evaluate", place / "run")
    assert done.returncode == 2 and f"{path} is damaged (" in done.stderr
    assert "Give the command that trained" in done.stderr
    done = call("main", *train(place, "voc"))
    assert done.returncode == 0, done.stderr
    places = {"folder": str(place / "voc"), "prepared": str(place / "prepared")}
    assert read_sealed(path) == {**kept, **places, "name": places["folder"]}


def test_a_run_of_before_is_gone_on_with(place: Path) -> None:
    run = place / "run"
    described = json.loads((run / "dataset.json").read_text())
    now, earlier = described["fingerprint"], described["earlier_fingerprint"]
    assert now and earlier
    first = ("name", "class_names", "colors")
    old = {name: described[name] for name in first} | {"fingerprint": earlier}
    (run / "dataset.json").write_text(json.dumps(old))
    for path in run.glob("checkpoints/*/manifest.json"):
        path.unlink()
    for path in run.glob("checkpoints/*/position/metadata"):
        position = json.loads(path.read_text().replace(now, earlier))
        del position["seal"], position["config"]
        path.write_text(json.dumps(position))
    done = call("evaluate", run, "--data", place / "voc")
    assert done.returncode == 0, done.stderr
    assert call("main", *train(place, "voc")).returncode == 0  # it is complete
    (run / "summary.json").unlink()
    done = call("main", *train(place, "voc"))
    assert done.returncode == 0, done.stderr
    assert "from step 4 of 4" in done.stdout and fingerprint(place) == now
    assert call("evaluate", run).returncode == 0


def test_other_data_do_not_overwrite_an_evaluation(place: Path) -> None:
    run = place / "run"
    assert call("main", *train(place, "voc")).returncode == 0  # it is here now
    assert call("evaluate", run, "--data", place / "voc").returncode == 0
    own = (run / "evaluation_val.json").read_bytes()
    names = []
    for name in ("e", "f"):
        other = shutil.copytree(place / "voc", place / name / "voc")
        change_mask(other, name)
        done = call("evaluate", run, "--data", other)
        assert done.returncode == 0, done.stderr
        names.append(Path(done.stdout.split("Metrics: ")[-1].strip()).name)
    assert len(set(names)) == 2 and "evaluation_val.json" not in names
    assert all(name.startswith("evaluation_val_data_") for name in names)
    change_mask(place / "voc", "e")
    done = call("evaluate", run, "--data", place / "voc")
    assert done.returncode == 0, done.stderr
    assert "has changed since" in done.stdout
    assert (run / "evaluation_val.json").read_bytes() == own

"""Experiments as a user makes them, each in a process of its own."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from train.errors import UserError
from train.reproduce import main

from .conftest import make_folder
from .test_programs import OPTIONS, call

COLUMNS = ("cross-entropy", "center", "focal", "ours, 5×5")


def reproduce(
    place: Path, *words: object, steps: int = 4
) -> subprocess.CompletedProcess[str]:
    paths = ("--data", place / "voc", "--prepared", place / "prepared")
    where = ("--workdir", place / "out", "--results", place / "results")
    budget = ("--budget", steps)
    return call("reproduce", *words, *OPTIONS, *paths, *where, *budget)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and a finished figure 3, its runs made side by side."""
    place = tmp_path_factory.mktemp("reproduce")
    make_folder(place / "voc")
    done = reproduce(place, "figure3", "--processes", 2)
    assert done.returncode == 0, done.stderr
    assert "4 runs, 0 of them done already" in done.stdout
    assert f"Page: {place / 'out' / 'figure3.html'}" in done.stdout
    return place


def test_figures_are_those_of_the_runs(place: Path) -> None:
    entries = json.loads((place / "results" / "demo_figure3.json").read_text())
    assert [entry["label"] for entry in entries] == list(COLUMNS)
    reached = {
        json.loads(path.read_text())["mean_iou"]
        for path in (place / "out" / "runs").glob("*/summary.json")
    }
    assert {entry["mean_iou"] for entry in entries} == reached and len(reached) > 1
    for entry in entries:
        assert (entry["steps"], entry["seed"]) == (4, 0)
        assert entry["commit"] and entry["versions"]["jax"] and entry["device"]
        assert [step for step, _ in entry["curve"]] == [4]
        assert set(entry["boundary"]) == {"2", "5"}
        assert str(place) not in json.dumps(entry)


def test_images_of_a_folder_stay_out_of_the_results(place: Path) -> None:
    results = {path.name for path in (place / "results").iterdir()}
    assert {"demo_figure3.json", "demo_figure3.md"} < results
    assert not [name for name in results if name.endswith((".png", ".jpg"))]
    text = (place / "results" / "demo_figure3.md").read_text()
    assert "Figure 3" not in text.split("##", 1)[1] and str(place) not in text
    for name in results:
        assert b"data:image" not in (place / "results" / name).read_bytes()
    page = (place / "out" / "figure3.html").read_text()
    assert "<h2>Figure 3</h2>" in page and "ours, 5×5 stands highest" in page


def test_what_is_done_is_not_done_again_and_what_is_begun_goes_on(place: Path) -> None:
    runs = place / "out" / "runs"
    (begun,) = runs.glob("*center*")
    before = json.loads((begun / "summary.json").read_text())
    (begun / "summary.json").unlink()
    shutil.rmtree(begun / "checkpoints" / "4")
    times = {path: path.stat().st_mtime_ns for path in runs.glob("*/summary.json")}
    again = reproduce(place, "figure3")
    assert again.returncode == 0, again.stderr
    assert "4 runs, 3 of them done already" in again.stdout
    assert "from step 2 of 4" in again.stdout
    assert times == {path: path.stat().st_mtime_ns for path in times}
    after = json.loads((begun / "summary.json").read_text())
    assert after["mean_iou"] == before["mean_iou"]


def test_other_options_do_not_mix_with_runs_that_are_there(place: Path) -> None:
    done = reproduce(place, "figure3", "--momentum", 0.5)
    assert done.returncode == 2
    assert "momentum: 0.9 → 0.5" in done.stderr and "--workdir" in done.stderr


def test_a_stopped_process_is_reported_with_its_words(place: Path) -> None:
    (record,) = (place / "prepared").glob("*/*/*/*train*array_record*")
    damaged = record.read_bytes()
    record.write_bytes(damaged[:100])
    try:
        done = reproduce(place, "figure3", "--processes", 2, steps=2)
    finally:
        record.write_bytes(damaged)
    assert done.returncode == 2, done.stdout
    assert "prepared records" in done.stderr and "Delete that folder" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("table3",), "table1"),
        (("table1", "--preset", "voc2"), "no preset 'voc2'; did you mean 'voc'"),
        (("table1", "--kernel", "3"), "--kernel"),
        (("table1", "--seeds", "0"), "--seeds must be at least 1, got 0"),
        (("table1", "--seed", "3"), "--seeds"),
        (("table1", "--loss", "focal"), "--loss focal cannot be set here"),
        (("ablations", "--power=1"), "--power 1.0 cannot be set here"),
        (("rates", "--factors", "1", "1.00001"), "--factors must differ"),
        (("rates", "--factors", "0", "1"), "--factors must be above 0"),
        (("table1", "--processes", "0"), "--processes must be at least 1, got 0"),
        (("table1", "--budget", "-5"), "--budget must be"),
    ],
)
def test_mistakes_are_named(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["", *words, "--workdir", str(tmp_path / "out")])
    with pytest.raises((UserError, SystemExit)) as stopped:
        main()
    assert said in str(stopped.value) + "".join(capsys.readouterr())
    assert not (tmp_path / "out").exists()

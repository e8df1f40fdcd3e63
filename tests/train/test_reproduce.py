"""Experiments: what their reports say, and what is not mixed with what."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import train.reproduce
from train.common.errors import UserError
from train.common.sealed import read_sealed, write_sealed
from train.config import Config
from train.experiments.catalog import EXPERIMENTS
from train.experiments.experiment import Experiment
from train.experiments.paper import OURS, TABLE2
from train.presets import PRESETS, parse_config
from train.reproduce import Options, main

from .conftest import NAMES, add_entry, make_folder, write_voc
from .programs import OPTIONS, Ended, call

SMALL = [word.replace("resnet_small", "tiny") for word in OPTIONS]
ONE = ("--evaluation-batch", 1)  # one compiled program for pages and metrics
COLUMNS = ("cross-entropy", "center", "focal", "ours, 5×5")


def reproduce(place: Path, *words: object) -> Ended:
    paths = ("--data", place / "voc", "--prepared", place / "prepared")
    where = ("--workdir", place / "out", "--results", place / "results")
    budget = ("--budget", 4, *ONE)
    return call("reproduce", *words, *SMALL, *paths, *where, *budget)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny: str) -> Path:
    """A folder with data and a finished figure 3."""
    place = tmp_path_factory.mktemp("reproduce")
    make_folder(place / "voc")
    done = reproduce(place, "figure3")
    assert done.returncode == 0, done.stderr
    assert "4 runs, 0 of them done already" in done.stdout
    assert f"Page: {place / 'out' / 'figure3.html'}" in done.stdout
    assert "Figure 3 is on the page alone" in done.stdout
    return place


def test_figures_are_those_of_the_runs(place: Path) -> None:
    entries = json.loads((place / "results" / "demo_figure3.json").read_text())
    assert [entry["label"] for entry in entries] == list(COLUMNS)
    reached = {
        json.loads(path.read_text())["mean_iou"]
        for path in (place / "out" / "runs").glob("*seed=0/summary.json")
        if "holdout" not in path.parent.name
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


def test_runs_on_other_data_do_not_mix(place: Path) -> None:
    (run,) = (place / "out" / "runs").glob("*focal*")
    (other,) = (place / "out" / "runs").glob("*center*")
    described, summary = run / "dataset.json", other / "summary.json"
    kept = described.read_text(), summary.read_text()
    content = read_sealed(described)
    fingerprint = content["fingerprint"]
    write_sealed(described, {**content, "fingerprint": "0123abcd"})
    summary.unlink()  # something is left to do
    done = reproduce(place, "figure3")
    described.write_text(kept[0])
    summary.write_text(kept[1])
    assert done.returncode == 2
    assert f"{run} was trained on other data (0123abcd)" in done.stderr
    assert fingerprint in done.stderr and "--workdir" in done.stderr


def test_commands_name_what_all_runs_share_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    preset = Config().replace(learning_rate=0.25, loss="focal")
    add_entry(monkeypatch, PRESETS, "two", preset, "")
    asked = Options("table2", preset="two", seeds=2)
    words = ["two", "--momentum", "0.5", "--loss", "softmax_cross_entropy"]
    said = train.reproduce._command(asked, parse_config(words))
    assert said == (
        "python train/reproduce.py table2 --preset two --seeds 2 --momentum 0.5"
    )


@pytest.fixture(scope="module")
def rates(place: Path) -> Path:
    """A folder with rates of two losses, the second of which is too high for any."""
    two = tuple(v for v in TABLE2.variants if v.label in ("cross-entropy", OURS))
    words = ("rates", "--factors", 1, 1e30, "--seeds", 2, "--budget", 4, *SMALL, *ONE)
    where = ("--workdir", place / "out", "--prepared", place / "prepared")
    of = ("--data", os.path.relpath(place / "voc"))
    with pytest.MonkeyPatch.context() as patch:
        rates = Experiment("Rates of two", two, tunes=True)
        patch.setitem(EXPERIMENTS._entries, "rates", rates)
        for _ in range(2):  # the second time there is nothing to do
            done = call("reproduce", *words, *where, *of)
            assert done.returncode == 0, done.stderr
    assert done.stdout.count("4 runs, 4 of them done already") == 2
    return place / "out"


def test_rates_are_chosen_by_what_was_held_out(rates: Path) -> None:
    entries = json.loads((rates / "demo_rates.json").read_text())
    held = [entry for entry in entries if "holdout" in entry["options"]]
    final = [entry for entry in entries if "holdout" not in entry["options"]]
    assert [entry["seed"] for entry in held] == [0] * 4
    assert sorted(entry["seed"] for entry in final) == [10, 10, 11, 11]
    for entry in final:
        assert entry["learning_rate"] == 0.5 and entry["mean_iou"] > 0
    by_hand = [entry["command"] for entry in final]
    assert len(set(by_hand)) == 4 and not [c for c in by_hand if "holdout" in c]


def test_a_run_that_diverges_is_a_result(rates: Path) -> None:
    entries = json.loads((rates / "demo_rates.json").read_text())
    lost = [entry for entry in entries if "diverged_at" in entry]
    assert {entry["learning_rate"] for entry in lost} == {5e29}
    assert len(lost) == 2 and all(1 < entry["diverged_at"] <= 4 for entry in lost)
    assert all(entry["commit"] and entry["device"] == "cpu" for entry in lost)
    text = (rates / "demo_rates.md").read_text()
    assert text.count("| diverged |") == 2


def test_what_held_out_is_evaluated_on_the_validation_split(rates: Path) -> None:
    (run,) = (rates / "runs").glob("*entropy,holdout=0.2,learning_rate=0.5,*")
    done = call("evaluate", run)
    assert done.returncode == 0, done.stderr
    held, val = (
        sum(json.loads((run / name).read_text())["pixels"].values())
        for name in ("summary.json", "evaluation_val.json")
    )
    assert val == 2 * held  # two images in place of one, all of one size


def test_a_search_trains_what_it_is_told_and_keeps_what_is_there(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variants = tuple(v for v in TABLE2.variants if v.label in COLUMNS)
    search = Experiment("Search", variants, tunes=True, confirms=False)
    monkeypatch.setitem(EXPERIMENTS._entries, "forms", search)
    norm = ("--max-gradient-norm", 0.1)
    for label, seeds in (("focal", 1), ("center", 2)):
        words = ("forms", "--only", label, "--choosing-seeds", seeds, *norm)
        done = reproduce(place, *words, "--factors", 1, "--unclipped", 0.5)
        assert done.returncode == 0, done.stderr
    path = place / "results" / "demo_forms.json"
    found = {
        (e["label"], e["seed"], e["learning_rate"], e["max_gradient_norm"])
        for e in json.loads(path.read_text())
    }
    settings = ((0.5, 0.1), (0.25, None))  # of the preset
    assert found == {
        (label, seed, *setting)
        for label, seed in (
            ("cross-entropy", 0),
            ("cross-entropy", 1),
            ("focal", 0),
            ("center", 0),
            ("center", 1),
        )
        for setting in settings
    }
    assert all("holdout" in e["options"] for e in json.loads(path.read_text()))
    assert "| center |" in path.with_suffix(".md").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"only": ("cross",)},
            "table2 has no loss 'cross'. Choose from: cross-entropy",
        ),
        ({"factors": ()}, "--factors and --unclipped are both empty"),
        ({"unclipped": (0.0,)}, r"--unclipped must be above 0, got \(0.0,\)"),
        ({"unclipped": (1.0, 1.0)}, "--unclipped must differ"),
        ({"choosing_seeds": 0}, "--choosing-seeds must be at least 1, got 0"),
    ],
)
def test_choices_that_cannot_be(options: dict[str, Any], message: str) -> None:
    experiment = "table2" if "only" in options else "rates"
    with pytest.raises(UserError, match=message):
        Options(experiment, **options)


def test_a_loss_that_cannot_learn_is_refused_before_the_first_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = np.zeros((40, 56), np.uint8)
    mask[:20] = 1
    image = np.zeros((40, 56, 3), np.uint8)
    write_voc(tmp_path / "voc", NAMES, lambda: (image, mask))
    (tmp_path / "voc" / "class_names.txt").write_text("ground\nred\n")
    paths = ["--data", tmp_path / "voc", "--prepared", tmp_path / "prepared"]
    where = ["--workdir", tmp_path / "out", "--budget", 2]
    words = ["", "table2", *OPTIONS, *paths, *where]
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])
    monkeypatch.setattr(train.reproduce, "cache_compilations", lambda folder: None)
    with pytest.raises(UserError, match="cannot learn 2 classes: .* --normalization i"):
        main()
    assert not list((tmp_path / "out").glob("runs/*/config.json"))


@pytest.mark.parametrize("option", ["--results", "--workdir"])
def test_a_folder_that_is_a_file_is_refused_before_the_first_run(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    words = ["", "table1", "--workdir", tmp_path / "out", option, file]
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])
    monkeypatch.setattr(train.reproduce, "complete_all", pytest.fail)
    with pytest.raises(OSError) as refused:
        main()
    assert refused.value.filename == str(file)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("table3",), "table1"),
        (("table1", "--preset", "voc2"), "no preset 'voc2'; did you mean 'voc'"),
        (("table1", "--kernel", "3"), "--kernel"),
        (("table1", "--seeds", "0"), "--seeds must be at least 1, got 0"),
        (("table1", "--seed", "3"), "--seeds"),
        (("table1", "--loss", "focal"), "--loss cannot be set here"),
        (("table1", "--loss=locally_adaptive"), "--loss cannot be set here"),
        (("ablations", "--power=1"), "--power 1.0 cannot be set here"),
        (("ablations", "--normalization", "none"), "it needs three classes or more"),
        (("table2", "--kernel-size", "9"), "--kernel-size 9 cannot be set here"),
        (("rates", "--factors", "1", "1.00001"), "--factors must differ"),
        (("rates", "--factors", "0", "1"), "--factors must be above 0"),
        (("table1", "--factors", "1"), "--factors (1.0,) is not used by table1"),
        (("table1", "--choosing-seeds", "2"), "--choosing-seeds 2 is not used by tab"),
        (("figure3", "--seeds", "4"), "--seeds 4 is not used by figure3. Leave it"),
        (("forms", "--seeds", "4"), "--seeds 4 is not used by forms. Leave it"),
        (("rates", "--compilation-cache", "c"), "--compilation-cache c cannot be set"),
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

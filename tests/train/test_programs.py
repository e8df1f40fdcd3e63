"""The programs as a user calls them: what they write, and how they end."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .conftest import SIZE, make_folder
from .programs import OPTIONS, ROOT, call, start, wait


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, and a finished run on it in `run`."""
    place = tmp_path_factory.mktemp("programs")
    make_folder(place / "voc")
    done = call("main", *arguments(place, "run"))
    assert done.returncode == 0, done.stderr
    assert "mean IoU" in done.stdout and "report.html" in done.stdout
    return place


def arguments(place: Path, name: str) -> Sequence[object]:
    paths = ("--data", place / "voc", "--prepared", place / "prepared")
    budget = ("--steps", 8, "--evaluation-batch", 2)
    return ("demo", *OPTIONS, *budget, *paths, "--workdir", place / name)


def test_run_leaves_what_it_promises(place: Path) -> None:
    run = place / "run"
    names = {path.name for path in run.iterdir()}
    wanted = {"config.json", "dataset.json", "checkpoints", "metrics.jsonl"}
    assert wanted | {"summary.json", "report.html"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    summary = json.loads((run / "summary.json").read_text())
    assert set(summary["iou"]) == {"ground", "red", "blue"}
    assert summary["steps"] == 8 and summary["versions"]["jax"]
    began = json.loads((run / "config.json").read_text())["began"]
    assert {name: summary[name] for name in began} == began
    described = json.loads((run / "dataset.json").read_text())
    assert began["fingerprint"] == described["fingerprint"]
    assert began["devices"] == {"cpu": 4} and len(began["commit"]) >= 40
    assert began["flags"]["JAX_NUM_CPU_DEVICES"] == "4"
    lines = (run / "metrics.jsonl").read_text().splitlines()
    metrics = [json.loads(line) for line in lines]
    steps = [(line["step"], line["split"]) for line in metrics]
    assert steps[3:5] == [(4, "train"), (4, "val")] and steps[-1] == (8, "val")
    assert metrics[-1]["mean_iou"] == summary["mean_iou"]


def test_finished_run_says_so(place: Path) -> None:
    before = (place / "run" / "summary.json").stat().st_mtime_ns
    again = call("main", *arguments(place, "run"))
    assert again.returncode == 0
    assert "is complete: 8 steps" in again.stdout and "--workdir" in again.stdout
    assert (place / "run" / "summary.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_stopped_run_ends_as_if_it_had_not_been(place: Path, number: int) -> None:
    name = f"stopped_{number}"
    # The folder may change between the calls of a run.
    programs = place / f"programs_{number}"
    cache = ("--compilation-cache", programs) if number == signal.SIGKILL else ()
    process = start("main", *arguments(place, name), *cache)
    checkpoint = place / name / "checkpoints" / "2"
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        if checkpoint.is_dir():
            break
        time.sleep(0.02)
    process.send_signal(number)
    stopped = wait(process)
    output = stopped.stdout + stopped.stderr
    assert stopped.returncode == (130 if number == signal.SIGINT else -number), output
    assert programs.is_dir() == bool(cache) and (not cache or any(programs.iterdir()))
    assert not (place / name / "summary.json").exists()
    if number == signal.SIGINT:
        assert "goes on from the last checkpoint" in output
        assert "Traceback" not in output

    resumed = call("main", *arguments(place, name))
    assert resumed.returncode == 0, resumed.stderr
    assert "from step 0" not in resumed.stdout
    for file in ("metrics.jsonl", "summary.json"):
        lines = [
            [json.loads(line) for line in (place / run / file).read_text().splitlines()]
            if file.endswith("l")
            else [json.loads((place / run / file).read_text())]
            for run in ("run", name)
        ]
        for line in (*lines[0], *lines[1]):
            for own in ("images_per_second", "seconds", "checksum", "config"):
                line.pop(own, None)
        assert lines[0] == lines[1]


def test_evaluate_repeats_the_figures(place: Path) -> None:
    done = call("evaluate", place / "run")
    assert done.returncode == 0, done.stderr
    found = json.loads((place / "run" / "evaluation_val.json").read_text())
    summary = json.loads((place / "run" / "summary.json").read_text())
    assert found["iou"] == summary["iou"] and found["step"] == 8


def test_best_checkpoint_is_used_where_asked_for(place: Path) -> None:
    refused = call("evaluate", place / "run", "--checkpoint", "best")
    assert refused.returncode == 2 and "kept with --keep-best" in refused.stderr
    options = ("--steps", 6, "--checkpoint-every", 6, "--keep-best", "--keep", 1)
    done = call("main", *arguments(place, "best"), *options)
    assert done.returncode == 0, done.stderr
    run, masks = place / "best", place / "best_masks"
    best = json.loads((run / "summary.json").read_text())["best"]
    assert f"Best evaluation: step {best['step']}, mean IoU" in done.stdout
    assert f"The network of step {best['step']}," in (run / "report.html").read_text()
    assert [path.name for path in (run / "best").iterdir()] == [str(best["step"])]
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["6"]
    (run / "checkpoints").rename(run / "elsewhere")  # so that no other can be taken
    chosen = ("--checkpoint", "best")
    assert call("evaluate", run, *chosen).returncode == 0
    found = json.loads((run / "evaluation_val_best.json").read_text())
    assert (found["step"], found["mean_iou"]) == (best["step"], best["mean_iou"])
    image = place / "voc" / "JPEGImages" / "e.jpg"
    done = call("predict", run, image, "--out", masks, *chosen)
    assert done.returncode == 0, done.stderr
    done = call("export", run, "--out", place / "best_export", *chosen)
    assert done.returncode == 0, done.stderr
    file = place / "best_export" / "model.safetensors"
    done = call("predict", file, image, "--out", masks, *chosen)
    assert done.returncode == 2 and "is for runs" in done.stderr


def test_best_that_was_overtaken_is_called_so(place: Path) -> None:
    run = place / "overtaken"
    options = ("--steps", 6, "--keep-best")
    assert call("main", *arguments(place, run.name), *options).returncode == 0
    (run / "summary.json").unlink()  # as if it had been stopped while it reported
    metrics = run / "metrics.jsonl"
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    for line in lines:
        if (line["step"], line["split"]) == (4, "val"):
            line["mean_iou"] = 0.996
    metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = call("main", *arguments(place, run.name), *options)
    assert done.returncode == 0, done.stderr
    best = json.loads((run / "summary.json").read_text())["best"]
    assert best["overtaken_by"] == {"step": 4, "mean_iou": 0.996}
    said = f"warning: {run / 'best'} has the network of step {best['step']}, mean IoU"
    assert said in done.stdout and "reached 99.6 % at step 4, which" in done.stdout
    assert "Best evaluation" not in done.stdout
    page = (run / "report.html").read_text()
    assert "The run reached 99.6% at step 4" in page and "best evaluation" not in page


def test_evaluate_knows_the_classes_that_a_split_lacks(place: Path) -> None:
    other = place / "other"
    shutil.copytree(place / "voc", other)
    (other / "class_names.txt").unlink()
    for name in ("e", "f"):
        path = other / "SegmentationClass" / f"{name}.png"
        mask = np.array(Image.open(path))
        mask[mask == 2] = 0
        Image.fromarray(mask).save(path)
    done = call("evaluate", place / "run", "--data", other)
    assert done.returncode == 0, done.stderr
    assert "blue" in done.stdout


def test_evaluate_refuses_other_classes(place: Path) -> None:
    other = place / "renamed"
    shutil.copytree(place / "voc", other)
    (other / "class_names.txt").write_text("ground\nblue\nred\n")
    done = call("evaluate", place / "run", "--data", other)
    assert done.returncode == 2
    assert "ground, blue, red, but --classes (or the trained network)" in done.stderr


def test_images_trained_on_and_evaluated_are_named_beside_the_metrics(
    place: Path,
) -> None:
    folder = place / "shared"
    shutil.copytree(place / "voc", folder)
    (folder / "ImageSets" / "Segmentation" / "val.txt").write_text("e\nb\n")
    paths = ("--data", folder, "--prepared", place / "prepared_shared")
    done = call(
        "main",
        "demo",
        *OPTIONS,
        *paths,
        "--workdir",
        place / "shared_run",
        "--steps",
        1,
        "--shared-images",
    )
    assert done.returncode == 0, done.stderr
    said = "1 of the images evaluated (list val) are trained on as well (list train): b"
    assert done.stderr.count(said) == 2


def test_predict_writes_masks_and_names_the_broken(place: Path) -> None:
    image = place / "voc" / "JPEGImages" / "e.jpg"
    broken = place / "broken.jpg"
    broken.write_bytes(image.read_bytes()[:300])
    done = wait(
        start("predict", place / "run", image, broken, "--out", place / "masks")
    )
    assert done.returncode == 2
    assert "broken.jpg cannot be decoded" in done.stderr
    assert "Traceback" not in done.stderr
    with Image.open(place / "masks" / "e.png") as mask:
        assert mask.mode == "P" and mask.size == SIZE[::-1]
        assert np.asarray(mask).max() < 3
        assert (mask.getpalette() or [])[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
    with Image.open(place / "masks" / "e_overlay.png") as picture:
        assert picture.mode == "RGB" and picture.size == SIZE[::-1]


def test_predict_overwrites_nothing(place: Path) -> None:
    images = place / "voc" / "JPEGImages"
    before = sorted(images.iterdir())
    for out, message in (
        (images, "is the folder of"),
        (images / "f.jpg", "is a file"),
    ):
        done = call("predict", place / "run", images / "e.jpg", "--out", out)
        assert done.returncode == 2 and message in done.stderr
    assert sorted(images.iterdir()) == before


MISTAKES = [
    ("main", ("demo", "--data", "nowhere"), "nowhere: no such folder"),
    ("main", ("dmeo",), "did you mean 'demo'"),
    ("main", ("voc",), "deeplabv1_resnet101-coco.safetensors: no such file"),
    ("main", ("demo", "--prepared", "/dev/null"), "directory: '/dev/null"),
    ("evaluate", ("nowhere",), "nowhere is not a run"),
    ("browse", ("nowhere",), "nowhere is not a run"),
    ("predict", ("nowhere", "x.png", "--out", "o"), "nowhere is not a run"),
    ("export", ("nowhere", "--out", "o"), "nowhere is not a run"),
]


@pytest.mark.parametrize(("program", "options", "message"), MISTAKES)
def test_mistake_ends_with_one_message(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    options: Sequence[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(program, *options)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_process_of_its_own_ends_alike(tmp_path: Path) -> None:
    chosen = {program: (options, said) for program, options, said in MISTAKES}
    processes = {
        program: start(program, *options, cwd=tmp_path)
        for program, (options, _) in chosen.items()
    }
    for program, process in processes.items():
        done = wait(process)
        assert done.returncode == 2
        assert chosen[program][1] in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_damaged_checkpoint_is_named(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damaged = place / "damaged"
    subprocess.run(["cp", "-r", place / "run", damaged], check=True)
    for step in (8, 6):
        folder = damaged / "checkpoints" / str(step)
        for path in folder.rglob("d/*"):
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        done = call("evaluate", damaged)
        assert f"checkpoints/{step} is damaged: state/" in done.stdout + done.stderr
        if step == 8:
            assert done.returncode == 0 and "step 6 is taken instead" in done.stdout
            assert "Step 6, " in done.stdout
    assert done.returncode == 2
    assert "No other checkpoint is there. Restore that folder from a" in done.stderr
    # TensorStore's threads may print a trace of their own; ours must not be in it.
    assert f'File "{ROOT / "train"}' not in done.stderr + capfd.readouterr().err

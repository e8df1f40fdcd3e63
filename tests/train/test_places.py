"""Places: folders of any name, and disks without space."""

from __future__ import annotations

import csv
import errno
import json
import os
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
from flax import nnx

from train import predict
from train.common.errors import UserError
from train.common.text import shown
from train.config import Config
from train.data.dataset import load_dataset
from train.data.images import decode, encode
from train.evaluation import mask_files
from train.evaluation.views import PredictionOptions
from train.workdir.run import Run
from train.workdir.trained import Trained

from .conftest import SIZE, MakeConfig
from .names import HOSTILE
from .programs import OPTIONS, call
from .standins import STATE, Brightest


@pytest.mark.parametrize("name", HOSTILE)
def test_data_of_any_name_are_prepared_in_a_folder_of_any(
    make_config: MakeConfig, folder: Path, tmp_path: Path, name: str
) -> None:
    data, prepared = tmp_path / "data" / name, tmp_path / "prepared" / name
    shutil.copytree(folder, data)
    for _ in ("written", "read"):
        dataset = load_dataset(make_config(data=str(data), prepared=str(prepared)).data)
        examples = [decode(dataset.train[i]) for i in range(len(dataset.train))]
        assert [example.label.shape for example in examples] == [SIZE] * 4
    assert (prepared / "voc_layout").is_dir()


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model without parameters, in the place of a trained one."""
    graph: nnx.GraphDef = nnx.graphdef(Brightest())
    colors = np.zeros((3, 3), np.uint8)
    trained = Trained(Config(), ("a", "b", "c"), colors, graph, STATE)
    monkeypatch.setattr(predict, "load_trained", lambda *path: trained)
    return Path("model")


@pytest.mark.parametrize("name", HOSTILE)
def test_masks_go_to_a_folder_of_any_name(
    model: Path, tmp_path: Path, name: str
) -> None:
    image, out = tmp_path / "images" / name / "a.png", tmp_path / "out" / name
    image.parent.mkdir(parents=True)
    image.write_bytes(encode(np.zeros((8, 9, 3), np.uint8), "PNG"))
    for _ in ("first", "again"):
        predict.predict(model, (image,), out, PredictionOptions())
        with (out / "areas.csv").open(newline="", errors="surrogateescape") as file:
            _, line = csv.reader(file)
        assert line[0] == shown(image)
    assert set(os.listdir(out)) == {"a.png", "a_overlay.png", "areas.csv"}


@pytest.mark.parametrize("name", ["a.png", "a_overlay.png"])
def test_files_that_were_not_predicted_are_not_replaced(
    model: Path, tmp_path: Path, name: str
) -> None:
    image, drawn = tmp_path / "a.jpg", tmp_path / "masks" / name
    drawn.parent.mkdir()
    for path in (image, drawn):
        path.write_bytes(encode(np.zeros((8, 9, 3), np.uint8), "PNG"))
    before = drawn.read_bytes()
    with pytest.raises(UserError, match=f"{name} is there already, .*another --out"):
        predict.predict(model, (image,), drawn.parent, PredictionOptions())
    assert os.listdir(drawn.parent) == [name] and drawn.read_bytes() == before


def test_mask_whose_name_would_be_too_long_has_a_shorter_one(
    model: Path, tmp_path: Path
) -> None:
    images = [tmp_path / f"{'x' * 250}.png", tmp_path / "z.png"]
    for image in images:
        image.write_bytes(encode(np.zeros((8, 9, 3), np.uint8), "PNG"))
    predict.predict(model, tuple(images), tmp_path / "out", PredictionOptions())
    written = set(os.listdir(tmp_path / "out"))
    assert {"z.png", "z_overlay.png", "areas.csv"} < written and len(written) == 5


@pytest.mark.parametrize("length", [3901, 4000, 5000])
def test_path_too_long_is_refused_first(make_config: MakeConfig, length: int) -> None:
    config = make_config()
    workdir = config.run.workdir
    workdir += "/" + "/".join(["y" * 99] * 50)
    with pytest.raises(UserError, match=f"--workdir has {length} bytes"):
        Run.open(make_config(workdir=workdir[:length]))


def test_run_in_folders_of_odd_names_is_used_by_all_programs(
    folder: Path, tmp_path: Path, tiny: str
) -> None:
    data = folder.rename(tmp_path / "a [b] #100% $HOME")
    run, out = tmp_path / "exp [1]\nü", tmp_path / "-out*"
    prepared = tmp_path / "\\p'\"?"
    paths = ("--data", data, "--prepared", prepared, "--workdir", run)
    network = ("--backbone", tiny, "--dilations", 1)
    done = call("main", "demo", *OPTIONS, *network, "--steps", 2, *paths)
    assert done.returncode == 0, done.stderr
    image = data / "JPEGImages" / "e.jpg"
    for program, *words in (
        ("evaluate", run),
        ("predict", run, image, "--out", out),
        ("export", run, "--out", out),
        ("browse", run, "--out", tmp_path / "[c] #"),
        ("predict", out / "model.safetensors", image, "--out", tmp_path / "b[]"),
    ):
        done = call(program, *words)
        assert done.returncode == 0, done.stderr
    found, summary = (
        json.loads((run / f"{name}.json").read_text())
        for name in ("evaluation_val", "summary")
    )
    assert found["iou"] == summary["iou"]
    page = (tmp_path / "[c] #" / "index.html").read_text()
    assert f'{{"mean_iou":{summary["mean_iou"]},' in page
    assert (out / "e.png").read_bytes() == (tmp_path / "b[]" / "e.png").read_bytes()


@pytest.mark.parametrize("full", [True, False])
def test_full_disk_while_predicting_keeps_and_shows_what_is_done(
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    full: bool,
) -> None:
    images = [tmp_path / f"{name}.png" for name in "abcdefghijklmn"]
    for path in images:
        path.write_bytes(encode(np.zeros((8, 8, 3), np.uint8), "PNG"))
    write, out = mask_files.replace_bytes, tmp_path / "o"

    def written(path: Path, content: bytes) -> None:
        if path.name == "b_overlay.png":  # a limit of the size is of this file alone
            code = errno.ENOSPC if full else errno.EFBIG
            raise OSError(code, os.strerror(code), str(path))
        write(path, content)

    monkeypatch.setattr(mask_files, "replace_bytes", written)
    done = 1 if full else len(images) - 1
    told = f"{done} of {len(images)} masks .*; 1 failed:\n.*b_overlay"
    with pytest.raises(UserError, match=told):
        predict.predict(model, tuple(images), out, PredictionOptions())
    assert {"a.png", "a_overlay.png", "areas.csv"} <= set(os.listdir(out))
    assert (out / "n.png").exists() == (not full)
    assert "mean area" in capsys.readouterr().out


def test_full_disk_while_preparing_is_one_message(folder: Path, tmp_path: Path) -> None:
    paths = (
        "--data",
        folder,
        "--prepared",
        tmp_path / "p",
        "--workdir",
        tmp_path / "r",
    )
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    try:
        done = call("main", "demo", *OPTIONS, "--steps", 2, *paths)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert done.returncode == 2
    said = done.stderr.partition("error: ")[2]
    assert str(tmp_path / "p") in said and "space left" in said
    assert said.count("\n") == 1 and "Traceback" not in done.stderr
    assert not (tmp_path / "r").exists()

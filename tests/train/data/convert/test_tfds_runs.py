"""A run on a set of TFDS: named everywhere, converted once, without TensorFlow."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from train.data.dataset import find_dataset
from train.experiments.entries import portable_words

from ...programs import OPTIONS, ROOT, call
from .tfds_miniatures import as_tfrecord, options, pets, photo


def test_it_is_converted_once_from_anywhere(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pets(place)
    config = options(tmp_path, "tfds:oxford_iiit_pet", "train", "test")
    first = find_dataset(config.data)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert find_dataset(config.data).fingerprint == first.fingerprint
    find_dataset(options(tmp_path, "tfds:oxford_iiit_pet", "test", "test").data)
    assert len(list((tmp_path / "prepared" / "converted").iterdir())) == 1


def test_no_tensorflow_is_loaded(tmp_path: Path, place: Path) -> None:
    as_tfrecord(pets(place))
    code = (
        "import sys; from train.config import Config; "
        "from train.data.dataset import load_dataset; "
        "load_dataset(Config().replace(data='tfds:oxford_iiit_pet', "
        f"val_split='test', prepared={str(tmp_path / 'p')!r}).data); "
        "assert 'tensorflow' not in sys.modules"
    )
    environment = {**os.environ, "TFDS_DATA_DIR": str(place), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_a_run_keeps_the_name(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trains, resumes, evaluates and predicts, each from another folder."""
    pets(place)
    run, data = tmp_path / "run", "tfds:oxford_iiit_pet"
    paths = ("--data", data, "--prepared", tmp_path / "prepared", "--workdir", run)
    words = ("demo", *OPTIONS, "--val-split", "test", "--evaluation-batch", 2, *paths)
    words += ("--shared-images",)  # the two splits are drawn alike

    def at(name: str, *command: object) -> str:
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        done = call(*command)  # type: ignore[arg-type]
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = at("first", "main", *words, "--steps", 2)
    assert f"on {data} (4 images, 3 classes)" in said
    described = json.loads((run / "dataset.json").read_text())
    assert (described["name"], described["folder"]) == (data, data)
    assert json.loads((run / "config.json").read_text())["data"] == data
    (run / "summary.json").unlink()  # as if it had been stopped at the end
    assert "from step 2 of 2" in at("second", "main", *words, "--steps", 2)
    assert "Step 2, 2 images" in at("third", "evaluate", run)
    assert (run / "evaluation_test.json").is_file()
    assert "Step 2, 4 images" in at("fourth", "evaluate", run, "--split", "train")
    assert (run / "evaluation_train.json").is_file()
    assert "4 images" in at(
        "fifth", "evaluate", run, "--split", "train", "--data", data
    )
    assert len(list(run.glob("evaluation_*"))) == 2  # of its own data, all of them
    (tmp_path / "photo.png").write_bytes(photo(1, "PNG").read())
    image = tmp_path / "photo.png"
    at("sixth", "predict", run, image, "--out", tmp_path / "out")
    assert (tmp_path / "out" / "photo.png").is_file()
    at("seventh", "export", run, "--out", tmp_path / "exported")


def test_commands_of_results_keep_the_name(tmp_path: Path) -> None:
    config = options(tmp_path, "tfds:cityscapes/x,mask=a", "train", "validation")
    command = shlex.join(portable_words(config, "demo"))
    assert "--data tfds:cityscapes/x,mask=a" in command and "DIR" not in command

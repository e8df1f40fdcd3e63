"""Exported inference runs where this project is not."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx

from train.common.errors import UserError
from train.config import portable
from train.evaluation.preparation import prepared
from train.evaluation.views import EvaluationOptions
from train.export import FILES, _check_finite, export, serialized
from train.training.step import make_state
from train.workdir.sums import not_ours
from train.workdir.trained import Trained, load_trained, save_trained

from .conftest import CLASSES, MakeConfig
from .standins import STATE, Brightest


def test_what_is_finite_is_seen_on_a_small_image() -> None:
    """Whatever crops a model's file names, of whoever made it."""
    seen = []
    form = SimpleNamespace(channels=4, bits=16, dtype=np.uint16)
    network: Any = SimpleNamespace(
        preprocess=SimpleNamespace(form=form),
        state=None,
        use=SimpleNamespace(evaluation=EvaluationOptions()),
        predictor=lambda _: SimpleNamespace(batch=lambda _, x: seen.append(x.shape)),
    )
    for size in ((4096, 33), (48, 64)):
        _check_finite(Path("model.safetensors"), network, size)
    assert seen == [(1, 65, 33, 4), (1, 48, 64, 4)]


# What a stranger's program does with the file; it must not need our code, nor Flax.
PROGRAM = """
import sys
from pathlib import Path
import jax, jax.export
import numpy as np

function, images, results = map(Path, sys.argv[1:])
inference = jax.export.deserialize(bytearray(function.read_bytes()))
images = np.load(images)
masks, confidence = inference.call(images)
first, _ = inference.call(images[:1])
ours = {"models", "train", "lal_jax", "flax"} & set(sys.modules)
assert not ours, ours
np.savez(results, masks=masks, confidence=confidence, first=first)
"""


@pytest.fixture
def trained(make_config: MakeConfig) -> Trained:
    config = make_config(evaluation_flip=True, upsampling="learned")
    graph, state = make_state(config, CLASSES, seed=0)
    colors = np.zeros((CLASSES, 3), np.uint8)
    return Trained(config, ("a", "b", "c"), colors, graph, state)


def test_exported_function_needs_none_of_our_code(
    trained: Trained, tmp_path: Path, rng: np.random.Generator
) -> None:
    images = rng.integers(0, 256, (3, 40, 56, 3), dtype=np.uint8)
    function, stored, results = (
        tmp_path / name for name in ("inference.jax", "images.npy", "results.npz")
    )
    function.write_bytes(serialized(trained, (40, 56)))
    np.save(stored, images)
    command = [sys.executable, "-I", "-c", PROGRAM]
    command += [str(path) for path in (function, stored, results)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with np.load(results) as file:
        found = dict(file)
    expected = trained.predictor().batch(trained.state, images)
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(found["masks"], expected)
    np.testing.assert_array_equal(found["first"], expected[:1])
    assert found["confidence"].shape == (3, 40, 56)
    assert 1 / CLASSES < found["confidence"].min() <= found["confidence"].max() <= 1


@pytest.mark.parametrize("height", [24, 60])
def test_exported_function_prepares_images_as_training_did(
    trained: Trained, rng: np.random.Generator, height: int
) -> None:
    config = trained.config.replace(image_height=height)
    graph: nnx.GraphDef = nnx.graphdef(Brightest())
    trained = trained._replace(config=config, graph=graph, state=STATE)
    images = rng.integers(0, 256, (2, 40, 56, 3), dtype=np.uint8)
    inference = jax.export.deserialize(bytearray(serialized(trained, (40, 56))))
    masks, confidence = inference.call(images)
    assert masks.shape == confidence.shape == (2, 40, 56)
    predictor = trained.predictor()
    wanted = np.stack([predictor.mask(trained.state, image) for image in images])
    small = np.stack([prepared(image, height) for image in images])
    assert small.shape[1] == height and len(np.unique(wanted)) > 1
    # A resized color may be rounded to the other side; no more than few pixels notice.
    assert np.mean(masks != wanted) < 1e-2
    whole = trained._replace(config=config.replace(image_height=0)).predictor()
    assert np.mean(whole.batch(trained.state, images) != wanted) > 1e-2


def test_equal_runs_have_equal_files(trained: Trained, tmp_path: Path) -> None:
    files = []
    for name in ("one", "another"):
        local = trained.config.replace(
            data=str(tmp_path / name / "voc"),
            prepared=str(tmp_path / name),
            workdir=str(tmp_path / name / "run"),
            weights=str(tmp_path / name / "weights.pth"),
            compilation_cache=str(tmp_path / name / "cache"),
            workers=len(name),
        )
        source = tmp_path / f"{name}.safetensors"
        save_trained(trained._replace(config=local), source)
        export(source, tmp_path / name, onnx=True)
        written = [path.read_bytes() for path in sorted((tmp_path / name).iterdir())]
        files.append([source.read_bytes(), *written])
    assert len(files[0]) == 5 and files[0] == files[1]
    for content in files[0]:
        for path in (tmp_path, Path(__file__).parents[2], Path(sys.prefix)):
            assert str(path).encode() not in content
        assert b".py" not in content


def test_paths_in_a_file_from_elsewhere_mean_nothing(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = trained.config.replace(compilation_cache="planted", workdir="/elsewhere")
    path = tmp_path / "model.safetensors"
    monkeypatch.setattr("train.workdir.trained.portable", lambda config: config)
    save_trained(trained._replace(config=local), path)
    monkeypatch.undo()
    assert b"planted" in path.read_bytes()
    assert load_trained(path).config == portable(local)
    assert not portable(local).run.compilation_cache


def test_export_writes_both_files(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "source.safetensors"
    save_trained(trained, source)
    export(source, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "model.safetensors",
        "inference.jax",
        "SHA256SUMS",
    }
    assert "[batch, 32, 32, 3]" in capsys.readouterr().out  # the crop
    assert load_trained(tmp_path / "out" / "model.safetensors").config == portable(
        trained.config
    )


def test_an_earlier_onnx_file_is_taken_away_unless_it_was_changed(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("train.export.serialized", lambda *arguments: b"compiled")
    monkeypatch.setattr("train.export._check_finite", lambda *arguments: None)
    source, out = tmp_path / "source.safetensors", tmp_path / "out"
    save_trained(trained, source)
    other = out / "inference.onnx"
    export(source, out, onnx=True)
    content = other.read_bytes()
    export(source, out)
    assert not other.exists() and not not_ours(out, FILES)
    other.write_text("mine")
    export(source, out)
    with pytest.raises(UserError, match=f"{out} has inference.onnx already"):
        export(source, out, onnx=True)
    assert other.read_text() == "mine"
    export(source, out, onnx=True, overwrite=True)
    assert other.read_bytes() == content and not not_ours(out, FILES)


def test_onnx_without_its_package_names_the_command(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_trained(trained, tmp_path / "source.safetensors")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r"package onnx.*pip install -e '.\[onnx\]'"):
        export(tmp_path / "source.safetensors", tmp_path / "out", onnx=True)
    assert not (tmp_path / "out").exists()


def test_size_that_cannot_be_is_refused(trained: Trained, tmp_path: Path) -> None:
    source = tmp_path / "source.safetensors"
    save_trained(trained, source)
    with pytest.raises(UserError, match="--size must be.*got -1 8"):
        export(source, tmp_path / "out", (-1, 8))
    assert not (tmp_path / "out").exists()


def test_windows_that_the_function_has_not_are_named(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for window, said in (((0, 0), False), ((64, 64), True)):
        config = trained.config.replace(window=window)
        save_trained(trained._replace(config=config), tmp_path / "w.safetensors")
        export(tmp_path / "w.safetensors", out=tmp_path / "out", size=(32, 32))
        printed = capsys.readouterr().out
        assert ("takes images whole; --window is used" in printed) is said

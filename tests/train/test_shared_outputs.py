"""Outputs that several calls write, or a full disk cuts: whole, and of one call."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flax import nnx

from train import browse, export, predict
from train.common.errors import UserError
from train.config import Config
from train.evaluation.areas import add_area, begin_areas, images_of
from train.evaluation.claims import claimed
from train.evaluation.input_images import name_outputs
from train.evaluation.views import EvaluationOptions, PredictionOptions
from train.report.own_folder import OwnFolder
from train.workdir.evaluated import SplitOptions
from train.workdir.trained import Trained

from .report.test_browsing import run, source
from .standins import STATE, Brightest
from .test_predict import NAMES, call, model, photos, read_areas, write_image

__all__ = ["model", "photos", "run", "source"]  # fixtures


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has a function called once, while the first image is predicted."""

    def call_at(function: Callable[[], object], place: Any, name: str) -> None:
        whole, left = getattr(place, name), [function]

        def called(*arguments: Any) -> Any:
            while left:
                left.pop()()
            return whole(*arguments)

        monkeypatch.setattr(place, name, called)

    return call_at


def test_images_that_another_call_predicts_are_refused(
    model: Path, photos: Path, meanwhile: Callable[..., None]
) -> None:
    out = photos.parent / "out"

    def others() -> None:
        with pytest.raises(
            UserError, match=r"out: the image .*b.png is being pred.*by"
        ):
            call(model, photos / "b.png", out=out)
        for name in ("c.png", "d.png"):
            write_image(photos / "other" / name)
        with pytest.raises(UserError, match=r"out: the mask c.png is being predicted"):
            call(model, photos / "other" / "c.png", out=out)
        call(model, photos / "other" / "d.png", out=out)

    meanwhile(others, predict, "add_area")
    call(model, photos, out=out)
    assert sorted(Path(line[0]).name[0] for line in read_areas(out)[1:]) == list("abcd")
    assert not list(out.glob(".predicting*"))


def test_claims_of_the_dead_are_taken_away_and_others_files_stay(
    tmp_path: Path,
) -> None:
    outputs = name_outputs([tmp_path / "images" / "a.png"], tmp_path)
    with claimed(tmp_path, outputs):
        (claim,) = tmp_path.glob(".predicting_*")
        content = claim.read_bytes()
    assert not list(tmp_path.iterdir())
    dead, theirs, link = (tmp_path / f".predicting_{name}" for name in "abc")
    dead.write_bytes(content)  # as a kill leaves it
    theirs.write_text("notes")
    (tmp_path / "kept").write_bytes(content)
    link.symlink_to(tmp_path / "kept")
    with claimed(tmp_path, outputs):
        assert not dead.exists()
    assert set(tmp_path.iterdir()) == {theirs, link, tmp_path / "kept"}


@pytest.mark.parametrize("kept", [1, 9, 20, 25, 30])
def test_a_line_that_was_cut_is_none(tmp_path: Path, kept: int) -> None:
    table, images = tmp_path / "areas.csv", [Path("a.png"), Path("b.png")]
    begin_areas(table, NAMES, images)
    add_area(table, images[0], (2, 3), np.array([0.5, 0.25, 0.25]))
    whole = table.read_bytes()
    add_area(table, images[1], (2, 3), np.array([0.0, 0.012345, 0.987655]))
    table.write_bytes(table.read_bytes()[: len(whole) + kept])
    assert images_of(table) == {"a.png"}
    for end in ("", "\n"):
        table.write_text(table.read_text() + end)
        begin_areas(table, NAMES, [Path("c.png")])
        assert table.read_bytes() == whole


def test_of_several_lines_of_an_image_the_last_stays(tmp_path: Path) -> None:
    table = tmp_path / "areas.csv"
    begin_areas(table, NAMES, [])
    for share in (0.25, 0.75):  # as two calls at once left them
        add_area(table, Path("a.png"), (2, 3), np.array([share, 1 - share, 0]))
        add_area(table, Path("b.png"), (2, 3), np.array([0.5, 0.5, 0]))
    assert images_of(table) == {"b.png"}  # of the other, which one is its mask's?
    begin_areas(table, NAMES, [])
    header, *lines = read_areas(tmp_path)
    assert [[line[0], line[3]] for line in lines] == [
        ["a.png", "0.750000"],
        ["b.png", "0.500000"],
    ]


def test_a_page_is_of_one_call(run: Path, meanwhile: Callable[..., None]) -> None:
    def other() -> None:
        with pytest.raises(UserError, match="browse_val is being written by another"):
            browse.browse(run, PredictionOptions(), SplitOptions())

    meanwhile(other, OwnFolder, "clear")
    browse.browse(run, PredictionOptions(), SplitOptions())
    browse.browse(run, PredictionOptions(), SplitOptions())  # nothing is left held


@pytest.fixture
def exporting(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Exports stand-ins of files that hold a text."""
    graph: nnx.GraphDef = nnx.graphdef(Brightest())
    colors = np.zeros((3, 3), np.uint8)
    trained = Trained(Config(), NAMES, colors, graph, STATE)

    def exported(out: Path, text: str) -> None:
        monkeypatch.setattr(export, "load_trained", lambda *path: trained)
        monkeypatch.setattr(export, "save_trained", lambda _, p: p.write_text(text))
        monkeypatch.setattr(export, "serialized", lambda *_: text.encode())
        (out.parent / "run").touch()
        export.export(out.parent / "run", out)

    return exported


def is_whole(out: Path, text: str) -> bool:
    check = ["sha256sum", "-c", "--strict", "SHA256SUMS"]
    done = subprocess.run(check, cwd=out, capture_output=True)
    names = {"SHA256SUMS", "model.safetensors", "inference.jax"}
    texts = {(out / name).read_text() for name in export.FILES[:2]}
    return done.returncode == 0 and set(os.listdir(out)) == names and texts == {text}


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_export_that_ends_halfway_leaves_the_one_before(
    exporting: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
) -> None:
    out = tmp_path / "out"
    exporting(out, "first")

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "full", str(path)) if error is OSError else error

    with monkeypatch.context() as patch:
        patch.setattr(export, "replace_bytes", full)
        with pytest.raises(error) as raised:
            exporting(out, "second")
    if error is OSError:
        assert getattr(raised.value, "filename", "") == str(out / "inference.jax")
    assert is_whole(out, "first")
    exporting(out, "third")
    assert is_whole(out, "third")


def test_an_export_that_is_stopped_between_its_files_is_known(
    exporting: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, replace = tmp_path / "out", Path.replace
    exporting(out, "first")

    def stopped(path: Path, target: Path) -> Path:
        if target == out / "model.safetensors":
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stopped)
        with pytest.raises(KeyboardInterrupt):
            exporting(out, "second")
    assert [(out / name).read_text() for name in export.FILES[:2]] == [
        "first",
        "second",
    ]
    exporting(out, "third")
    assert is_whole(out, "third")
    (out / "inference.jax").write_text("mine")
    with pytest.raises(UserError, match="inference.jax already"):
        exporting(out, "fourth")


def test_an_export_is_of_one_call(
    exporting: Callable[..., None], tmp_path: Path, meanwhile: Callable[..., None]
) -> None:
    out = tmp_path / "out"
    other = threading.Thread(target=exporting, args=(out, "other"))

    def begin() -> None:
        other.start()
        other.join(0.5)
        assert other.is_alive()

    meanwhile(begin, export, "add_sums")
    exporting(out, "first")
    other.join()
    assert is_whole(out, "other")


def test_exports_need_no_windows_that_could_be(
    tmp_path: Path,
) -> None:
    """As of a run that was trained before windows had a limit with scales."""
    options = EvaluationOptions(window=(4096, 4096), scales=(4.0,))
    graph: nnx.GraphDef = nnx.graphdef(Brightest())
    config = Config(evaluation=options)
    trained = Trained(config, NAMES, np.zeros((3, 3), np.uint8), graph, STATE)
    export._check_finite(tmp_path, trained, (32, 32))
    with pytest.raises(UserError, match="--window.*--evaluation-scales of train/main"):
        trained.predictor()

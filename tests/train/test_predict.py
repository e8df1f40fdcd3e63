"""Predicting files: what is named, what is written, and what is only noted."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tyro
from flax import nnx
from PIL import Image

from train import predict
from train.common.errors import UserError
from train.config import Config
from train.data import image_files
from train.data.palette import overlay
from train.evaluation.areas import largest_areas
from train.evaluation.views import PredictionOptions
from train.workdir.trained import Trained

from .standins import STATE, Brightest

NAMES = ("road", 'sky, "blue"', "tree")
COLORS = np.array([(10, 0, 0), (0, 20, 0), (0, 0, 30)], np.uint8)
SIZE = (20, 30)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A model without parameters, in the place of a trained one."""
    graph: nnx.GraphDef = nnx.graphdef(Brightest())
    trained = Trained(Config(), NAMES, COLORS, graph, STATE)
    monkeypatch.setattr(predict, "load_trained", lambda *path: trained)
    # predict sets the limit for its process.
    monkeypatch.setattr(image_files, "_limit", image_files.PIXEL_LIMIT)
    Brightest.sizes.clear()
    return tmp_path / "model"


def write_image(path: Path, *rows: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Writes an image whose first rows are class 0, the next 1, and the rest 2."""
    mask = np.full(size, 2, np.uint8)
    start = 0
    for value, count in enumerate(rows):
        mask[start : start + count] = value
        start += count
    image = np.full((*size, 3), 20, np.uint8)
    np.put_along_axis(image, mask[..., None].astype(int), 250, axis=-1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return mask


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three images, the second one tall."""
    photos = tmp_path / "photos"
    write_image(photos / "a.png")
    write_image(photos / "b.png", size=(40, 30))
    write_image(photos / "c.png")
    return photos


def call(model: Path, *images: Path, out: Path, **options: Any) -> None:
    predict.predict(model, images, out, PredictionOptions(**options))


def read_areas(out: Path) -> list[list[str]]:
    with (out / "areas.csv").open(newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty", "empty has no image directly in it (.bmp"),
        ("*.tif", "*.tif matches no file"),
        ("**/*.tif", "**/*.tif matches no file"),
        ("empty [1]/*.png", "matches no file. A bracket that is meant is written [[]."),
    ],
)
def test_what_stands_for_nothing_is_named(
    model: Path, tmp_path: Path, name: str, message: str
) -> None:
    image, notes = tmp_path / "a.png", tmp_path / "empty" / "notes.txt"
    notes.parent.mkdir()
    image.touch()
    notes.touch()
    with pytest.raises(UserError) as raised:
        call(model, image, tmp_path / name, out=tmp_path / "out")
    assert message in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_nothing_named_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no image named"):
        call(model, out=tmp_path / "out")


def test_folder_of_the_images_is_no_place_for_masks(
    model: Path, tmp_path: Path
) -> None:
    write_image(tmp_path / "a.png")
    with pytest.raises(UserError, match="is the folder of"):
        call(model, tmp_path, out=tmp_path)
    assert os.listdir(tmp_path) == ["a.png"]


def test_masks_overlays_and_areas_are_written(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    first = write_image(photos / "a.png", 10, 5)
    second = write_image(photos / "b, c.png", 0, 600, size=(601, 9))
    call(model, photos, out=out)
    for name, mask in (("a", first), ("b, c", second)):
        with Image.open(out / f"{name}.png") as written:
            np.testing.assert_array_equal(written, mask)
        with Image.open(photos / f"{name}.png") as photo:
            wanted = overlay(np.asarray(photo), mask, COLORS)
        with Image.open(out / f"{name}_overlay.png") as painted:
            np.testing.assert_array_equal(painted, wanted)
    assert read_areas(out) == [
        ["image", "width", "height", *NAMES],
        [str(photos / "a.png"), "30", "20", "0.500000", "0.250000", "0.250000"],
        [str(photos / "b, c.png"), "9", "601", "0.000000", "0.998336", "0.001664"],
    ]
    text = capsys.readouterr().out.splitlines()
    assert text[0].split() == ["class", "mean", "area", "%"]
    assert [line[:11].strip() for line in text[1:4]] == [NAMES[1], NAMES[0], NAMES[2]]
    assert [line.split()[-1] for line in text[1:4]] == ["62.42", "25.00", "12.58"]
    assert text[4].startswith(f"2 of 2 masks written to {out}, ")


@pytest.mark.parametrize("window", ["0 0", "32 32"])
def test_probabilities_are_written_beside_the_masks(
    model: Path, tmp_path: Path, window: str
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    mask = write_image(photos / "a.png", 10, 25, size=(40, 50))
    words = [str(model), str(photos), "--out", str(out), "--window", *window.split()]
    before = ["a.png", "a_overlay.png", "areas.csv"]
    for more in ([], ["--probabilities"], ["--probabilities"]):  # its own is replaced
        arguments = [*words, *more]
        tyro.cli(
            predict.predict, args=arguments, config=(tyro.conf.FlagCreatePairsOff,)
        )
        written = ["a_probabilities.npz"] if more else []
        assert sorted(os.listdir(out)) == sorted(before + written)
        with Image.open(out / "a.png") as picture:
            np.testing.assert_array_equal(picture, mask)
    with np.load(out / "a_probabilities.npz") as file:
        assert tuple(file["class_names"]) == NAMES
        found = file["probabilities"]
    assert found.shape == (40, 50, 3)
    np.testing.assert_array_equal(found.argmax(-1), mask)
    tyro.cli(predict.predict, args=words, config=(tyro.conf.FlagCreatePairsOff,))
    assert sorted(os.listdir(out)) == before  # those of an earlier mask are gone


def test_masks_alone(model: Path, tmp_path: Path) -> None:
    """An earlier overlay of ours goes, as it shows another mask; others stay."""
    photos, out = tmp_path / "photos", tmp_path / "out"
    masks = {name: write_image(photos / f"{name}.png", 10) for name in "ab"}
    words = [str(model), str(photos), "--out", str(out)]
    alone = [*words, "--no-overlays"]
    config = (tyro.conf.FlagCreatePairsOff,)
    tyro.cli(predict.predict, args=words, config=config)
    (out / "b_overlay.png").write_bytes(b"drawn")
    tyro.cli(predict.predict, args=alone, config=config)
    assert sorted(os.listdir(out)) == ["a.png", "areas.csv", "b.png", "b_overlay.png"]
    assert (out / "b_overlay.png").read_bytes() == b"drawn"
    for name, mask in masks.items():
        with Image.open(out / f"{name}.png") as picture:
            np.testing.assert_array_equal(picture, mask)
    with pytest.raises(UserError, match="b_overlay.png is there already"):
        tyro.cli(predict.predict, args=words, config=config)


def test_second_call_replaces_the_first(model: Path, tmp_path: Path) -> None:
    image, out = tmp_path / "a.png", tmp_path / "out"
    for rows in (10, 20):
        write_image(image, rows)
        call(model, image, out=out)
        assert [line[3] for line in read_areas(out)[1:]] == [f"{rows / 20:.6f}"]
        with Image.open(out / "a.png") as mask:
            assert (np.asarray(mask) == 0).sum() == rows * SIZE[1]


def test_another_call_keeps_the_lines_of_other_images(
    model: Path, tmp_path: Path
) -> None:
    for name in ("a.png", "b.png"):
        write_image(tmp_path / name, 20)
    call(model, tmp_path / "a.png", out=tmp_path / "out")
    call(model, tmp_path / "b.png", out=tmp_path / "out")
    lines = read_areas(tmp_path / "out")
    assert [Path(line[0]).name for line in lines[1:]] == ["a.png", "b.png"]
    (tmp_path / "out" / "areas.csv").write_text("image,width,height,other\n")
    with pytest.raises(UserError, match="areas.csv is of a model with other classes"):
        call(model, tmp_path / "a.png", out=tmp_path / "out")
    (tmp_path / "out" / "areas.csv").write_text("x" * 200_000)  # what csv refuses
    with pytest.raises(UserError, match="areas.csv is not as a prediction wrote it"):
        call(model, tmp_path / "a.png", out=tmp_path / "out")


def test_only_the_ten_largest_classes_are_shown() -> None:
    names = [f"class {index}" for index in range(12)]
    shares = np.arange(12) / 66
    lines = largest_areas([shares, shares], names).splitlines()
    assert [line[:8].strip() for line in lines[1:]] == names[:1:-1]


def test_limit_of_pixels_is_the_models_or_the_calls(
    model: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = predict.load_trained(model)
    config = trained.config.replace(pixel_limit=SIZE[0] * SIZE[1])
    own = trained._replace(config=config)
    monkeypatch.setattr(predict, "load_trained", lambda *path: own)
    out = photos.parent / "out"
    with pytest.raises(
        UserError, match=r"2 of 3 .*\n.*b\.png has .*--pixel-limit 1200"
    ):
        call(model, photos, out=out)
    call(model, photos, out=out, pixel_limit=1200)
    assert len(read_areas(out)) == 4


def test_options_reach_the_predictor(model: Path, tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    mask = write_image(image, 33, size=(70, 30))
    names = "--scales 0.5 1.0 --flip --window 32 32".split()
    arguments = [str(model), str(image), "--out", str(tmp_path / "out"), *names]
    tyro.cli(predict.predict, args=arguments, config=(tyro.conf.FlagCreatePairsOff,))
    assert Brightest.sizes == [(16, 16)] * 2 + [(32, 32)] * 2
    with Image.open(tmp_path / "out" / "a.png") as written:
        np.testing.assert_array_equal(written, mask)

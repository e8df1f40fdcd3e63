"""Nobody's files are overwritten: drawn or edited masks, inputs, what links lead to."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from train import export, predict
from train.common.errors import UserError
from train.data import image_files
from train.evaluation.own_pictures import as_predicted, is_ours
from train.evaluation.probability_files import is_probability_file
from train.evaluation.views import PredictionOptions
from train.workdir import sums

from .test_predict import model, read_areas, write_image

__all__ = ["model"]  # a fixture


@pytest.fixture
def image(tmp_path: Path) -> Path:
    write_image(tmp_path / "images" / "a.png", 10)
    return tmp_path / "images" / "a.png"


def call(model: Path, image: Path, out: Path, *, overwrite: bool = False) -> None:
    predict.predict(model, (image,), out, PredictionOptions(), overwrite)


@pytest.mark.parametrize("name", ["a.png", "a_overlay.png"])
@pytest.mark.parametrize("kind", ["drawn", "edited", "junk", "link", "dangling"])
def test_what_no_prediction_wrote_stays(
    model: Path, image: Path, tmp_path: Path, name: str, kind: str
) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere.png"
    call(model, image, out)
    place = out / name
    if kind == "drawn":
        Image.fromarray(np.ones((20, 30), np.uint8)).save(place)
    elif kind == "edited":
        with Image.open(place) as picture:
            picture.load()
            text = picture.info["predicted"]
        place.write_bytes(_with_text(ImageOps.flip(picture), text))
    elif kind == "junk":
        place.write_text("notes")
    else:
        if kind == "link":
            place.rename(elsewhere)
        place.unlink(missing_ok=True)
        place.symlink_to(elsewhere)
    content = None if kind == "dangling" else place.read_bytes()
    areas = read_areas(out)
    with pytest.raises(UserError, match=f"{place} is there already.*--overwrite to"):
        call(model, image, out)
    assert read_areas(out) == areas
    if content is not None:
        assert place.read_bytes() == content
    call(model, image, out, overwrite=True)
    assert is_ours(place)
    if kind == "link":
        assert elsewhere.read_bytes() == content
    assert elsewhere.exists() == (kind == "link")


def _with_text(picture: Image.Image, text: str) -> bytes:
    """Returns a picture as an editor writes it that keeps texts."""
    info = PngInfo()
    info.add_text("predicted", text)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def test_probabilities_of_another_stay(
    model: Path, image: Path, tmp_path: Path
) -> None:
    out, options = tmp_path / "out", PredictionOptions()
    place = out / "a_probabilities.npz"
    out.mkdir()
    np.savez(place, probabilities=np.ones(3))
    content = place.read_bytes()
    call(model, image, out)  # which writes none
    for overwrite in (False, True):
        arguments = model, (image,), out, options, overwrite, "newest", True
        if not overwrite:
            with pytest.raises(UserError, match=f"{place} is there already"):
                predict.predict(*arguments)  # type: ignore[arg-type]
            assert place.read_bytes() == content
        else:
            predict.predict(*arguments)  # type: ignore[arg-type]
            assert is_probability_file(place)


@pytest.mark.parametrize("mode", ["P", "RGB", "L"])
def test_mark_is_of_the_pixels(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(np.arange(60, dtype=np.uint8).reshape(6, 10)).convert(
        mode
    )
    path = tmp_path / "a.png"
    path.write_bytes(as_predicted(picture))
    assert is_ours(path)
    with Image.open(path) as again:
        np.testing.assert_array_equal(np.asarray(again), np.asarray(picture))
    picture.save(path)
    assert not is_ours(path)
    assert not is_ours(tmp_path) and not is_ours(tmp_path / "missing.png")


def test_areas_are_not_written_through_a_link(
    model: Path, image: Path, tmp_path: Path
) -> None:
    out, others = tmp_path / "out", tmp_path / "others.csv"
    call(model, image, out)
    (out / "areas.csv").rename(others)
    before = others.read_text()
    (out / "areas.csv").symlink_to(others)
    call(model, image, out)
    assert others.read_text() == before and not (out / "areas.csv").is_symlink()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "exported"
    folder.mkdir()
    for name in export.FILES:
        (folder / name).write_text(name)
    sums.write_sums(folder, export.FILES)
    return folder


def test_sums_are_read_by_the_usual_program(folder: Path) -> None:
    check = ["sha256sum", "-c", "--strict", sums.SUMS]
    assert subprocess.run(check, cwd=folder, capture_output=True).returncode == 0
    (folder / export.FILES[1]).write_text("other")
    assert subprocess.run(check, cwd=folder, capture_output=True).returncode == 1


def test_own_exports_are_replaced(folder: Path) -> None:
    export._check_replaceable(folder.parent, folder, overwrite=False)


@pytest.mark.parametrize("name", export.FILES)
def test_other_exports_stay(folder: Path, name: str) -> None:
    (folder / name).write_text("other")
    with pytest.raises(UserError, match=f"{folder} has {name} already"):
        export._check_replaceable(folder.parent, folder, overwrite=False)
    export._check_replaceable(folder.parent, folder, overwrite=True)


def usual_sums(folder: Path, *names: str) -> None:
    """Writes the checksums of files as their owner may."""
    check = subprocess.run(
        ["sha256sum", *names], cwd=folder, capture_output=True, check=True
    )
    (folder / sums.SUMS).write_bytes(check.stdout)


@pytest.mark.parametrize("names", [export.FILES, export.FILES[:1], export.FILES[2:]])
def test_checksums_of_their_owner_are_no_mark(
    folder: Path, names: tuple[str, ...]
) -> None:
    for name in set(export.FILES) - {*names}:
        (folder / name).unlink()
    usual_sums(folder, *names)
    assert sums.not_ours(folder, export.FILES) == [*names, sums.SUMS]
    assert not any(export._is_ours(folder, name) for name in names)
    with pytest.raises(UserError, match="SHA256SUMS already.*or add --overwrite"):
        export._check_replaceable(folder.parent, folder, overwrite=False)
    export._check_replaceable(folder.parent, folder, overwrite=True)


@pytest.mark.parametrize("text", ["", "\n", f"notes\n{sums.MARK}\n"])
def test_checksums_alone_without_a_mark_stay(tmp_path: Path, text: str) -> None:
    (tmp_path / sums.SUMS).write_text(text)
    assert sums.not_ours(tmp_path, export.FILES) == [sums.SUMS]
    (tmp_path / sums.SUMS).unlink()
    assert not sums.not_ours(tmp_path, export.FILES)


@pytest.mark.parametrize("line", ["abc  my-file", "what I wrote"])
def test_other_checksums_stay(folder: Path, line: str) -> None:
    path = folder / sums.SUMS
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(UserError, match=f"{folder} has {sums.SUMS} already"):
        export._check_replaceable(folder.parent, folder, overwrite=False)
    export._check_replaceable(folder.parent, folder, overwrite=True)


def test_what_is_exported_stays(folder: Path) -> None:
    for overwrite in (True, False):
        with pytest.raises(UserError, match="model.safetensors would be written over"):
            source = folder / "model.safetensors"
            export._check_replaceable(source, folder, overwrite=overwrite)


@pytest.mark.parametrize("kind", ["link", "hard link"])
def test_an_image_is_not_its_own_output(
    model: Path, image: Path, tmp_path: Path, kind: str
) -> None:
    place = tmp_path / "out" / "a.png"
    place.parent.mkdir()
    image.rename(place)
    (image.symlink_to if kind == "link" else image.hardlink_to)(place)
    content = place.read_bytes()
    with pytest.raises(UserError, match=f"{place} is the image {image} itself"):
        call(model, image, tmp_path / "out", overwrite=True)
    assert place.read_bytes() == content


def test_folder_of_images_is_known_under_another_name(
    model: Path, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on file systems that take Images for images."""
    out, same = tmp_path / "Images", os.path.samefile
    out.mkdir()
    monkeypatch.setattr(
        os.path, "samefile", lambda a, b: b == out and a == image.parent or same(a, b)
    )
    with pytest.raises(UserError, match=f"{out} is the folder of {image}"):
        call(model, image, out, overwrite=True)


def test_a_picture_that_is_too_large_is_another_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(as_predicted(Image.new("RGB", (30, 20))))
    monkeypatch.setattr(image_files, "_limit", 600)
    assert is_ours(path)
    monkeypatch.setattr(image_files, "_limit", 599)
    assert not is_ours(path)

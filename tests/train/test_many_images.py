"""Predicting many images: few programs for many sizes, and only what is left to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train import predict
from train.common.errors import UserError
from train.data.forms import Form
from train.data.images import read_image
from train.evaluation import mask_files
from train.evaluation.views import PredictionOptions

from .standins import Brightest
from .test_predict import call, model, photos, read_areas, write_image

__all__ = ["model", "photos"]  # fixtures


def skip(model: Path, photos: Path, out: Path, probabilities: bool = False) -> None:
    predict.predict(
        model,
        (photos,),
        out,
        PredictionOptions(),
        skip_existing=True,
        probabilities=probabilities,
    )


def test_what_is_done_is_skipped(
    model: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = photos.parent / "out"
    call(model, photos / "a.png", photos / "b.png", out=out)
    Brightest.sizes.clear()
    skip(model, photos, out)
    assert "2 of 3 images are done already" in capsys.readouterr().out
    assert len(read_areas(out)) == 4
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    skip(model, photos, out)
    assert "3 of 3 images are done already" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in out.iterdir()}
    skip(model, photos, out, probabilities=True)
    assert "0 of 3 images are done already" in capsys.readouterr().out


@pytest.mark.parametrize("lost", ["mask", "overlay", "line"])
def test_what_is_half_done_is_done_again(
    model: Path, photos: Path, lost: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = photos.parent / "out"
    call(model, photos, out=out)
    lines = (out / "areas.csv").read_text().splitlines(keepends=True)
    files = {"mask": "c.png", "overlay": "c_overlay.png"}
    if lost == "line":
        (out / "areas.csv").write_text("".join(lines[:-1]))
    else:
        (out / files[lost]).unlink()
    skip(model, photos, out)
    assert "2 of 3 images are done already" in capsys.readouterr().out
    assert (out / "areas.csv").read_text().splitlines(keepends=True) == lines
    assert {"c.png", "c_overlay.png"} <= {path.name for path in out.iterdir()}


def test_a_mask_of_another_image_is_not_taken_for_it(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (tmp_path / day / "001.png" for day in ("day1", "day2"))
    write_image(first)
    write_image(second, size=(32, 64))
    out = tmp_path / "out"
    call(model, first, out=out)
    call(model, second, out=out)  # whose files are called the same
    for photo, done in ((second, 1), (first, 0), (first, 1), (second, 0)):
        predict.predict(model, (photo,), out, PredictionOptions(), skip_existing=True)
        assert f"{done} of 1 images are done" in capsys.readouterr().out
    with Image.open(out / "001.png") as mask:
        assert mask.size == (64, 32)
    write_image(second, 20, size=(32, 64))  # edited since
    predict.predict(model, (second,), out, PredictionOptions(), skip_existing=True)
    assert "0 of 1 images are done" in capsys.readouterr().out


def test_an_image_that_changes_while_it_is_read(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its mask would be the old one's, and pass for the new one's for ever."""
    photo, out = tmp_path / "a.png", tmp_path / "out"
    write_image(photo, 10)

    def replaced(path: Path, form: Form) -> np.ndarray:
        pixels = read_image(path, form)
        write_image(path, 20)
        return pixels

    monkeypatch.setattr(mask_files, "read_image", replaced)
    with pytest.raises(UserError, match=r"a\.png has changed while it was read"):
        call(model, photo, out=out)
    assert not (out / "a.png").exists()


def test_many_sizes_are_few_programs(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    masks = {
        name: write_image(tmp_path / "photos" / name, 9, size=(20 + n, 30 + 3 * n))
        for n, name in enumerate(f"{n:02}.png" for n in range(20))
    }
    out = tmp_path / "out"
    call(model, tmp_path / "photos", out=out)
    assert "20 sizes: they are padded to multiples of 32" in capsys.readouterr().out
    assert set(Brightest.sizes) == {(32, 32), (32, 64), (32, 96), (64, 96)}
    for name, mask in masks.items():
        with Image.open(out / name) as written:
            assert written.size == mask.shape[::-1]
    Brightest.sizes.clear()
    call(model, tmp_path / "photos", out=out, size_multiple=1)
    assert len(set(Brightest.sizes)) == 20
    assert "padded" not in capsys.readouterr().out

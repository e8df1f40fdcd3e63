"""What goes wrong with one image is told, and the others are predicted."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image

from train import predict
from train.common.errors import UserError
from train.evaluation import inference
from train.evaluation.inference import Predictor
from train.evaluation.mask_files import MaskMaker
from train.evaluation.sliding_windows import strip_of
from train.evaluation.views import PredictionOptions

from .test_predict import SIZE, call, model, photos, read_areas, write_image

__all__ = ["model", "photos"]  # fixtures


def test_broken_files_are_noted_and_the_rest_predicted(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    for name in ("a.png", "cut.png", "z.png"):
        write_image(photos / name)
    whole = (photos / "cut.png").read_bytes()
    (photos / "cut.png").write_bytes(whole[: len(whole) // 2])
    (photos / "text.jpg").write_text("no image")
    (photos / "number.ppm").write_bytes(b"P6\n5 5\n255\n")  # found to be refused
    Image.fromarray(np.zeros(SIZE, np.uint16)).save(photos / "deep.png")
    missing = tmp_path / "missing.png"
    with pytest.raises(UserError) as raised:
        call(model, photos, missing, out=out)
    first, *reasons = str(raised.value).splitlines()
    assert first == f"2 of 7 masks written to {out}; 5 failed:"
    for reason, name, cause in zip(
        reasons,
        ("cut.png", "deep.png", "number.ppm", "text.jpg", "missing.png"),
        ("cannot be decoded", "8 bits", "is PPM, or", "decoded (", "no such file"),
        strict=True,
    ):
        assert name in reason and cause in reason
    assert [Path(line[0]).name for line in read_areas(out)[1:]] == ["a.png", "z.png"]
    masks = {f"{name}{end}.png" for name in "az" for end in ("", "_overlay")}
    assert set(os.listdir(out)) == masks | {"areas.csv"}
    assert "mean area" in capsys.readouterr().out


Break = Callable[[BaseException], None]


@pytest.fixture
def fail_on_tall(monkeypatch: pytest.MonkeyPatch) -> Break:
    """Makes the prediction of an image of more than 20 rows raise."""

    def make(error: BaseException) -> None:
        whole = Predictor.mask

        def mask(self: Predictor, state: Any, image: np.ndarray, **options: Any) -> Any:
            if len(image) > SIZE[0]:
                raise error
            return whole(self, state, image, **options)

        monkeypatch.setattr(Predictor, "mask", mask)

    return make


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9"),
    ],
)
def test_too_large_an_image_is_noted(
    model: Path, photos: Path, fail_on_tall: Break, error: Exception
) -> None:
    fail_on_tall(error)
    with pytest.raises(UserError, match=r"2 of 3 .*\n.*b\.png .* memory .* --window"):
        call(model, photos, out=photos.parent / "out")
    names = [Path(line[0]).name for line in read_areas(photos.parent / "out")[1:]]
    assert names == ["a.png", "c.png"]


def test_defect_of_ours_is_told_and_the_rest_predicted(
    model: Path, photos: Path, fail_on_tall: Break
) -> None:
    fail_on_tall(TypeError("broken"))
    said = r"2 of 3 .*\n.*b\.png: TypeError: broken\. That is a defect of this program"
    with pytest.raises(UserError, match=said):
        call(model, photos, out=photos.parent / "out")
    assert len(read_areas(photos.parent / "out")) == 3


def test_file_that_cannot_be_written_is_told_and_the_rest_predicted(
    model: Path, photos: Path
) -> None:
    out = photos.parent / "out"
    (out / "b.png").mkdir(parents=True)
    with pytest.raises(UserError, match=r"2 of 3 .*\n.*photos/b\.png: .*directory"):
        predict.predict(model, (photos,), out, PredictionOptions(), overwrite=True)
    assert [Path(line[0]).name for line in read_areas(out)[1:]] == ["a.png", "c.png"]


def test_names_are_no_formulas_and_steer_no_terminal(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = ("=1+1.png", "'=1+1.png", "@a.png", "two\nlines \x1b[2J.png")
    for name in names:
        write_image(tmp_path / name, 20)
    (tmp_path / names[-1]).write_text("no image")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UserError, match=r"1 failed:\ntwo\\nlines \\x1b\[2J\.png cannot"
    ):
        call(model, *map(Path, names), out=Path("out"))
    assert "\x1b[2J" not in capsys.readouterr().err
    written = [line[0] for line in read_areas(Path("out"))]
    assert written == ["image", "'=1+1.png", "''=1+1.png", "'@a.png"]
    write_image(tmp_path / "=1+1.png", 0, 20)
    call(model, Path("=1+1.png"), out=Path("out"))
    lines = read_areas(Path("out"))
    assert [line[0] for line in lines[1:]] == ["''=1+1.png", "'@a.png", "'=1+1.png"]
    assert [line[3] for line in lines[1:]] == ["1.000000", "1.000000", "0.000000"]


def test_a_name_that_says_the_disk_is_full_is_a_name(
    model: Path, tmp_path: Path
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    for name in "bc":
        write_image(photos / f"{name}.png")
    for words in ("Read-only file system", "No space left on device"):
        (photos / f"a {words}.png").write_text("broken")
    with pytest.raises(UserError, match="2 of 4 masks"):
        call(model, photos, out=out)


def test_a_stop_ends_between_rows_of_windows(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(tmp_path / "a.png", size=(640, 32))
    begun = []

    def strip(*arguments: Any) -> Any:
        begun.append(arguments)
        if len(begun) == 2:
            maker[0]._stopped.set()  # as where another image was interrupted
        return strip_of(*arguments)

    maker: list[MaskMaker] = []

    def made(*arguments: Any, **options: Any) -> MaskMaker:
        maker.append(MaskMaker(*arguments, **options))
        return maker[0]

    monkeypatch.setattr(inference, "strip_of", strip)
    monkeypatch.setattr(predict, "MaskMaker", made)
    with pytest.raises(UserError, match="0 of 1 masks"):
        call(model, tmp_path / "a.png", out=tmp_path / "out", window=(32, 32))
    assert len(begun) == 2


def test_control_characters_of_names_are_escaped_in_the_table(
    model: Path, tmp_path: Path
) -> None:
    photo, out = tmp_path / "a\x1b[2J\u202e.png", tmp_path / "out"
    write_image(photo, 20)
    for _ in range(2):
        call(model, photo, out=out)
        lines = read_areas(out)
        assert [line[0] for line in lines[1:]] == [f"{tmp_path}/a\\x1b[2J\\u202e.png"]


def test_interruption_keeps_what_is_done(
    model: Path, photos: Path, fail_on_tall: Break
) -> None:
    out = photos.parent / "out"
    fail_on_tall(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        call(model, photos, out=out)
    assert [Path(line[0]).name for line in read_areas(out)[1:]] == ["a.png"]


def test_one_bad_link_does_not_end_a_batch(model: Path, tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    write_image(photos / "a.png")
    (photos / "b.png").symlink_to("b" * 300)  # no system has such a name
    (photos / "c.png").symlink_to("c.png")
    for named in (photos, photos / "*.png"):
        with pytest.raises(UserError, match=r"(?s)2 failed:.*b\.png: .*c\.png cannot"):
            call(model, named, out=out)
    assert [Path(line[0]).name for line in read_areas(out)[1:]] == ["a.png"]

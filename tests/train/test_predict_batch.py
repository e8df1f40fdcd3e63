"""Predicting many files: one that goes wrong ends nothing, whatever it is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from train.common.errors import UserError

from . import test_predict as files
from .test_predict import Break, call, read_areas, write_image

model, photos, fail_on_tall = files.model, files.photos, files.fail_on_tall


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
    call(model, photos, out=out)
    (out / "b.png").unlink()
    (out / "b.png").mkdir()
    with pytest.raises(UserError, match=r"2 of 3 .*\n.*photos/b\.png: .*directory"):
        call(model, photos, out=out)
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

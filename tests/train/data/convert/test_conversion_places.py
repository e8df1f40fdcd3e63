"""Conversions: what they write takes nobody's place."""

import secrets
import shutil
from pathlib import Path

import numpy as np
import pytest

from train.common.errors import UserError
from train.data.convert.conversion import VocWriter

from .test_conversion import Write, convert, photo, writer

__all__ = ["photo"]  # a fixture


def add(photo: Path) -> Write:
    return lambda writer: writer.add("train", "1", photo, photo)


def test_two_names_that_are_one_on_a_disk_are_refused(
    tmp_path: Path, photo: Path
) -> None:
    to, content = writer(tmp_path), photo.read_bytes()
    blank = np.zeros((4, 6), np.uint8)
    to.add("train", "a", content, blank)
    for place in ("JPEGImages/A.jpg", "SegmentationClass/B.png"):
        (to.root / place).write_text("as if a disk had only small letters")
        with pytest.raises(
            UserError, match=f"^project: {place} is there already.*Rename"
        ):
            to.add("train", place[-5], content, blank)


@pytest.mark.parametrize("names", [("x", "x.png/y"), ("x", "x.png/y/z")])
@pytest.mark.parametrize("order", [1, -1])
def test_a_folder_called_as_a_mask_is_refused_in_either_order(
    tmp_path: Path, photo: Path, names: tuple[str, str], order: int
) -> None:
    to, content = writer(tmp_path), photo.read_bytes()
    first, second = names[::order]
    to.add("train", first, content, np.zeros((4, 6), np.uint8))
    with pytest.raises(
        UserError, match=f"^project: SegmentationClass/{second}.png is there already"
    ):
        to.add("train", second, content, np.zeros((4, 6), np.uint8))


def test_a_folder_is_written_under_a_name_of_nobody_else(
    tmp_path: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "token_hex", lambda size: "known")
    elsewhere, key = tmp_path / "elsewhere", convert(tmp_path, add(photo)).name
    elsewhere.mkdir()
    folder = tmp_path / "prepared" / "converted"
    shutil.rmtree(folder / key)
    (folder / f"{key}.known").symlink_to(elsewhere)
    with pytest.raises(FileExistsError):
        convert(tmp_path, add(photo))
    assert not list(elsewhere.iterdir()) and not (folder / key).exists()


@pytest.mark.parametrize("other", ["file", "link"])
def test_what_is_no_folder_in_its_place_is_named_before_anything_is_written(
    tmp_path: Path, photo: Path, other: str
) -> None:
    folder = convert(tmp_path, add(photo))
    shutil.rmtree(folder)
    if other == "file":
        folder.touch()
    else:
        folder.symlink_to(tmp_path / "gone")

    def write(writer: VocWriter) -> None:
        raise AssertionError

    with pytest.raises(UserError, match=rf"Move {folder} elsewhere; the next run writ"):
        convert(tmp_path, write)

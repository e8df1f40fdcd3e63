"""Conversions: what they write takes nobody's place."""

import secrets
import shutil
from pathlib import Path

import numpy as np
import pytest

from train.common.errors import UserError

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
        with pytest.raises(UserError, match=f"{place} is there already.*Rename one"):
            to.add("train", place[-5], content, blank)


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

"""Folders are known by their absolute paths, names of data by themselves."""

from pathlib import Path

import pytest

from train.config import Config, changed_options, portable
from train.data.places import anywhere, is_name, resolved, short

NAME = "tfds:cityscapes/config:1.0.0,mask=m"


def test_names_stay_wherever_they_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (tmp_path, tmp_path / "other"):
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        assert is_name(NAME)
        assert resolved(NAME) == anywhere(NAME) == short(NAME) == NAME


def test_folders_are_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolved("a/../b") == str(tmp_path / "b")
    assert resolved("./tfds:b") == str(tmp_path / "tfds:b")
    assert anywhere("a/b") == "DIR" and short("a/b") == "b"
    assert resolved("") == anywhere("") == short("") == ""


def test_names_are_no_paths_of_a_configuration() -> None:
    named = Config().replace(data=NAME)
    assert portable(named).data.folder == NAME
    assert portable(named.replace(data="a/b")).data.folder == "DIR"
    assert changed_options(named, named.replace(data=f"./{NAME}")) == {"data": NAME}

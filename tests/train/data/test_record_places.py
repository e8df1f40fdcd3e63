"""Prepared records in folders of any name, that several processes write at once."""

import pickle
from errno import EIO, ENOTEMPTY
from pathlib import Path

import pytest

from train.common.errors import UserError
from train.data import scenes
from train.data.records import open_splits
from train.data.scenes import BuiltinScenes


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets there be few scenes."""
    monkeypatch.setattr(scenes, "SPLIT_SIZES", {"train": 2, "val": 1})


def test_another_process_is_told_the_folder_itself(tmp_path: Path) -> None:
    builder = BuiltinScenes(data_dir=str(tmp_path / "a=[1]"))
    assert str(builder.plain.path).encode() not in pickle.dumps(builder)
    records = open_splits(builder, ["train"])["train"]
    assert str(builder.plain.path).encode() not in pickle.dumps(records)
    opened = pickle.loads(pickle.dumps(records))  # noqa: S301 - ours
    assert opened[1]["name"] == records[1]["name"]
    again = pickle.loads(pickle.dumps(builder))  # noqa: S301 - ours
    assert len(open_splits(again, ["train"])["train"]) == 2


@pytest.mark.parametrize(
    "error",
    [FileExistsError("it is there"), OSError(ENOTEMPTY, "not empty")],
)
def test_one_that_comes_later_reads_what_the_first_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    builder = BuiltinScenes(data_dir=str(tmp_path))
    whole = type(builder).download_and_prepare

    def late(self: BuiltinScenes) -> None:
        monkeypatch.setattr(BuiltinScenes, "download_and_prepare", whole)
        whole(self)
        raise error

    monkeypatch.setattr(BuiltinScenes, "download_and_prepare", late)
    assert len(open_splits(builder, ["train"])["train"]) == 2


def test_a_folder_in_the_place_of_a_description_is_told(tmp_path: Path) -> None:
    builder = BuiltinScenes(data_dir=str(tmp_path))
    open_splits(builder, ["train"])
    path = next((tmp_path / "builtin_scenes").rglob("dataset_info.json"))
    path.unlink()
    path.mkdir()
    said = "builtin_scenes: prepared records cannot be read .*the next run writes it"
    with pytest.raises(UserError, match=said):
        BuiltinScenes(data_dir=str(tmp_path))


def test_a_disk_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: BuiltinScenes) -> None:
        raise OSError(EIO, "the disk fails")

    monkeypatch.setattr(BuiltinScenes, "download_and_prepare", fail)
    with pytest.raises(OSError, match="the disk fails"):
        open_splits(BuiltinScenes(data_dir=str(tmp_path)), ["train"])

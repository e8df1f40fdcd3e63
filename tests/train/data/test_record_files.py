"""Prepared records of others' making: how much one takes, and where they lie."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from array_record.python.array_record_module import ArrayRecordWriter

from train.common.errors import UserError
from train.data import record_files, voc_records
from train.data.dataset import DataOptions, find_dataset, load_dataset
from train.data.record_files import check_records

from ..conftest import MakeConfig

SIZES = [70_000, 3, 200_000, 0, 65_432] * 4


def write(path: Path, records: list[bytes], how: str) -> Path:
    writer = ArrayRecordWriter(str(path), how)
    for record in records:
        writer.write(record)
    writer.close()
    return path


@pytest.mark.parametrize("how", ["group_size:1", "group_size:7,uncompressed"])
def test_every_chunk_is_found(tmp_path: Path, how: str) -> None:
    path = write(tmp_path / "a", [os.urandom(size) for size in SIZES], how)
    check_records(path)
    at, unpacked = 0, 0
    with path.open("rb") as file:
        while chunk := record_files._chunk(file, at):
            at, unpacked = record_files._end(at, chunk), unpacked + chunk.unpacked
    assert at == path.stat().st_size
    assert sum(SIZES) < unpacked < sum(SIZES) + 10_000


@pytest.mark.parametrize("last", [True, False])
def test_records_that_would_fill_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: bool
) -> None:
    monkeypatch.setattr(record_files, "_MOST", 500_000)
    zeros = [bytes(1000)] * 600
    path = write(tmp_path / "a", zeros[last:], "group_size:600")
    assert path.stat().st_size < 200_000
    with pytest.raises(UserError, match=f"{path} has records .* 500000 bytes"):
        check_records(path)


def test_places_of_records_take_memory_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_files, "_MOST", 50_000)
    path = write(tmp_path / "a", [b""] * 4000, "group_size:4000")
    with pytest.raises(UserError, match="has records that are unpacked together"):
        check_records(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a")
    with pytest.raises(UserError, match="a is a pipe"):
        check_records(tmp_path / "a")


def test_prepared_records_are_looked_at_before_they_are_read(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = make_config().data
    load_dataset(options)
    monkeypatch.setattr(record_files, "_MOST", 50)
    with pytest.raises(UserError, match="array_record.* has records that are unpacked"):
        load_dataset(options)


def of_split(options: DataOptions, split: str, pattern: str) -> Path:
    (path,) = Path(options.prepared, "voc_layout").glob(f"{split}_*/*/{pattern}")
    return path


def test_a_damaged_record_is_named_by_its_folder(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = make_config().data
    load_dataset(options)
    path = of_split(options, "train", "*array_record*")
    content = bytearray(path.read_bytes())
    content[80:90] = b"0123456789"  # the first
    path.write_bytes(content)
    said = f"^{path.parent}: the prepared records of split 'train' cannot be read"
    with pytest.raises(UserError, match=said):
        load_dataset(options)
    monkeypatch.setattr(voc_records, "check_records_of", lambda *arguments: None)
    source = load_dataset(options).train
    assert len(source) == 4 and source[3]["name"] == b"d"
    with pytest.raises(UserError, match=said):
        source[0]


def test_records_lie_in_their_own_folder(make_config: MakeConfig) -> None:
    options = make_config().data
    load_dataset(options)
    path = of_split(options, "train", "*array_record*")
    path.rename(path.parent.parent / path.name)
    info = path.parent / "dataset_info.json"
    content = json.loads(info.read_text())
    template = "../{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
    content["splits"][0]["filepathTemplate"] = template
    info.write_text(json.dumps(content))
    with pytest.raises(UserError, match="they name a file elsewhere"):
        load_dataset(options)


@pytest.mark.parametrize("name", ["voc_layout", "digests", "converted", "downloads"])
def test_links_among_what_is_prepared_are_refused(
    make_config: MakeConfig, tmp_path: Path, name: str
) -> None:
    options = make_config().data
    others, prepared = tmp_path / "others", Path(options.prepared)
    for folder in (others, prepared):
        folder.mkdir()
    (prepared / name).symlink_to(others)
    with pytest.raises(UserError, match=f"{name} is a link, to {others}, and nothing"):
        find_dataset(options)
    assert not any(others.iterdir())


def test_link_in_place_of_records_is_refused(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    options = make_config().data
    fingerprint = find_dataset(options).splits["train"]
    folder = Path(options.prepared, "voc_layout")
    folder.mkdir(parents=True)
    (tmp_path / "others").mkdir()
    (folder / f"train_{fingerprint}").symlink_to(tmp_path / "others")
    with pytest.raises(UserError, match=f"train_{fingerprint} is a link"):
        load_dataset(options)


def test_folder_of_everything_prepared_may_be_a_link(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    (tmp_path / "large_disk").mkdir()
    (tmp_path / "prepared").symlink_to(tmp_path / "large_disk")
    assert len(load_dataset(make_config().data).train) == 4
    assert (tmp_path / "large_disk" / "voc_layout").is_dir()

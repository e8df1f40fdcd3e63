"""Prepared records of a split of any size: written as they come, in several files."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core import shuffle

from train.common.errors import UserError
from train.data import record_files, shards
from train.data.dataset import DataOptions, load_dataset
from train.data.forms import Form
from train.data.origin import ORIGIN
from train.data.records import make_record
from train.data.shards import write_split

from ..channel_folders import make_folder as make_channels
from ..conftest import NAMES
from ..inspection.folders import inspect

MEGABYTE = 2**20


def records_of(folder: Path, prepared: Path) -> list[dict[str, bytes]]:
    data = load_dataset(DataOptions(folder=str(folder), prepared=str(prepared)))
    records = [dict(data.train[index]) for index in range(len(data.train))]
    assert all(record.pop(ORIGIN).folder.is_relative_to(prepared) for record in records)
    return records


def test_a_split_is_larger_than_memory_by_tfds(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond its buffer TFDS asks for TensorFlow, which is not there."""
    monkeypatch.setattr(shuffle, "MAX_MEM_BUFFER_SIZE", 100)
    found = records_of(folder, tmp_path / "prepared")
    assert [record["name"].decode() for record in found] == NAMES["train"]


@pytest.mark.parametrize("most, files", [(1, 4), (2**40, 1)])
def test_shards_have_the_records_in_order(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    files: int,
) -> None:
    whole = records_of(folder, tmp_path / "whole")
    monkeypatch.setattr(shards, "_SHARD", most)
    assert records_of(folder, tmp_path / "parts") == whole
    found = sorted((tmp_path / "parts").rglob("*train.array_record*"))
    assert [path.name for path in found] == [
        f"voc_layout-train.array_record-{index:05}-of-{files:05}"
        for index in range(files)
    ]
    assert not list((tmp_path / "parts").rglob("*.part"))
    assert records_of(folder, tmp_path / "parts") == whole  # opened again


def test_writing_takes_the_memory_of_one_record(tmp_path: Path) -> None:
    template = tfds.core.ShardedFileTemplate(
        data_dir=tmp_path, dataset_name="a", split="b", filetype_suffix="c"
    )
    records = (bytes(MEGABYTE) for _ in range(600))
    sizes = []

    def write(path: Path, shard: Iterator[tuple[int, bytes]]) -> None:
        sizes.append(sum(len(record) for _, record in shard))
        path.touch()

    tracemalloc.start()
    try:
        info = write_split(records, write, template)
        assert tracemalloc.get_traced_memory()[1] < 4 * MEGABYTE
    finally:
        tracemalloc.stop()
    assert sizes == [256 * MEGABYTE, 256 * MEGABYTE, 88 * MEGABYTE]
    assert info.shard_lengths == [256, 256, 88] and info.num_bytes == sum(sizes)
    assert all(Path(path).exists() for path in info.filepaths)


def test_a_record_that_would_not_be_read_is_not_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(record_files, "_MOST", 5_000)
    label = np.zeros((4, 4), np.uint8)
    make_record(bytes(3_800), label, "a")
    with pytest.raises(UserError, match="^a takes .* than the 3976 .*--image-height"):
        make_record(bytes(4_000), label, "a")


@pytest.mark.parametrize("height, fails", [(0, True), (30, False)])
def test_inspection_tells_of_records_that_would_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, height: int, fails: bool
) -> None:
    form = Form(4, 16)
    make_channels(tmp_path / "data", form)
    monkeypatch.setattr(record_files, "_MOST", 40 * 48 * 8)
    how = {"channels": 4, "bit_depth": 16, "image_height": height}
    found = inspect(tmp_path / "data", **how).faults
    assert len(found) == fails
    assert all("when it is prepared" in str(fault) for fault in found)

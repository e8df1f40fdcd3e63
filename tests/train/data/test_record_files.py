"""Prepared records of others' making: how much one takes, and where they lie."""

from __future__ import annotations

import json
import os
import struct
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


def test_chunks_that_each_record_unpacks_anew_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a", [bytes(1000)] * 60, "group_size:20")
    check_records(path)
    monkeypatch.setattr(record_files, "_MOST_AGAIN", 1_000_000)
    with pytest.raises(UserError, match="together, 11[0-9]{5} bytes in all for each"):
        check_records(path)


def test_chunks_of_more_records_than_bytes_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_files, "_MOST_AGAIN", 2**40)
    for end in range(20, 26):  # of the first chunk, around the end of a block's head
        count = 2**16 - 64 + end
        check_records(write(tmp_path / f"{end}", [b""] * count, f"group_size:{count}"))


BENT = {
    "signature": (32, struct.pack("<Q", 1_000_000), "does not begin as files of"),
    "kind": (88, b"t", "has a part at byte 64 of a kind that TFDS does not write"),
    "kind that says nothing": (88, b"m", "has a part at byte 64 of a kind"),
    "second signature": (88, b"s", "has a part at byte 64 of a kind"),
    "size": (72, struct.pack("<Q", 2**40), "ends at byte 131072, which is not where"),
    "end": (2**17, b"0123456789", "ends at byte 131082, which is not where"),
}


@pytest.mark.parametrize("name", BENT)
def test_files_that_tfds_would_not_write_are_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "a", [b"one", b"three"], "group_size:1")
    at, bent, said = BENT[name]
    content = bytearray(path.read_bytes())
    content[at : at + len(bent)] = bent
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{path} {said}"):
        check_records(path)


@pytest.mark.parametrize("size", [0, 50, 2**16, 2**17 - 1])
def test_files_that_are_cut_short_are_refused(tmp_path: Path, size: int) -> None:
    path = write(tmp_path / "a", [b"one", b"three"], "group_size:1")
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UserError, match=f"a (ends at byte {size},|has no index)"):
        check_records(path)


@pytest.mark.parametrize("how", ["transpose:true", "brotli:9", "snappy"])
def test_records_packed_otherwise_are_refused(tmp_path: Path, how: str) -> None:
    path = write(tmp_path / "a", [b"one", b"three"], f"group_size:1,{how}")
    with pytest.raises(UserError, match="TFDS does not write|as TFDS writes it"):
        check_records(path)


FOUR = [b"one", b"three", b"22", b"4444"]
FIRST, SECOND = b"\x08\x40\x10\x08\x18\x02", b"\x08\x74\x10\x06\x18\x02"  # of the index


def test_index_names_the_places_of_the_records(tmp_path: Path) -> None:
    path = write(tmp_path / "a", FOUR, "group_size:2,uncompressed")
    content = path.read_bytes()
    entries = content.index(FIRST + SECOND)
    options = content.index(b"group_size:2,"), entries  # may say anything
    place = 2**16 + 64
    bytes_that_count = (*range(206, options[0]), *range(entries, entries + 12))
    for at in (*bytes_that_count, *range(place, place + 44)):
        bent = bytearray(content)
        bent[at] ^= 1
        path.write_bytes(bent)
        with pytest.raises(UserError, match="has no index of its records as TFDS"):
            check_records(path)


def test_index_is_the_files_own(tmp_path: Path) -> None:
    paths = tmp_path / "a", tmp_path / "b"
    for path, sizes in zip(paths, [(70, 50), (50, 70)], strict=True):
        write(path, [os.urandom(size) for size in sizes], "group_size:1")
    ours, others = (path.read_bytes() for path in paths)
    paths[1].write_bytes(ours[:272] + others[272:])  # the heads, and the index
    check_records(paths[0])
    with pytest.raises(UserError, match="has no index of its records as TFDS"):
        check_records(paths[1])


@pytest.mark.parametrize("first", [0, 1])
def test_chunks_have_the_same_number_of_records(tmp_path: Path, first: int) -> None:
    path = write(tmp_path / "a", FOUR, "group_size:2,uncompressed")
    content = bytearray(path.read_bytes())
    content[89] = first  # of the first chunk, in its head
    content = content.replace(FIRST, FIRST[:5] + bytes([first]))
    content = content.replace(b"\x10\x02\x18\x04", bytes([16, 2, 24, 2 + first]))
    path.write_bytes(content)
    with pytest.raises(UserError, match="has no index of its records as TFDS"):
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
    content[110:120] = b"0123456789"  # the first
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


def test_a_name_that_array_record_reads_as_another_file_is_refused(
    tmp_path: Path,
) -> None:
    """What is looked at would not be what is read, which might lie elsewhere."""
    whole = write(tmp_path / "x", [b"1", b"2"], "group_size:1")
    part = tmp_path / "x[0:2]"
    part.write_bytes(whole.read_bytes())
    check_records(whole)
    with pytest.raises(UserError, match=r"x\[0:2\] has a name that array_record takes"):
        check_records(part)

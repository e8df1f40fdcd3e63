"""PyTorch's checkpoints: tensors come out as they are, and nothing else comes out."""

import copyreg
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models import pickles
from models.torch_files import (
    TorchFileError,
    is_torch_file,
    read_torch_file,
    read_torch_header,
)

from .checkpoints import (
    ORDERED,
    storage,
    storages,
    table,
    tensor,
    tensors,
    value,
    whole,
    write_checkpoint,
    write_legacy,
    write_zip,
)
from .hostile_pickles import FLOATS, HOSTILE

ARRAYS: dict[str, np.ndarray] = {
    "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "half": np.linspace(-1, 1, 5).astype(np.float16),
    "count": np.array(3),
    "transposed": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "bytes": np.arange(4, dtype=np.uint8),
    "flags": np.array([True, False]),
    "empty": np.zeros((0, 5), np.float32),
}
ONES = {"w": np.ones(4, np.float32)}


@pytest.mark.parametrize("legacy", [False, True])
def test_tensors_come_out_as_they_are(legacy: bool, tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "w.pth", ARRAYS, legacy)
    found = read_torch_file(path)
    assert is_torch_file(path) and list(found) == list(ARRAYS)
    for key, expected in ARRAYS.items():
        assert found[key].dtype == expected.dtype and found[key].flags.c_contiguous
        np.testing.assert_array_equal(found[key], expected)
    assert read_torch_header(path) == (tuple(ARRAYS), ())


def test_bfloat16_is_the_upper_half_of_float32(tmp_path: Path) -> None:
    expected = np.array([1.0, -2.5, 0.15625], np.float32)
    halves = (expected.view(np.uint32) >> 16).astype("<u2").tobytes()
    of = storage("7", "BFloat16", 3)
    path = write_zip(
        tmp_path / "w", table({"w": tensor(of, (3,), (1,))}), {"7": halves}
    )
    found = read_torch_file(path)["w"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_tensors_may_share_a_storage_and_begin_within(tmp_path: Path) -> None:
    of, data = storage("0", "Float", 12), np.arange(12, dtype=np.float32)
    items = {"a": tensor(of, (3, 4), (4, 1)), "b": tensor(of, (2, 2), (4, 1), 5)}
    parameter = b"ctorch._utils\n_rebuild_parameter\n(" + items["a"] + b"\x88" + ORDERED
    items["c"] = parameter + b"tR"
    found = read_torch_file(
        write_zip(tmp_path / "w.pth", table(items), {"0": data.tobytes()})
    )
    whole_array = data.reshape(3, 4)
    np.testing.assert_array_equal(found["a"], whole_array)
    np.testing.assert_array_equal(found["b"], whole_array[1:, 1:3])
    np.testing.assert_array_equal(found["c"], whole_array)


@pytest.mark.parametrize("name", ["state_dict", "model"])
def test_state_dict_within_a_checkpoint_is_found_and_the_rest_named(
    name: str, tmp_path: Path
) -> None:
    items = {"epoch": value(3), name: tensors(ONES), "best": value([1, (2, "a", None)])}
    path = write_zip(tmp_path / "w.pth", table(items), storages(ONES))
    np.testing.assert_array_equal(read_torch_file(path)["w"], ONES["w"])
    assert read_torch_header(path) == (("w",), ("epoch", "best"))


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", HOSTILE)
def test_anything_but_tensors_is_refused_by_name(
    name: str, legacy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    operations, message = HOSTILE[name]
    path = tmp_path / "w.pth"
    if legacy:
        sizes = {"0": 4} if FLOATS in operations else {}
        # A storage's reference has a place more there.
        operations = operations.replace(b"tQ", b"NtQ")
        write_legacy(path, operations, sizes, storages(ONES))
    else:
        write_zip(path, operations, storages(ONES))
    for read in (read_torch_file, read_torch_header):
        with pytest.raises(TorchFileError, match=rf"w\.pth.*{message}"):
            read(path)
    assert os.listdir(tmp_path) == ["w.pth"]


@pytest.mark.parametrize("legacy", [False, True])
def test_small_file_takes_little_memory(legacy: bool, tmp_path: Path) -> None:
    # Each call would make a dictionary of all the pairs, which are written once.
    pairs = value(([[number, None] for number in range(5000)],)) + b"q\x00"
    calls = b"ccollections\nOrderedDict\nh\x00R" * 3000
    for operations in (pairs + b"(" + calls + b"t", b"]" * 10**6):
        path = tmp_path / "w.pth"
        if legacy:
            write_legacy(path, operations, {}, {})
        else:
            write_zip(path, operations)
        tracemalloc.start()
        with pytest.raises(TorchFileError, match="w.pth"):
            read_torch_header(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 200 * len(operations)


def test_endless_pickles_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pickles, "MOST_OPERATIONS", 1000)
    path = write_zip(tmp_path / "w.pth", b"(" + b"N" * 999 + b"t")
    with pytest.raises(TorchFileError, match="more than 1000 operations"):
        read_torch_header(path)


def test_registered_extensions_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(copyreg._inverted_registry, 1, ("os", "system"))  # type: ignore
    monkeypatch.setitem(copyreg._extension_cache, 1, os.system)  # type: ignore
    path = write_zip(tmp_path / "w.pth", b"\x82\x01" + value(("touch trace",)) + b"R")
    with pytest.raises(TorchFileError, match="EXT1; anything but tensors.*unread"):
        read_torch_file(path)


def rewritten(path: Path, change: Callable[[zipfile.ZipFile], None]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        change(archive)
    return path


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "storage 0 has None bytes, its tensors say 16"),
        ({"0": b"\0" * 15}, "storage 0 has 15 bytes, its tensors say 16"),
        ({"0": b"\0" * 17}, "storage 0 has 17 bytes"),
    ],
)
def test_storage_of_another_size_is_refused(
    data: dict[str, bytes], message: str, tmp_path: Path
) -> None:
    path = write_zip(tmp_path / "w.pth", tensors(ONES), data)
    with pytest.raises(TorchFileError, match=message):
        read_torch_file(path)


@pytest.mark.parametrize(
    ("sizes", "data", "message"),
    [
        ({"0": 3}, b"\0" * 12, "storage 0 has 3 elements"),
        ({"1": 4}, b"\0" * 16, "storage 1 has 4 elements"),
        ({"0": 4}, b"\0" * 12, "bytes where"),
        ({"0": 4}, b"\0" * 20, "bytes where"),
        ({}, b"", "storage 0 is missing"),
    ],
)
def test_storage_of_another_size_is_refused_in_the_format_before(
    sizes: dict[str, int], data: bytes, message: str, tmp_path: Path
) -> None:
    of = dict.fromkeys(sizes, data)
    path = write_legacy(tmp_path / "w.pth", tensors(ONES, True), sizes, of)
    with pytest.raises(TorchFileError, match=message):
        read_torch_file(path)


def test_file_that_grows_in_memory_is_refused(tmp_path: Path) -> None:
    bomb = {"w": np.zeros(10**6, np.float32)}
    path, packed = tmp_path / "w.pth", zipfile.ZIP_DEFLATED
    write_zip(path, tensors(bomb), storages(bomb), packed)
    assert path.stat().st_size < 10**4
    with pytest.raises(TorchFileError, match="compressed, which torch.save never"):
        read_torch_file(path)
    one = tensor(storage("0", "Float", 1000), (1000,), (1,))
    write_zip(path, table({f"w{i}": one for i in range(90)}), {"0": bytes(4000)})
    with pytest.raises(TorchFileError, match="tensors are of 360000 bytes, the file"):
        read_torch_file(path)


def test_entries_that_overlap_are_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "w.pth", tensors(ONES), {"0": bytes(4000)})
    with zipfile.ZipFile(path, "a") as archive:
        first = archive.getinfo("archive/data/0")
        for index in range(1, 10):
            copy = zipfile.ZipInfo(f"archive/data/{index}")
            copy.file_size, copy.compress_size = first.file_size, first.file_size
            copy.header_offset, copy.CRC = first.header_offset, first.CRC
            archive.filelist.append(copy)
        archive._didModify = True  # type: ignore[attr-defined]
    with pytest.raises(TorchFileError, match="entries are larger than the file"):
        read_torch_file(path)


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "w.pth", tensors(ONES), storages(ONES))
    read_torch_file(path)
    with pytest.warns(UserWarning), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data/0", b"\0" * 16)
    with pytest.raises(TorchFileError, match="two entries of one name"):
        read_torch_file(path)


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    with pytest.raises(TorchFileError, match="w.pth: no such file"):
        read_torch_file(path)
    for content in (b"", b"<html>", whole(value({"w": 1})), b"\x80\x02" + b"\0" * 40):
        path.write_bytes(content)
        assert not is_torch_file(path)
        with pytest.raises(TorchFileError, match="no file that torch.save wrote"):
            read_torch_file(path)
    rewritten(path, lambda archive: archive.writestr("other/file", "x"))
    with pytest.raises(TorchFileError, match="has 0 entries data.pkl"):
        read_torch_file(path)
    write_zip(path, tensors(ONES), storages(ONES))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("second/data.pkl", whole(b"N"))
    with pytest.raises(TorchFileError, match="has 2 entries data.pkl"):
        read_torch_file(path)


def big(archive: zipfile.ZipFile) -> None:
    archive.writestr("archive/data.pkl", whole(tensors(ONES)))
    archive.writestr("archive/byteorder", "big")


def test_numbers_of_the_other_endianness_are_refused(tmp_path: Path) -> None:
    path = rewritten(tmp_path / "w.pth", big)
    with pytest.raises(TorchFileError, match="not little-endian"):
        read_torch_file(path)
    write_checkpoint(path, ONES, legacy=True)
    name = value("little_endian")
    path.write_bytes(path.read_bytes().replace(name + b"\x88", name + b"\x89"))
    with pytest.raises(TorchFileError, match="not little-endian"):
        read_torch_file(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_damage_is_named_wherever_it_is(
    legacy: bool, tmp_path: Path, rng: np.random.Generator
) -> None:
    path = write_checkpoint(tmp_path / "w.pth", ARRAYS, legacy)
    content = path.read_bytes()
    for end in [*range(0, len(content), 19), *range(len(content) - 9, len(content))]:
        path.write_bytes(content[:end])
        with pytest.raises(TorchFileError, match=r"w\.pth"):
            read_torch_file(path)
    for place in rng.integers(0, len(content), 300):
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        try:
            read_torch_file(path)  # a number may change unseen in the format before
        except TorchFileError as error:
            assert "w.pth" in str(error)

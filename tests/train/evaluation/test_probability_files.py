"""Files of probabilities: read back as written, whole or not there, and known again."""

from __future__ import annotations

import resource
import zipfile
from pathlib import Path

import numpy as np
import pytest

from train.evaluation.probability_files import is_probability_file, probability_file

NAMES = ("road", "sky, “blue”")


def write(path: Path, values: np.ndarray) -> None:
    with probability_file(path, values.shape[:2], NAMES) as add:
        add(values[:3])
        add(values[3:])


@pytest.fixture
def values(rng: np.random.Generator) -> np.ndarray:
    first = rng.random((7, 5), np.float32)
    return np.stack([first, 1 - first], axis=-1)


def test_file_is_what_numpy_reads(tmp_path: Path, values: np.ndarray) -> None:
    path = tmp_path / "a.npz"
    write(path, values)
    with np.load(path, allow_pickle=False) as file:
        assert set(file) == {"probabilities", "class_names"}
        found = file["probabilities"]
        assert file["class_names"].tolist() == list(NAMES)
    assert found.dtype == np.float16 and found.shape == (7, 5, 2)
    np.testing.assert_array_equal(found, values.astype(np.float16))
    assert [one.name for one in tmp_path.iterdir()] == ["a.npz"]
    first = path.read_bytes()
    write(path, values)
    assert path.read_bytes() == first  # equal predictions are equal files


@pytest.mark.parametrize(
    "change", ["flipped", "cut", "grown", "saved", "empty", "link"]
)
def test_file_that_was_changed_is_anothers(
    tmp_path: Path, values: np.ndarray, change: str
) -> None:
    path = tmp_path / "a.npz"
    write(path, values)
    assert is_probability_file(path)
    content = path.read_bytes()
    if change == "flipped":
        for place in range(0, len(content), 7):
            broken = bytearray(content)
            broken[place] ^= 1
            path.write_bytes(broken)
            assert not is_probability_file(path)
    elif change == "cut":
        path.write_bytes(content[:40] + content[41:])
    elif change == "grown":
        path.write_bytes(b"x" + content)
    elif change == "saved":
        with np.load(path) as file:
            np.savez_compressed(path, **{name: file[name] for name in file})
        with zipfile.ZipFile(path, "a") as archive:  # as one that keeps the comment
            archive.comment = content[-18:]
    elif change == "empty":
        path.write_bytes(b"")
    else:
        path.rename(tmp_path / "b.npz")
        path.symlink_to(tmp_path / "b.npz")
    assert not is_probability_file(path)
    assert not is_probability_file(tmp_path)


@pytest.mark.parametrize("disk", [True, False])
def test_file_is_whole_or_not_there(
    tmp_path: Path, rng: np.random.Generator, disk: bool
) -> None:
    path, noise = tmp_path / "a.npz", rng.random((1 << 15, 3, 2))
    path.write_text("before")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    if disk:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(OSError if disk else KeyError) as raised:
            with probability_file(path, (1 << 15, 3), NAMES) as add:
                add(noise)
                if not disk:
                    raise KeyError
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    if disk:
        assert getattr(raised.value, "filename", None) == str(path)
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["a.npz"]

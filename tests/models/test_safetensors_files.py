"""Files of safetensors that this project did not write: refused by key."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.weights import WeightsError, read_header, read_weights, write_weights

from .checkpoints import storages, table, tensors, write_zip


def write_safetensors(path: Path, kind: str, shape: list[int], size: int) -> Path:
    array = {"dtype": kind, "shape": shape, "data_offsets": [0, size]}
    header = json.dumps({"a.kernel": array}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))
    return path


@pytest.mark.parametrize(
    ("kind", "shape", "size"),
    [
        ("F8_E4M3", [8], 8),
        ("F8_E5M2", [8], 8),
        ("F8_E8M0", [8], 8),
        ("F4", [8], 4),
        ("F32", [0, 2**62], 0),
        ("F32", [1] * 100, 4),
    ],
)
def test_array_that_numpy_has_not_is_named(
    tmp_path: Path, kind: str, shape: list[int], size: int
) -> None:
    path = write_safetensors(tmp_path / "w.safetensors", kind, shape, size)
    assert read_header(path).keys == ("a.kernel",)
    with pytest.raises(WeightsError) as raised:
        read_weights(path)
    said = str(raised.value)
    assert said.startswith(f"{path}: a.kernel, of the kind {kind} and the shape [")
    assert len(said) < 300 + len(str(path)) and "\n" not in said


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_arrays_are_those_of_the_header_that_was_read(
    tmp_path: Path, suffix: str
) -> None:
    """Of a file that is exchanged meanwhile, they would be taken for what it said."""
    path = tmp_path / f"w{suffix}"

    def exchange(key: str, classes: str) -> None:
        arrays = {key: np.ones(2, np.float32)}
        if suffix == ".pth":
            write_zip(path, table({"model": tensors(arrays)}), storages(arrays))
        else:
            write_weights(arrays, path, {"class_names": classes})

    exchange("a.kernel", "sky, road")
    header = read_header(path)
    assert list(read_weights(path, header)) == ["a.kernel"]
    exchange("b.kernel", "sky, road")
    with pytest.raises(WeightsError, match=f"^{path} has changed since its header was"):
        read_weights(path, header)
    assert list(read_weights(path)) == ["b.kernel"]
    if suffix == ".safetensors":
        exchange("a.kernel", "road, sky")
        with pytest.raises(WeightsError, match="has changed"):
            read_weights(path, header)


def test_other_kinds_are_read(tmp_path: Path) -> None:
    for kind, size in (("BF16", 16), ("BOOL", 8), ("C64", 64), ("U64", 64)):
        path = write_safetensors(tmp_path / "w.safetensors", kind, [8], size)
        assert read_weights(path)["a.kernel"].shape == (8,)

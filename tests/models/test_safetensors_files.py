"""Files of safetensors that this project did not write: refused by key."""

import json
from pathlib import Path

import pytest

from models.weights import WeightsError, read_header, read_weights


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


def test_other_kinds_are_read(tmp_path: Path) -> None:
    for kind, size in (("BF16", 16), ("BOOL", 8), ("C64", 64), ("U64", 64)):
        path = write_safetensors(tmp_path / "w.safetensors", kind, [8], size)
        assert read_weights(path)["a.kernel"].shape == (8,)

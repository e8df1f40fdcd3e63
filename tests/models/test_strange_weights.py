"""Files of weights from strangers: messages that end, and memory that does not."""

from pathlib import Path

import numpy as np
import pytest

from models.deeplab import DeepLab
from models.weights import WeightsError, load_weights, read_weights

from .test_weights import as_file_of, model

__all__ = ["model"]  # a fixture


def test_long_keys_are_cut_in_messages(model: DeepLab) -> None:
    file = as_file_of("kazuto1011", model) | {"x" * 10**6: np.zeros(1, np.float32)}
    with pytest.raises(WeightsError, match="unexpected: x+…$") as raised:
        load_weights(model, file)
    assert len(str(raised.value)) < 1000
    many = {f"{'x' * 10**4}{letter}.": np.zeros(1) for letter in "abcdefghijk"}
    for others in (many, as_file_of("kazuto1011", model) | many):
        with pytest.raises(WeightsError) as raised:
            load_weights(model, others)
        assert len(str(raised.value)) < 5000


@pytest.mark.parametrize("start", [b"PK\3\4", b"{}"])
def test_files_larger_than_memory_are_named(
    tmp_path: Path, start: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*arguments: object, **options: object) -> None:
        raise MemoryError

    path = tmp_path / "w.pth"
    path.write_bytes(start)
    monkeypatch.setattr(Path, "read_bytes", read)
    monkeypatch.setattr("models.weights.safe_open", read)
    with pytest.raises(WeightsError, match=f"{path} takes more memory than there is"):
        read_weights(path)

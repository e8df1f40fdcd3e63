"""Where TFDS's sets are prepared while tests run."""

from pathlib import Path

import pytest
import tensorflow_datasets as tfds


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of prepared sets, in place of the user's."""
    root = tmp_path / "tensorflow_datasets"
    root.mkdir()
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(root))
    return root

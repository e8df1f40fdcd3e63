"""What is converted while tests run: exports, and where TFDS's sets are prepared."""

import unicodedata
from pathlib import Path
from typing import Any

import pytest
import tensorflow_datasets as tfds

from . import coco_files, test_label_studio


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """COCO annotations in one file."""
    coco_files.write_alone(tmp_path / "export")
    return tmp_path / "export"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An export of Label Studio."""
    test_label_studio.write_export(tmp_path / "export")
    return tmp_path / "export"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of prepared sets, in place of the user's."""
    root = tmp_path / "tensorflow_datasets"
    root.mkdir()
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(root))
    return root


ACCENTS = "\u0301\u0316"  # on one letter by the thousand, hours to put in one form


@pytest.fixture
def no_forms_of_accents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has what puts texts in one form of Unicode fail of `ACCENTS`."""
    normalize: Any = unicodedata.normalize

    def of_others(form: str, text: str) -> str:
        assert ACCENTS not in text
        return normalize(form, text)

    monkeypatch.setattr(unicodedata, "normalize", of_others)

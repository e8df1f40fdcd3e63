"""PNGs whose pixels are not those of their checksums, which Pillow does not compare."""

from __future__ import annotations

import io
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data.image_files import opened
from train.data.images import read_image, read_mask

Read = Callable[..., np.ndarray]

MASK = np.arange(48, dtype=np.uint8).reshape(6, 8)
READERS: list[Read] = [read_image, read_mask]


def png(**options: int) -> bytearray:
    file = io.BytesIO()
    Image.fromarray(MASK).save(file, "PNG", **options)
    return bytearray(file.getvalue())


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("whole", [False, True])
def test_a_changed_checksum_is_seen(tmp_path: Path, read: Read, whole: bool) -> None:
    content, path = png(), tmp_path / "a.png"
    at = content.index(b"IDAT")
    length = int.from_bytes(content[at - 4 : at])
    content[at + 4 + length + 1] ^= 1 - whole
    path.write_bytes(content)
    with opened(path) as image:  # as Pillow reads it
        np.testing.assert_array_equal(np.asarray(image), MASK)
    if whole:
        assert read(path).shape[:2] == MASK.shape
        return
    for source in (path, bytes(content)):
        with pytest.raises(UserError, match="its pixels differ from their checksum"):
            read(source)


@pytest.mark.parametrize("read", READERS)
def test_pixels_in_several_chunks_are_read(tmp_path: Path, read: Read) -> None:
    rng = np.random.default_rng(0)
    large = rng.integers(0, 250, (400, 400), np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(large).save(path)
    assert path.read_bytes().count(b"IDAT") > 1
    assert (read(path).reshape(400, 400, -1)[..., 0] == large).all()


@pytest.mark.parametrize("read", READERS)
def test_a_png_begins_with_its_size(read: Read) -> None:
    content = png()
    text = b"tEXta\0b"
    first = (len(text) - 4).to_bytes(4) + text + zlib.crc32(text).to_bytes(4)
    content[8:8] = first
    with pytest.raises(UserError, match="a PNG begins with its size"):
        read(bytes(content))


def test_doubts_of_pillow_are_not_told() -> None:
    warn = (
        "import warnings, train.data.image_files; "
        "warnings.warn_explicit('doubt', UserWarning, 'f', 1, module='PIL.Tiff'); "
        "warnings.warn_explicit('other', UserWarning, 'f', 1, module='else')"
    )
    found = subprocess.run(
        [sys.executable, "-W", "default", "-c", warn],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        timeout=100,
    )
    assert "other" in found.stderr and "doubt" not in found.stderr

"""The size that is looked at before a file is decoded is the size that is decoded."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data import image_files
from train.data.image_files import FORMATS, limit_pixels
from train.data.images import read_image, read_mask, upright_size

LARGE, SMALL = 64, 8  # pixels a side
LIMIT = SMALL**2


@pytest.fixture(autouse=True)
def same_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the limit of the process back."""
    monkeypatch.setattr(image_files, "_limit", image_files.PIXEL_LIMIT)


def saved(format: str, side: int, **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), (90, 120, 60)).save(file, format, **options)
    return file.getvalue()


def frame_of(jpeg: bytes) -> tuple[int, int]:
    """Returns where the part of a JPEG that says its size begins and ends."""
    at = max(jpeg.find(b"\xff\xc0"), jpeg.find(b"\xff\xc2"))
    return at, at + 2 + int.from_bytes(jpeg[at + 2 : at + 4])


def jpegs() -> dict[str, bytes]:
    """Returns JPEGs of two sizes, of which Pillow takes the last."""
    found = {}
    for progressive in (False, True):
        large = saved("JPEG", LARGE, progressive=progressive)
        small = saved("JPEG", SMALL, progressive=progressive)
        at, end = frame_of(large)
        other = small[slice(*frame_of(small))]
        kind = "progressive JPEG" if progressive else "JPEG"
        found[f"{kind}, small behind"] = large[:end] + other + large[end:]
        found[f"{kind}, large behind"] = large[:at] + other + large[at:]
        found[f"{kind}, small alone"] = large[:at] + other + large[end:]
    return found


def webps() -> dict[str, bytes]:
    """Returns WebPs whose canvas is smaller than what is on it."""
    side = (SMALL - 1).to_bytes(3, "little")
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + 2 * side
    moving = canvas[:8] + b"\2" + canvas[9:] + b"ANIM" + struct.pack("<I", 6) + bytes(6)
    found = {}
    for lossless in (False, True):
        pixels = saved("WEBP", LARGE, lossless=lossless)[12:]
        whole = (LARGE - 1).to_bytes(3, "little")
        frame = bytes(6) + 2 * whole + bytes(4) + pixels
        frame = b"ANMF" + struct.pack("<I", len(frame)) + frame
        for name, content in (("", canvas + pixels), (" frame", moving + frame)):
            head = b"RIFF" + struct.pack("<I", 4 + len(content)) + b"WEBP"
            kind = f"{'lossless' if lossless else 'lossy'} WebP{name}"
            found[kind] = head + content
    return found


def others() -> dict[str, bytes]:
    """Returns files of other formats whose heads say less than there is."""
    png = bytearray(saved("PNG", LARGE))
    png[16:24] = struct.pack(">II", SMALL, SMALL)
    png[29:33] = struct.pack(">I", zlib.crc32(png[12:29]))
    bmp = bytearray(saved("BMP", LARGE))
    bmp[18:26] = struct.pack("<ii", SMALL, -SMALL)
    found = {"PNG": png, "BMP": bmp}
    for compression in ("raw", "tiff_lzw"):
        tiff = bytearray(saved("TIFF", LARGE, compression=compression))
        for tag in (256, 257):
            at = tiff.find(struct.pack("<HHI", tag, 4, 1))
            tiff[at + 8 : at + 12] = struct.pack("<I", SMALL)
        found[f"TIFF {compression}"] = tiff
    return {name: bytes(content) for name, content in found.items()}


FILES = jpegs() | webps() | others()
READ = ("JPEG, small alone", "progressive JPEG, small alone", "PNG", "BMP")


@pytest.mark.parametrize("name", FILES)
def test_no_more_is_decoded_than_the_head_says(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(FILES[name])
    limit_pixels(LIMIT)
    if name in READ:  # whose head alone says what there is
        assert upright_size(path) == (SMALL, SMALL)
        assert read_image(path).shape == (SMALL, SMALL, 3)
        return
    said = "more than the 64 of|cannot be decoded|holds several"
    with pytest.raises(UserError, match=said):
        read_image(path)


def test_each_format_is_tried() -> None:
    for format in set(FORMATS.values()):
        assert any(format in name for name in FILES)


def test_animations_of_one_frame_are_no_pictures(tmp_path: Path) -> None:
    """Whose frame may be smaller than the picture, which Pillow decodes by it."""
    path = tmp_path / "a.png"
    Image.fromarray(np.arange(64 * 64).reshape(64, 64).astype(np.uint8)).save(path)
    whole = path.read_bytes()
    for kind, content in (
        (b"acTL", struct.pack(">II", 1, 0)),
        (b"fcTL", struct.pack(">IIIIIHHBB", 0, 32, 32, 4, 4, 1, 1, 0, 0)),
        (b"fdAT", bytes(4) + zlib.compress(bytes(100))),
    ):
        check = struct.pack(">I", zlib.crc32(kind + content))
        chunk = struct.pack(">I", len(content)) + kind + content + check
        for at in (33, len(whole) - 12):
            path.write_bytes(whole[:at] + chunk + whole[at:])
            for reader in (read_image, read_mask, upright_size):
                with pytest.raises(UserError, match=r"a\.png (holds several|cannot)"):
                    reader(path)
    path.write_bytes(whole)
    assert read_mask(path).shape == (64, 64)


@pytest.mark.parametrize("flag", [0, 2, 0x12])
def test_webp_of_one_frame_is_no_picture(tmp_path: Path, flag: int) -> None:
    """Whose frame may be smaller than the picture, and hide that it is transparent."""
    path, pixels = tmp_path / "a.webp", saved("WEBP", SMALL, lossless=True)[12:]
    side = (SMALL - 1).to_bytes(3, "little")
    frame = bytes(6) + 2 * side + bytes(4) + pixels
    frame = b"ANMF" + struct.pack("<I", len(frame)) + frame
    moving = b"ANIM" + struct.pack("<I", 6) + bytes(6) + frame
    head = b"VP8X" + struct.pack("<I", 10) + bytes([flag, 0, 0, 0]) + 2 * side
    for parts in (head + moving, head + pixels + moving, head + pixels):
        path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(parts)) + b"WEBP" + parts)
        if parts == head + pixels and not flag:
            assert read_image(path).shape == (SMALL, SMALL, 3)
            continue
        for reader in (read_image, upright_size):
            with pytest.raises(UserError, match=r"a\.webp (holds several|cannot)"):
                reader(path)

"""Files of images that are careless or made to do harm: each is refused by name."""

from __future__ import annotations

import io
import os
import re
import socket
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps, JpegImagePlugin, PngImagePlugin

from train.common.errors import UserError
from train.data import image_files
from train.data.image_files import FORMATS, limit_pixels, opened
from train.data.images import orientation, read_image, read_mask, upright_size

DOCS = Path(__file__).parents[3] / "docs"
PIXELS = np.arange(6 * 4 * 3, dtype=np.uint8).reshape(6, 4, 3)
PHOTO = Image.fromarray(PIXELS)
READERS: Any = (read_image, read_mask, upright_size, orientation)

Read = Callable[[Path], Any]


@pytest.fixture(autouse=True)
def same_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the limit of the process back."""
    monkeypatch.setattr(image_files, "_limit", image_files.PIXEL_LIMIT)


@pytest.mark.parametrize("page", ["prediction.md", "data.md"])
def test_documentation_lists_the_formats(page: str) -> None:
    *others, last = FORMATS.values()
    text = " ".join((DOCS / page).read_text().split())
    assert f"{', '.join(others)} and {last}" in text


@pytest.mark.parametrize("format", FORMATS)
def test_formats_are_told_by_content(tmp_path: Path, format: str) -> None:
    if format not in Image.SAVE:
        pytest.skip(f"Pillow was built without {format}")
    path = tmp_path / "a.txt"
    PHOTO.save(path, format)
    assert read_image(path).shape == PIXELS.shape
    assert upright_size(path) == (6, 4)


@pytest.mark.parametrize("format", ["EPS", "ICO", "TGA", "PDF", "PCX", "SGI"])
def test_other_formats_are_not_read(tmp_path: Path, format: str) -> None:
    path = tmp_path / "a.png"
    PHOTO.save(path, format)
    with pytest.raises(UserError, match=r"a\.png .* none of JPEG, PNG.* and WebP\)"):
        read_image(path)


UNMEASURED = {
    **dict.fromkeys((b"\0\0\0\x1cftyp" + b for b in (b"avif", b"heic")), "AVIF"),
    **dict.fromkeys((b"\0\0\0\x0cjP  \r\n", b"\xff\x4f\xff\x51"), "JPEG 2000"),
    **dict.fromkeys((b"GIF87a", b"GIF89a"), "GIF"),
    **dict.fromkeys((b"P1\n", b"P3 ", b"P5\r", b"P6#", b"P7\n", b"Pf\n"), "PPM, or"),
}


@pytest.mark.parametrize("head", UNMEASURED)
@pytest.mark.parametrize("read", READERS)
def test_what_decoding_alone_measures(tmp_path: Path, read: Read, head: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(head + bytes(100))
    with pytest.raises(
        UserError, match=f"png is {UNMEASURED[head]}.*Convert it to PNG"
    ):
        read(path)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (pipe, "a pipe"),
        (listening, "a socket"),
        (device, "a device"),
        (Path.mkdir, "a folder"),
    ],
)
def test_what_is_no_file_is_refused_at_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    read: Read,
    make: Callable[[Path], None],
    kind: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "a.png")
    with pytest.raises(UserError, match=rf"a\.png is {kind}, and is not read"):
        read(tmp_path / "a.png")


def test_pipe_that_takes_the_place_of_a_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, file = tmp_path / "a.png", tmp_path / "b.png"
    os.mkfifo(path)
    file.touch()
    known = os.stat(file)
    monkeypatch.setattr(os, "stat", lambda *place, **options: known)
    with pytest.raises(UserError, match="is a pipe"):
        read_image(path)


ERRORS = [
    struct.error("short"),
    KeyError("x"),
    AttributeError("none"),
    OverflowError("large"),
    zlib.error("bad"),
    RecursionError("deep"),
    MemoryError(),
    UserWarning("odd"),
    AssertionError(),
    IndexError("3"),
    EOFError(),
    NotImplementedError("kind"),
    TypeError("kind"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("read", [read_image, read_mask])
def test_whatever_a_decoder_raises_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Read, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    PHOTO.save(tmp_path / "a.png")
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    with pytest.raises(UserError, match=r"a\.png cannot be decoded \(.+\)\. Replace"):
        read(tmp_path / "a.png")


def test_control_characters_of_a_file_are_escaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("\x1b[2Jerror: done\n")

    PHOTO.save(tmp_path / "a.png")
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    with pytest.raises(UserError, match=r"\\x1b\[2Jerror: done\\n"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_images_are_upright(tmp_path: Path, turned: int, format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = turned
    path = tmp_path / "a"
    PHOTO.save(path, format, exif=exif)
    with Image.open(path) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
    np.testing.assert_array_equal(read_image(path), expected)
    assert upright_size(path) == expected.shape[:2]
    assert orientation(path) == turned


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0garbage, and no TIFF",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x04abc\0\0\0\0\0",  # text
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x04006\0\0\0\0\0",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x07\0\0\0\x04006\x20\0\0\0\0",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\xff\xff\0\0\0\0\0\0",
    ],
    ids=["garbage", "short", "text", "digits", "bytes", "65535"],
)
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.filterwarnings("ignore")  # of Pillow, about EXIF
def test_broken_exif_turns_nothing(tmp_path: Path, exif: bytes, format: str) -> None:
    path = tmp_path / "a"
    PHOTO.save(path, format, exif=exif)
    assert read_image(path).shape == PIXELS.shape
    assert upright_size(path) == (6, 4)
    assert orientation(path) == 1
    if format == "PNG":
        Image.fromarray(PIXELS[..., 0]).save(path, format, exif=exif)
        np.testing.assert_array_equal(read_mask(path), PIXELS[..., 0])


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_several_pictures_are_refused(tmp_path: Path, format: str) -> None:
    if format not in Image.SAVE_ALL:
        pytest.skip(f"Pillow was built without {format}")
    path = tmp_path / "a.png"
    others = [Image.fromarray(255 - PIXELS)]
    PHOTO.save(path, format, save_all=True, append_images=others)
    for read in READERS:
        with pytest.raises(UserError, match=r"a\.png .* several pictures.*Save"):
            read(path)
    PHOTO.save(path, format, save_all=True)
    assert read_image(path).shape == PIXELS.shape


def test_photographs_of_phones_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    PHOTO.save(path, "MPO", save_all=True, append_images=[PHOTO.resize((2, 3))])
    with Image.open(path) as image:
        assert image.format == "MPO"
    assert read_image(path).shape == PIXELS.shape


def test_smaller_copies_in_a_tiff_are_no_other_pictures(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    small = PHOTO.resize((2, 3))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    PHOTO.save(path, "TIFF", save_all=True, append_images=[small])
    np.testing.assert_array_equal(read_image(path), PIXELS)
    assert upright_size(path) == (6, 4)


@pytest.mark.parametrize("read", [*READERS, lambda path: read_image(path.read_bytes())])
def test_every_decoder_has_the_limit(tmp_path: Path, read: Read) -> None:
    path = tmp_path / "a.png"
    PHOTO.convert("L").save(path)
    limit_pixels(23)
    with pytest.raises(UserError, match=r"has 4×6 = 24 pixels, more than the 23 of"):
        read(path)
    limit_pixels(24)
    read(path)


def png_with(kind: bytes, content: bytes) -> bytes:
    """Returns a PNG that has a chunk of a kind after its head."""
    file = io.BytesIO()
    PHOTO.convert("L").save(file, "PNG")
    whole, chunk = file.getvalue(), kind + content
    check = struct.pack(">I", zlib.crc32(chunk))
    return whole[:33] + struct.pack(">I", len(content)) + chunk + check + whole[33:]


@pytest.mark.parametrize(
    ("kind", "head"),
    [(b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0"), (b"iCCP", b"a\0\0")],
)
def test_packed_metadata_are_bounded(tmp_path: Path, kind: bytes, head: bytes) -> None:
    bomb = zlib.compress(bytes(100_000_000), 9)
    path = tmp_path / "a.png"
    path.write_bytes(png_with(kind, head + bomb))
    tracemalloc.start()
    try:
        for read in READERS:
            try:
                read(path)
            except UserError as error:
                assert re.search(r"a\.png cannot be decoded", str(error))
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_error_of_the_system_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    PHOTO.save(tmp_path / "a.jpg")
    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "load", fail)
    with pytest.raises(UserError, match=r"a\.jpg cannot be read \(Input/output"):
        read_image(tmp_path / "a.jpg")


def test_refusals_of_ours_stay_as_they_are(tmp_path: Path) -> None:
    PHOTO.save(tmp_path / "a.png")
    with pytest.raises(UserError, match="^ours$"), opened(tmp_path / "a.png"):
        raise UserError("ours")

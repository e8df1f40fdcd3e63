"""Which way up images are: by the number of their EXIF, and by nothing else."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from train.common.errors import UserError
from train.data.forms import Form
from train.data.images import orientation, read_image, read_mask, upright_size

STORED = np.repeat(np.arange(6 * 4, dtype=np.uint8).reshape(6, 4, 1), 3, axis=-1)
KEYWORD = "XML:com.adobe.xmp"


def xmp(number: int) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>'
        f'<rdf:Description tiff:Orientation="{number}"/></rdf:RDF></x:xmpmeta>'
    ).encode()


def exif(tags: Mapping[int, int | str]) -> bytes:
    made = Image.Exif()
    made.update(tags)
    return made.tobytes()


def text_of(number: int) -> PngInfo:
    text = PngInfo()
    text.add_itxt(KEYWORD, xmp(number).decode())
    return text


def save(path: Path, format: str, number: int, own: bytes) -> None:
    """Writes an image whose XMP has a number, and whose EXIF is what is given."""
    ways: dict[str, dict[str, object]] = {
        "JPEG": {"xmp": xmp(number), "quality": 100},
        "PNG": {"pnginfo": text_of(number)},
        "WEBP": {"xmp": xmp(number), "lossless": True},
        "TIFF": {"tiffinfo": {700: xmp(number)}},
    }
    more = ways[format] | ({"exif": own} if own else {})
    Image.fromarray(STORED).save(path, format, **more)


def looks(path: Path, expected: np.ndarray) -> None:
    np.testing.assert_allclose(read_image(path).astype(int), expected, atol=2)
    assert upright_size(path) == expected.shape[:2]


@pytest.mark.parametrize("own", [b"", exif({ExifTags.Base.Software: "a"})])
@pytest.mark.parametrize("number", [3, 6])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_xmp_turns_nothing(
    tmp_path: Path, format: str, number: int, own: bytes
) -> None:
    """Browsers, in which masks are drawn, turn by EXIF alone."""
    path = tmp_path / "a.png"
    save(path, format, number, own)
    looks(path, STORED)
    assert orientation(path) == 1
    if format == "PNG":
        np.testing.assert_array_equal(read_mask(path), STORED[..., 0])


@pytest.mark.parametrize("number", [3, 6])
def test_xmp_turns_no_tiff(tmp_path: Path, number: int) -> None:
    path = tmp_path / "a.tif"
    save(path, "TIFF", number, b"")
    looks(path, STORED)
    np.testing.assert_array_equal(read_image(path, Form(3, 8)), STORED)
    assert orientation(path) == 1


def test_xmp_behind_the_pixels_turns_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(STORED).save(path)
    content = path.read_bytes()
    chunk = b"iTXt" + KEYWORD.encode() + bytes(5) + xmp(3)
    packed = (len(chunk) - 4).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4)
    path.write_bytes(content[:-12] + packed + content[-12:])
    looks(path, STORED)
    np.testing.assert_array_equal(read_mask(path), STORED[..., 0])
    np.testing.assert_array_equal(read_image(path, Form(3, 8)), STORED)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_turns_whatever_xmp_says(tmp_path: Path, format: str) -> None:
    path, number = tmp_path / "a.png", ExifTags.Base.Orientation
    if format == "TIFF":
        tags = {700: xmp(3), int(number): 6}
        Image.fromarray(STORED).save(path, format, tiffinfo=tags)
    else:
        save(path, format, 3, exif({number: 6}))
    looks(path, np.rot90(STORED, -1))


def profile_of(own: bytes) -> str:
    """EXIF in a PNG's text."""
    return f"\nexif\n{len(own):8}\n{own.hex()}\n"


@pytest.mark.parametrize("behind", [False, True])
def test_exif_of_a_png_turns_wherever_it_stands(tmp_path: Path, behind: bool) -> None:
    own = exif({ExifTags.Base.Orientation: 3})
    path = tmp_path / "a.png"
    if behind:
        Image.fromarray(STORED).save(path)
        content = path.read_bytes()
        chunk = b"eXIf" + own[6:]
        packed = (len(chunk) - 4).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4)
        path.write_bytes(content[:-12] + packed + content[-12:])
    else:
        text = PngInfo()
        text.add_text("Raw profile type exif", profile_of(own), zip=True)
        Image.fromarray(STORED).save(path, pnginfo=text)
    looks(path, np.rot90(STORED, 2))
    assert orientation(path) == 3


def test_sizes_take_no_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a text stands behind the pixels, too, as ImageMagick writes dates."""
    path = tmp_path / "a.png"
    Image.fromarray(STORED).save(path)
    content, chunk = path.read_bytes(), b"tEXtdate:create\0today"
    packed = (len(chunk) - 4).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4)
    for kind in ("PIL.ImageFile.ImageFile", "PIL.Image.Image"):
        monkeypatch.delattr(f"{kind}.load")
    for whole in (content, content[:-12] + packed + content[-12:]):
        path.write_bytes(whole)
        assert upright_size(path) == STORED.shape[:2]


@pytest.mark.parametrize(
    ("kind", "count", "turned"),
    [(3, 1, 6), (3, 2, 1), (4, 1, 1), (1, 1, 1), (5, 1, 1), (9, 1, 1)],
)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_orientation_is_one_number_of_16_bits(
    tmp_path: Path, format: str, order: str, kind: int, count: int, turned: int
) -> None:
    """As browsers read it."""
    number = (
        struct.pack(order + "I", 6) if kind == 4 else struct.pack(order + "HH", 6, 0)
    )
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    entry = struct.pack(order + "HHHI", 1, 274, kind, count) + number
    path = tmp_path / "a"
    Image.fromarray(STORED).save(
        path, format, exif=b"Exif\0\0" + head + entry + bytes(4)
    )
    assert orientation(path) == turned
    assert upright_size(path) == (STORED.shape[:2] if turned == 1 else (4, 6))


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_directories_of_a_tiff_that_are_nowhere_harm_nothing(
    tmp_path: Path, compression: str
) -> None:
    path = tmp_path / "a.tif"
    tags = {ExifTags.Base.Orientation: 6, ExifTags.IFD.Exif: 9, ExifTags.IFD.GPSInfo: 9}
    Image.fromarray(STORED).save(path, "TIFF", tiffinfo=tags, compression=compression)
    content = bytearray(path.read_bytes())
    for tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        place = content.index(struct.pack("<HHI", tag, 4, 1))
        struct.pack_into("<HHIi", content, place, tag, 9, 1, -7)  # with a sign
    path.write_bytes(content)
    looks(path, np.rot90(STORED, -1))


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("international", [False, True])
def test_a_png_has_one_text_of_exif(
    tmp_path: Path, zipped: bool, international: bool
) -> None:
    """Pillow takes the last of two."""
    path, text = tmp_path / "a.png", PngInfo()
    first, last = (profile_of(exif({ExifTags.Base.Orientation: it})) for it in (6, 1))
    text.add_text("Raw profile type exif", first, zip=zipped)
    add = text.add_itxt if international else text.add_text
    add("Raw profile type exif", last)
    Image.fromarray(STORED).save(path, pnginfo=text)
    for read in (read_image, read_mask, upright_size, orientation):
        with pytest.raises(UserError, match=r"a\.png .*a PNG has one text of EXIF"):
            read(path)

"""Images of any channels and bits are read exactly, and refused by name."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data.channels import decode_array, encode_array
from train.data.deep_png import deep_pixels
from train.data.forms import Form, shown_image
from train.data.images import Example, pad, read_image, rescale
from train.evaluation.input_sizes import sizes_of

from .channel_files import png, tiff
from .png_files import write_png


def drawn(channels: int, dtype: Any, rng: np.random.Generator) -> np.ndarray:
    """Returns random values beside smooth ones, which filters treat differently."""
    values = rng.integers(0, 256 ** np.dtype(dtype).itemsize, (37, 41, channels))
    values[10:] = np.arange(41)[:, None] * 1001 + np.arange(channels) * 77
    return values.astype(dtype)


def read(tmp_path: Path, content: bytes, form: Form, name: str = "a.png") -> np.ndarray:
    path = tmp_path / name
    path.write_bytes(content)
    return read_image(path, form)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_is_read_exactly(
    channels: int, dtype: Any, rng: np.random.Generator, tmp_path: Path
) -> None:
    pixels = drawn(channels, dtype, rng)
    form = Form(channels, 8 * pixels.dtype.itemsize)
    found = read(tmp_path, png(pixels), form)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"order": ">", "rows": 37},
        {"deflate": True},
        {"deflate": True, "predictor": True, "order": ">"},
        {"deflate": True, "predictor": True, "tile": 16},
        {"tile": 32},
        {"separate": True},
        {"separate": True, "deflate": True, "predictor": True, "tile": 16},
    ],
    ids=lambda how: " ".join(how) or "strips",
)
def test_tiff_is_read_exactly(
    channels: int, dtype: Any, how: Any, rng: np.random.Generator, tmp_path: Path
) -> None:
    pixels = drawn(channels, dtype, rng)
    form = Form(channels, 8 * pixels.dtype.itemsize)
    found = read(tmp_path, tiff(pixels, **how), form, "a.tif")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"tiffinfo": {317: 2}},
        *[
            {"compression": codec, "tiffinfo": {317: predictor}}
            for codec in ("tiff_lzw", "lzma", "zstd", "packbits")
            for predictor in (1, 2)
        ],
    ],
    ids=str,
)
def test_tiff_of_another_writer_is_read_alike(
    mode: str, how: dict[str, Any], rng: np.random.Generator, tmp_path: Path
) -> None:
    deep = mode == "I;16"
    pixels = drawn(1 if deep else len(mode), np.uint16 if deep else np.uint8, rng)
    picture = Image.fromarray(pixels.squeeze(), mode if mode == "CMYK" else None)
    options = {"compression": "tiff_adobe_deflate"} | how
    picture.save(tmp_path / "a.tif", **options)
    form = Form(pixels.shape[-1], 8 * pixels.dtype.itemsize)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", form), pixels)


RGBA, DEEP = Form(4, 8), Form(1, 16)


@pytest.mark.parametrize(
    "pixels, form, said",
    [
        (np.zeros((4, 5, 3), np.uint8), RGBA, "3 channels of 8 bits.*4 channels of 8"),
        (np.zeros((4, 5, 4), np.uint16), RGBA, "4 channels of 16.*--bit-depth 16"),
        (np.zeros((4, 5, 1), np.uint8), DEEP, "1 channel of 8 bits.*--bit-depth 16"),
    ],
)
def test_images_of_another_form_are_refused(
    pixels: np.ndarray, form: Form, said: str, tmp_path: Path
) -> None:
    for name, content in (("a.png", png(pixels)), ("b.tif", tiff(pixels))):
        with pytest.raises(UserError, match=f"{name}.*{said}"):
            read(tmp_path, content, form, name)


def test_palettes_have_no_channels(tmp_path: Path) -> None:
    Image.new("P", (4, 5)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a.png is a PNG \(mode P.*4 channels of 8"):
        read_image(tmp_path / "a.png", RGBA)


GRAY = np.arange(20, dtype=np.uint8).reshape(4, 5)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_levels_of_few_bits_are_not_stretched(depth: int, tmp_path: Path) -> None:
    path = write_png(tmp_path / "a.png", GRAY & (2**depth - 1), depth=depth)
    if depth == 8:
        np.testing.assert_array_equal(read_image(path, Form(1, 8))[..., 0], GRAY)
        return
    with pytest.raises(UserError, match=f"a.png is a PNG .* {depth} bits.*as one of"):
        read_image(path, Form(1, 8))


@pytest.mark.parametrize("format", ["WEBP", "BMP"])
def test_only_formats_that_keep_levels_have_channels(
    format: str, tmp_path: Path
) -> None:
    if format not in Image.SAVE:
        pytest.skip(f"Pillow was built without {format}")
    path, form = tmp_path / "a.png", Form(1, 8)
    picture = Image.fromarray(GRAY)
    if format == "WEBP":
        picture, form = picture.convert("RGBA"), RGBA
    picture.save(path, format)
    if format == "BMP":
        np.testing.assert_array_equal(read_image(path, form)[..., 0], GRAY)
        return
    with pytest.raises(UserError, match=f"a.png is a {format} .*PNG and TIFF"):
        read_image(path, form)


def test_inks_of_a_photograph_are_no_channels(tmp_path: Path) -> None:
    Image.new("CMYK", (4, 5)).save(tmp_path / "a.png", "JPEG")
    with pytest.raises(UserError, match=r"a.png is a JPEG \(mode CMYK"):
        read_image(tmp_path / "a.png", RGBA)


def test_deep_images_name_the_option_where_eight_bits_are_read(tmp_path: Path) -> None:
    content = png(np.zeros((4, 5, 1), np.uint16))
    with pytest.raises(UserError, match="a.png has more than 8 bits.*--bit-depth 16"):
        read(tmp_path, content, Form())


def test_what_pillow_would_pass_over_is_refused_of_a_deep_png() -> None:
    pixels = np.zeros((4, 5, 1), np.uint16)
    with pytest.raises(UserError, match="a.png is an interlaced PNG of 16 bits"):
        deep_pixels(png(pixels, interlaced=1), "a.png")
    short = bytearray(png(pixels))
    short[23] += 1  # a row more than there is
    with pytest.raises(UserError, match="a.png has fewer pixels than it says"):
        deep_pixels(bytes(short), "a.png")


PIXELS = np.arange(37 * 41 * 4, dtype=np.uint16).reshape(37, 41, 4)


@pytest.mark.parametrize(
    "how, said",
    [
        ({"tags": {259: [7]}}, "compression.*deflate"),
        ({"tags": {262: [0]}}, "a TIFF whose 0 is white.*0 for black"),
        ({"tags": {262: [3]}}, "palette.*Save it as RGB, gray levels"),
        ({"tags": {339: [3] * 4}}, "whole numbers of 8 or 16 bits"),
        ({"tags": {258: [32] * 4}}, "whole numbers of 8 or 16 bits"),
        ({"tags": {317: [3]}}, "predictor"),
        ({"pages": 2}, "several pictures"),
        ({"tags": {254: [1]}}, "first page is a smaller copy or a mask.*Save that"),
        ({"tags": {255: [2]}}, "first page is a smaller copy"),
        ({"pages": 101, "tags": {254: [1]}}, "more than 99 smaller copies"),
        ({"tags": {256: [10**9]}}, "of --pixel-limit"),
        ({"tile": 16, "tags": {322: [2**20], 323: [2**20]}}, "tiles.*--pixel-limit"),
        ({"tags": {257: [36 * 10**6]}}, "--pixel-limit|parts"),
        ({"tags": {273: []}}, "without entry 273 .strips"),
        ({"tags": {262: []}}, "without entry 262 .photometric"),
        ({"tags": {273: [2**31] * 8}}, "cannot be decoded"),
        ({"tags": {279: [2**31] * 8}}, "part 1 of 8 is not in the file"),
        (
            {"rows": 1, "deflate": True, "tags": {273: [8] * 37, 279: [500] * 37}},
            "more bytes together than the file",
        ),
        ({"tags": {273: [8] * 9, 279: [1640] * 9}}, "names 9 parts, .* makes 8"),
        ({"rows": 20, "tags": {273: [8] * 2, 279: [12_000] * 2}}, "parts"),
        ({"tags": {256: [0]}}, "no pixels"),
    ],
    ids=str,
)
def test_hostile_and_unread_tiffs_are_named(
    how: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=f"(?s)a.tif.*({said})"):
        read(tmp_path, tiff(PIXELS, **how), Form(4, 16), "a.tif")


def test_tiffs_of_random_bytes_are_refused(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    whole = tiff(PIXELS, deflate=True, predictor=True)
    start = struct.unpack("<I", whole[4:8])[0]
    for number in range(300):
        content = bytearray(whole)
        for place in rng.integers(start if number % 2 else 0, len(whole), 3):
            content[place] = rng.integers(256)
        try:
            read(
                tmp_path, bytes(content[: rng.integers(8, 2 * len(whole))]), Form(4, 16)
            )
        except UserError as error:
            assert "a.png" in str(error)


def test_interlaced_and_short_pngs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a.png"):
        read(tmp_path, png(PIXELS, interlaced=1), Form(4, 16))
    content = png(PIXELS)
    with pytest.raises(UserError, match="a.png cannot be decoded"):
        read(tmp_path, content[: len(content) // 2], Form(4, 16))


def test_images_are_turned_as_they_are_seen(tmp_path: Path) -> None:
    found = read(tmp_path, tiff(PIXELS, tags={274: [6]}), Form(4, 16), "a.tif")
    np.testing.assert_array_equal(found, PIXELS[::-1].swapaxes(0, 1))


def test_sizes_are_known_before_images_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for turned, size in ((1, (37, 41)), (6, (41, 37))):
        pixels = np.dstack([PIXELS, PIXELS])
        path.write_bytes(tiff(pixels, tags={274: [turned]}))
        assert sizes_of([path]) == {path: size}
        assert read_image(path, Form(8, 16)).shape[:2] == size
    path.write_bytes(tiff(PIXELS)[:999])
    assert sizes_of([path]) == {}


def test_records_keep_arrays(rng: np.random.Generator) -> None:
    for channels, dtype in ((1, np.uint16), (4, np.uint8), (7, np.uint16)):
        pixels = drawn(channels, dtype, rng)
        found = decode_array(encode_array(pixels))
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, pixels)
    content = encode_array(PIXELS)
    for damaged in (content[:-1], content[:9], content[:14] + b"\x09" + content[15:]):
        with pytest.raises(UserError, match="a prepared record"):
            decode_array(damaged)


def test_images_are_resized_and_padded_in_their_own_depth() -> None:
    level = np.full((20, 30, 4), 40_000, np.uint16)
    example = Example(level, np.zeros((20, 30), np.uint8))
    smaller = rescale(example, 0.5)
    assert smaller.image.shape == (10, 15, 4) and smaller.image.dtype == np.uint16
    assert (smaller.image == 40_000).all()
    padded = pad(smaller, (12, 16), (1, 2, 300, 65_535))
    assert padded.image[11, 15].tolist() == [1, 2, 300, 65_535]


def test_resizing_equals_that_of_rgb(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (20, 30, 4), dtype=np.uint8)
    label = np.zeros((20, 30), np.uint8)
    found = rescale(Example(image, label), 0.7).image[..., :3].astype(int)
    wanted = rescale(Example(image[..., :3].copy(), label), 0.7).image
    assert np.abs(found - wanted).max() <= 1


def test_what_is_shown_is_rgb_of_eight_bits(rng: np.random.Generator) -> None:
    rgb = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    np.testing.assert_array_equal(shown_image(rgb), rgb)
    np.testing.assert_array_equal(shown_image(np.dstack([rgb, rgb])), rgb)
    gray = shown_image(rgb[..., :2])
    np.testing.assert_array_equal(gray, rgb[..., :1].repeat(3, axis=-1))
    deep = shown_image(rgb.astype(np.uint16) * 9 + 1000)
    assert deep.dtype == np.uint8 and deep.min() == 0 and deep.max() == 255
    assert (shown_image(np.full((4, 5, 1), 77, np.uint16)) == 0).all()

"""Masks: what a file of each kind means, and which are refused."""

import io
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from train.common.errors import UserError
from train.data.images import orientation, read_image, read_mask, upright_size
from train.data.palette import colors_of

from .png_files import write_png

SIZE = (9, 7)
COLORS = np.array([(0, 0, 0), (48, 112, 32), (176, 112, 32)], np.uint8)
VOID = (224, 224, 192)


@pytest.fixture
def drawn(rng: np.random.Generator) -> np.ndarray:
    """Indices 0, 1 and 2, and ignored pixels."""
    return rng.choice(np.array([0, 1, 2, 255], np.uint8), SIZE)


@pytest.fixture
def few(rng: np.random.Generator) -> np.ndarray:
    """Indices 0 and 1, which fit in one bit."""
    return rng.integers(0, 2, SIZE, dtype=np.uint8)


def painted(labels: np.ndarray) -> np.ndarray:
    palette = np.full((256, 3), 7, np.uint8)
    palette[: len(COLORS)], palette[255] = COLORS, VOID
    return palette[labels]


def saved(image: Image.Image, path: Path, format: str = "PNG", **more: object) -> Path:
    image.save(path, format=format, **more)
    return path


def test_gray_of_any_depth_is_the_index_stored(tmp_path: Path, few: np.ndarray) -> None:
    for depth in (1, 2, 4, 8, 16):
        path = write_png(tmp_path / f"{depth}.png", few, depth=depth)
        np.testing.assert_array_equal(read_mask(path), few, err_msg=str(depth))
        np.testing.assert_array_equal(read_mask(path, COLORS), few, err_msg=str(depth))


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 2])
def test_opaque_alpha_does_not_change_the_index(
    tmp_path: Path, drawn: np.ndarray, depth: int, channels: int
) -> None:
    pixels = drawn.astype(np.uint16)
    if channels == 2:
        pixels = np.stack([pixels, np.full(SIZE, 2**depth - 1, np.uint16)], axis=-1)
    path = write_png(tmp_path / "mask.png", pixels, depth=depth)
    np.testing.assert_array_equal(read_mask(path), drawn)


def test_gray_in_three_channels_is_the_index(tmp_path: Path, drawn: np.ndarray) -> None:
    gray = Image.fromarray(drawn)
    for mode in ("RGB", "RGBA"):
        path = saved(gray.convert(mode), tmp_path / f"{mode}.png")
        np.testing.assert_array_equal(read_mask(path), drawn)


@pytest.mark.parametrize(
    ("format", "more", "said"),
    [
        ("JPEG", {"quality": 100}, "holds JPEG, which may change the values.*as PNG"),
        ("WEBP", {"quality": 100}, "holds WebP, which may change the values.*as PNG"),
        ("WEBP", {"lossless": True}, "holds WebP, which may change.*as PNG"),
        ("TIFF", {}, "holds TIFF, which is not read as a mask. Save it as a gray"),
        ("BMP", {}, "holds BMP, which is not read as a mask. Save it as a gray"),
        ("GIF", {}, "is GIF: .*to PNG first .a mask with the same values"),
        ("PPM", {}, "is PPM, .*to PNG first .a mask with the same values"),
    ],
)
def test_files_are_judged_by_what_they_hold(
    tmp_path: Path, drawn: np.ndarray, format: str, more: dict[str, object], said: str
) -> None:
    path = saved(Image.fromarray(drawn), tmp_path / "mask.png", format, **more)
    with pytest.raises(UserError, match=f"mask.png {said}"):
        read_mask(path)


@pytest.mark.parametrize("ending", [".jpg", ".png", ".eps"])
@pytest.mark.parametrize("read", [read_image, read_mask, upright_size, orientation])
def test_no_picture_starts_a_program(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    read: Callable[[Path], object],
    ending: str,
) -> None:
    started: list[object] = []
    monkeypatch.setattr(
        "subprocess.Popen", lambda *words, **more: started.append(words)
    )
    path = saved(Image.new("RGB", SIZE), tmp_path / f"a{ending}", "EPS")
    with pytest.raises(
        (UserError, UnidentifiedImageError), match="cannot (be|identify)"
    ):
        read(path)
    assert not started


def test_colors_are_read_by_labelmap(tmp_path: Path, drawn: np.ndarray) -> None:
    image = Image.fromarray(painted(drawn))
    for mode in ("RGB", "RGBA"):
        path = saved(image.convert(mode), tmp_path / f"{mode}.png")
        np.testing.assert_array_equal(read_mask(path, COLORS), drawn)


@pytest.mark.parametrize("order", [*itertools.permutations(range(4))])
def test_palette_in_any_order_is_read_by_color(
    tmp_path: Path, drawn: np.ndarray, order: tuple[int, ...]
) -> None:
    stored = np.where(drawn == 255, 3, drawn)
    image = Image.fromarray(np.argsort(order)[stored].astype(np.uint8))
    palette = np.array([*COLORS, VOID], np.uint8)[[*order]]
    image.putpalette(palette.tobytes())
    path = saved(image, tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(path, COLORS), drawn)


def test_value_255_of_a_color_of_a_class(tmp_path: Path) -> None:
    """A class, if no other value has the color: palettes are filled up with black."""
    values = np.array([[0, 1, 255]], np.uint8)
    for color, label in (((176, 112, 32), 2), ((0, 0, 0), 255), (VOID, 255)):
        palette = np.zeros((256, 3), np.uint8)
        palette[:2], palette[255] = COLORS[:2], color
        path = tmp_path / "mask.png"
        write_png(path, values, depth=8, palette=palette.tobytes())
        assert read_mask(path, COLORS).tolist() == [[0, 1, label]]


@pytest.mark.parametrize("rest", [0, 9, None])
def test_palette_as_labelmap_has_it_is_read_as_indices(
    tmp_path: Path, drawn: np.ndarray, rest: int | None
) -> None:
    """Whatever color an ignored pixel is shown in."""
    palette = COLORS.tobytes() + bytes([rest or 0] * 3 * 253 * (rest is not None))
    path = write_png(tmp_path / "mask.png", drawn, depth=8, palette=palette)
    np.testing.assert_array_equal(read_mask(path, COLORS), drawn)


def gray_ramp(drawn: np.ndarray) -> Image.Image:
    image = Image.fromarray(drawn)
    image.putpalette(np.arange(256, dtype=np.uint8).repeat(3).tobytes())
    return image


def test_palette_of_grays_is_grayscale(tmp_path: Path, drawn: np.ndarray) -> None:
    path = saved(gray_ramp(drawn), tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(path, COLORS), drawn)


def transparent(drawn: np.ndarray, path: Path) -> None:
    alpha = np.full(SIZE, 255, np.uint8)
    alpha[2, 3] = 0
    Image.fromarray(np.stack([drawn, alpha], axis=-1), "LA").save(path)


def deep_value(drawn: np.ndarray, path: Path) -> None:
    deep = drawn.astype(np.uint16)
    deep[4, 5] = 700
    write_png(path, deep, depth=16)


def deep_colors(drawn: np.ndarray, path: Path) -> None:
    write_png(path, painted(drawn).astype(np.uint16), depth=16)


def colored(drawn: np.ndarray, path: Path) -> None:
    drawn[0, 0] = 1
    Image.fromarray(painted(drawn)).save(path)


def contradicting(drawn: np.ndarray, path: Path) -> None:
    drawn[0, 0] = 1
    palette = bytes([0, 0, 0, 5, 6, 7, 176, 112, 32])
    write_png(path, drawn, depth=8, palette=palette + bytes(3 * 253))


def smoothed(drawn: np.ndarray, path: Path) -> None:
    pixels = painted(np.zeros(SIZE, np.uint8))
    pixels[1, 1] = (24, 56, 16)
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize(
    ("write", "colors", "said"),
    [
        (transparent, None, r"1 transparent pixels, the first at \(2, 3\).*without tr"),
        (deep_value, None, "grayscale of more than 8 bits with the value 700"),
        (deep_colors, COLORS, "colors of 16 bits a channel. Save it with 8 bits"),
        (colored, None, r"holds colors \(RGB\), not class indices: .*48,112,32.*label"),
        (contradicting, COLORS, "labelmap.txt gives no class: 5,6,7. Give each"),
        (smoothed, COLORS, "1 pixels of colors.* no class: 24,56,16.*smoothing"),
        (colored, COLORS[[0, 1, 1, 2]], "gives 48,112,32 to several classes"),
    ],
)
def test_masks_of_unsure_meaning_are_refused(
    tmp_path: Path,
    drawn: np.ndarray,
    write: Callable[[np.ndarray, Path], None],
    colors: np.ndarray | None,
    said: str,
) -> None:
    write(drawn, tmp_path / "mask.png")
    with pytest.raises(UserError, match=rf"mask\.png .*{said}"):
        read_mask(tmp_path / "mask.png", colors)


@pytest.mark.parametrize("turned", range(1, 9))
def test_mask_is_turned_as_its_image_is(
    tmp_path: Path, drawn: np.ndarray, turned: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = turned
    path = saved(Image.fromarray(drawn), tmp_path / "mask.png", exif=exif)
    content = io.BytesIO()
    Image.fromarray(drawn).convert("RGB").save(content, "PNG", exif=exif)
    np.testing.assert_array_equal(
        read_mask(path), read_image(content.getvalue())[..., 0]
    )


def test_bytes_that_are_no_pixels_are_few(tmp_path: Path, drawn: np.ndarray) -> None:
    path = saved(Image.fromarray(drawn), tmp_path / "a.png")
    with path.open("ab") as file:
        file.write(bytes(2**22))
    np.testing.assert_array_equal(read_mask(path), drawn)
    with path.open("ab") as file:
        file.write(bytes(16 * drawn.size))
    with pytest.raises(UserError, match=f"^{path} has [0-9]+ bytes, and of such a .*"):
        read_mask(path)


def test_colors_are_counted_in_order(rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (40, 50, 3), np.uint8) // 100 * 100
    found, counts = colors_of(pixels)
    wanted = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
    for ours, theirs in zip((found, counts), wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("by_color", [True, False])
def test_mask_of_as_many_colors_as_pixels_takes_no_minutes(
    tmp_path: Path, by_color: bool
) -> None:
    side = np.arange(2048)
    rows, columns = np.meshgrid(side, side, indexing="ij")
    pixels = np.stack([rows >> 4, (rows & 15) << 4 | columns >> 8, columns & 255], -1)
    path = saved(Image.fromarray(pixels.astype(np.uint8)), tmp_path / "all.png")
    colors = np.array([[0, 0, 0], [0, 0, 1]], np.uint8) if by_color else None
    began = time.process_time()
    with pytest.raises(UserError, match=r"\(419430[24] in all\)"):
        read_mask(path, colors)
    assert time.process_time() - began < 2.5

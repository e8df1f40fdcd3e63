"""Records and conversions of earlier versions are not read as those of today.

What the same files give is pinned here, beside the versions that prepared records and
converted folders are known by.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from train.common.errors import UserError
from train.data.convert import conversion
from train.data.images import read_image, read_mask
from train.data.voc_records import VocLayout

COLORS = np.array([[0, 0, 0], [200, 0, 0], [0, 0, 200]], np.uint8)
PALETTES = {
    "in order": COLORS,
    "in another order": COLORS[[0, 2, 1]],
    "of other colors": COLORS + 7,
    "without a color": np.where(np.arange(3)[:, None] == 1, 9, COLORS),
    "gray": np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1),
}


def masks(folder: Path) -> Iterator[Path]:
    """Writes masks of every kind, drawn of classes 0 to 2, of 255, and of colors."""
    few = np.arange(63).reshape(7, 9) % 3
    edged = np.where(few == 1, 255, few)
    for name, values in (("few", few), ("edged", edged), ("white", (few > 0) * 255)):
        gray = Image.fromarray(values.astype(np.uint8))
        pictures = {mode: gray.convert(mode) for mode in ("L", "1", "LA", "RGB")}
        pictures["I;16"] = Image.fromarray(values.astype(np.uint16))
        pictures["painted"] = Image.fromarray(COLORS[few])
        for kind, colors in PALETTES.items():
            palette = np.zeros((256, 3), np.uint8)
            palette[: len(colors)] = colors
            palette[255] = COLORS[1]
            pictures[kind] = gray.copy()
            pictures[kind].putpalette(palette.tobytes())
        for kind, picture in pictures.items():
            path = folder / f"{name} {kind}.png"
            picture.save(path)
            yield path


def images(folder: Path) -> Iterator[Path]:
    """Writes images without loss, turned ones too."""
    pixels = np.arange(7 * 9 * 3, dtype=np.uint8).reshape(7, 9, 3)
    picture = Image.fromarray(pixels)
    turned = Image.Exif()
    turned[0x0112] = 6
    for mode in ("RGB", "L", "RGBA"):
        more = {"exif": turned} if mode == "RGB" else {}
        for suffix in ("png", "tif"):
            path = folder / f"image {mode}.{suffix}"
            picture.convert(mode).save(path, None, **more)
            yield path


def test_what_is_read_is_of_the_version(tmp_path: Path) -> None:
    """If this fails, raise both versions, and put what is read now beside them."""
    read = hashlib.sha256()
    for path in (*masks(tmp_path), *images(tmp_path)):
        for colors in (None, COLORS, COLORS[::-1]):
            try:
                found = (
                    read_image(path)
                    if path.name.startswith("image")
                    else read_mask(path, colors)
                )
                read.update(repr((path.name, found.shape, found.tobytes())).encode())
            except UserError:
                read.update(f"{path.name} refused".encode())
    known = str(VocLayout.VERSION), conversion._VERSION, read.hexdigest()[:16]
    assert known == ("4.3.0", "6", "086e50de27195f4c")

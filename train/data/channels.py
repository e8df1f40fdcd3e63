"""Images of any number of channels, of 8 or 16 bits: read exactly, kept as arrays."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from PIL import Image

from train.common.errors import UserError
from train.common.regular import open_regular, read_regular
from train.data.deep_png import deep_pixels
from train.data.forms import Form, check_form, form_of
from train.data.image_files import (
    ORIENTATION,
    blaming,
    check_pixel_sums,
    check_pixels,
    most_bytes,
    opened,
)
from train.data.png_chunks import depth_and_kind
from train.data.tiff_channels import tiff_pixels
from train.data.tiff_entries import is_tiff
from train.data.tiff_files import TiffFile
from train.data.tiff_tags import layout_of

# Pillow's modes whose bytes are those of the file, by its format; of PNG where it has 8
# or 16 bits. Of others Pillow scales levels, or colors are kept approximately.
_MODES: dict[str, tuple[str, ...]] = {
    "PNG": ("L", "LA", "RGB", "RGBA", "I;16"),
    **dict.fromkeys(("JPEG", "BMP"), ("L",)),
}

# An array in a prepared record: these bytes, height, width, channels, bits, the values.
_ARRAY, _HEAD = b"\x93ARRAY", struct.Struct("<IIBB")


def read_channels(path: Path, form: Form) -> tuple[np.ndarray, int]:
    """Returns an image `[height, width, channels]` as stored, and its orientation.

    Args:
      path: of the file.
      form: that it must have; nothing is converted.

    Raises:
      UserError: it is missing, damaged, or of another form; the message says which.
    """
    name = str(path)
    with blaming(name), open_regular(path) as file:
        if is_tiff(file.read(4)):
            return tiff_pixels(file, form, name)
    with opened(path) as image:
        content, depth = b"", 8
        if image.format == "PNG":
            pixels = image.width * image.height
            content = read_regular(path, most_bytes(pixels, 8))
            depth, _ = depth_and_kind(content)
        known = _MODES.get(str(image.format), ())
        if image.mode not in known or depth not in (8, 16):
            raise UserError(
                f"{path} is a {image.format} (mode {image.mode}, "
                f"{depth} bits), but images are read with {form} here, from PNG and "
                "TIFF of 8 or 16 bits, or gray of 8 bits from JPEG and BMP. Save "
                "it as one of those, with the levels that the network is to see."
            )
        check_pixel_sums(image)
        image.load()
        found = deep_pixels(content, name) if depth == 16 else _pixels(image)
        check_form(form_of(found), form, name)
        return found, image.info[ORIENTATION]


def stored_size(path: Path) -> tuple[int, int] | None:
    """Returns height and width of a TIFF of any channels as it is seen, else None.

    Raises:
      UserError: it is a TIFF that is damaged, or of a kind that is not read.
    """
    with blaming(str(path)), open_regular(path) as file:
        if not is_tiff(file.read(4)):
            return None
        found = layout_of(TiffFile(file, str(path)))
    size = found.height, found.width
    return size[::-1] if found.orientation >= 5 else size


def _pixels(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def encode_array(pixels: np.ndarray) -> bytes:
    """Returns the bytes by which a prepared record keeps an image of any form."""
    form = form_of(pixels)
    head = _HEAD.pack(*pixels.shape[:2], *form)
    return _ARRAY + head + pixels.astype(form.dtype.newbyteorder("<")).tobytes()


def is_array(content: bytes) -> bool:
    """Returns whether a record keeps its image as `encode_array` does."""
    return content.startswith(_ARRAY)


def decode_array(content: bytes) -> np.ndarray:
    """Returns the image of `encode_array`.

    Raises:
      UserError: it is damaged, or larger than `limit_pixels` allows.
    """
    start = len(_ARRAY) + _HEAD.size
    with blaming("a prepared record"):
        height, width, *form = _HEAD.unpack_from(content, len(_ARRAY))
        check_pixels(height * width, "a prepared record has", "Prepare the data again.")
        known = Form(*form)
        if known.bits not in (8, 16):
            raise ValueError(f"values of {known.bits} bits")
        order = known.dtype.newbyteorder("<")
        values = np.frombuffer(content, order, offset=start).astype(known.dtype)
        return values.reshape(height, width, known.channels)

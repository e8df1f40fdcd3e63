"""TIFF with any number of channels of 8 or 16 bits, of which Pillow reads few kinds.

A row of N channels is a row of gray bytes as well, N or 2 N times as long: with a
directory that says so, libtiff unpacks any of its lossless compressions as it does
those of pictures. Differences between pixels (the predictor) are summed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, Literal

import numpy as np

from train.data.forms import Form, check_form
from train.data.image_files import blaming, opened
from train.data.tiff_entries import Tag
from train.data.tiff_files import TiffFile, with_directory
from train.data.tiff_tags import TiffLayout, layout_of


def tiff_pixels(file: BinaryIO, form: Form, name: str) -> tuple[np.ndarray, int]:
    """Returns the pixels `[height, width, channels]` of a TIFF, and its orientation.

    Args:
      file: open for reading.
      form: that it must have.
      name: of the file, for messages.

    Raises:
      UserError: it is of another form, larger than allowed, damaged, holds several
        pictures, or is of a kind that is not read; the message says which.
    """
    with blaming(name):
        read = TiffFile(file, name)
        layout = layout_of(read)
        check_form(layout.form, form, name)
        file.seek(0)
        content = file.read()
        samples = 1 if layout.separate else form.channels
        parts = [
            _part(content, layout, samples, part, name)
            for part in range(form.channels // samples)
        ]
        return np.concatenate(parts, axis=-1), layout.orientation


def _part(
    content: bytes, layout: TiffLayout, samples: int, part: int, name: str
) -> np.ndarray:
    """Returns the channels that lie together, `[height, width, samples]`."""
    dtype = layout.form.dtype
    each = samples * dtype.itemsize
    count = len(layout.offsets) * samples // layout.form.channels
    chosen = slice(part * count, (part + 1) * count)
    gray = _as_gray(content, layout, each, chosen)
    with opened(gray, name, bytes_of_pixel=each) as image:
        rows = np.asarray(image)
    order: Literal["<", ">"] = "<" if content[:2] == b"II" else ">"
    found = np.ascontiguousarray(rows).view(dtype.newbyteorder(order)).astype(dtype)
    pixels = found.reshape(layout.height, layout.width, samples)
    if layout.sums:
        step = layout.tile[0] if layout.tile else layout.width
        for start in range(0, layout.width, step):
            tile = pixels[:, start : start + step]
            np.add.accumulate(tile, axis=1, dtype=dtype, out=tile)
    return pixels


def _as_gray(content: bytes, layout: TiffLayout, each: int, chosen: slice) -> bytes:
    """Returns the file with a directory by which it is gray, `each` bytes a pixel."""
    entries: dict[int, Sequence[int] | np.ndarray] = {
        Tag.WIDTH: [each * layout.width],
        Tag.HEIGHT: [layout.height],
        Tag.BITS: [8],
        Tag.COMPRESSION: [layout.compression],
        Tag.PHOTOMETRIC: [1],
        Tag.SAMPLES: [1],
        Tag.PLANAR: [1],
    }
    if layout.tile:
        width, height = layout.tile
        entries |= {Tag.TILE_WIDTH: [each * width], Tag.TILE_HEIGHT: [height]}
        entries[Tag.TILES] = layout.offsets[chosen]
        entries[Tag.TILE_SIZES] = layout.sizes[chosen]
    else:
        entries[Tag.ROWS] = [layout.rows]
        entries[Tag.STRIPS] = layout.offsets[chosen]
        entries[Tag.STRIP_SIZES] = layout.sizes[chosen]
    order = "<" if content[:2] == b"II" else ">"
    head, behind = with_directory(order, len(content), entries)
    return head + content[len(head) :] + behind

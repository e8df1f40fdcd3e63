"""TIFF of any channels: which kinds are read, and how their pixels lie."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from train.common.regular import check_size
from train.data.forms import Form
from train.data.image_files import check_picture, most_bytes
from train.data.tiff_entries import Tag
from train.data.tiff_files import (
    Kind,
    TiffFile,
    check_tiff_kind,
)
from train.data.tiff_parts import strips_or_tiles

_WITH_PREDICTOR = (5, 8, 32946, 34925, 50000)
# Gray levels up from black, RGB, inks: values are what they are.
_KIND = Kind((8, 16), (1, 2, 5))


class TiffLayout(NamedTuple):
    """How the pixels of a TIFF lie in its file."""

    width: int
    height: int
    form: Form
    separate: bool  # channel after channel
    tile: tuple[int, int] | None  # width and height, pixels
    rows: int  # of a strip
    offsets: np.ndarray  # of each part, bytes from the file's beginning
    sizes: np.ndarray  # likewise, bytes
    compression: int
    sums: bool  # whether values are differences
    orientation: int


def layout_of(file: TiffFile) -> TiffLayout:
    """Returns where the pixels of the first page lie.

    Raises:
      UserError: as `tiff_pixels`.
      ValueError: a part does not lie in it whole, or there are more or fewer parts.
      KeyError, struct.error: it lacks a number.
    """
    page = file.one_page()
    tags = page.tags
    check_picture(file.name, page.width, page.height, page.tile)
    check_tiff_kind(file, tags, _KIND)
    compression, predictor, samples, planar = (
        tags.get(tag, (1,))[0]
        for tag in (Tag.COMPRESSION, Tag.PREDICTOR, Tag.SAMPLES, Tag.PLANAR)
    )
    form = Form(samples, tags[Tag.BITS][0])
    each = form.channels * form.dtype.itemsize
    check_size(file.name, file.size, most_bytes(page.width * page.height, each))
    parts = strips_or_tiles(file, page)
    return TiffLayout(
        page.width,
        page.height,
        form,
        planar == 2 and samples > 1,
        parts.tile,
        parts.rows,
        parts.offsets,
        parts.sizes,
        compression,
        predictor == 2 and compression in _WITH_PREDICTOR,
        page.orientation,
    )

"""The strips or tiles of a TIFF: where they lie in its file, whole."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from train.data.tiff_entries import HEAD_BYTES, PART_LISTS, Tag
from train.data.tiff_files import PLAIN, Page, TiffFile


class Parts(NamedTuple):
    """The strips or the tiles of a TIFF."""

    tile: tuple[int, int] | None  # width and height, pixels
    rows: int  # of a strip
    offsets: np.ndarray  # of each part, bytes from the file's beginning
    sizes: np.ndarray  # likewise, bytes


def strips_or_tiles(file: TiffFile, page: Page) -> Parts:
    """Returns where the pixels of a page lie, all of them.

    Raises:
      ValueError: a part does not lie in the file whole, or there are more or fewer
        parts than the page's size makes.
      struct.error: a list is not in it.
    """
    tags, width, height, tile = page.tags, page.width, page.height, page.tile
    rows = min(tags.get(Tag.ROWS, (height,))[0], height)
    across, down = tile or (width, rows)
    if min(width, height, across, down) < 1:
        raise ValueError("it has no pixels, or parts without any")
    bits, samples, planar = (
        tags.get(tag, (1,))[0] for tag in (Tag.BITS, Tag.SAMPLES, Tag.PLANAR)
    )
    planes = samples if planar == 2 else 1
    count = -(-width // across) * -(-height // down) * planes
    offsets, sizes = (
        file.whole_list(page.lists[tag], count)
        for tag in (PART_LISTS[:2] if tile is None else PART_LISTS[2:])
    )
    _check_parts(offsets, sizes, file.size)
    if tags.get(Tag.COMPRESSION, (1,))[0] == PLAIN:
        row = -(-across * samples // planes * bits // 8)
        whole, ends = row * down, row * (height % down or down)
        _check_raw(sizes.reshape(planes, -1), whole, whole if tile else ends)
    return Parts(tile, rows, offsets, sizes)


def _check_parts(offsets: np.ndarray, sizes: np.ndarray, end: int) -> None:
    """Refuses parts that are not in the file, of which other bytes would be read."""
    lies = (sizes > 0) & (offsets >= HEAD_BYTES) & (offsets + sizes <= end)
    if not lies.all():
        raise ValueError(
            f"part {1 + int(lies.argmin())} of {len(lies)} is not in the file, which "
            "was cut short or is sparse"
        )
    if int(sizes.sum()) > end:
        raise ValueError("its parts have more bytes together than the file")


def _check_raw(sizes: np.ndarray, whole: int, last: int) -> None:
    """Refuses parts without compression that have other bytes than their rows take.

    Args:
      sizes: of the parts, `[planes, parts]`, bytes.
      whole: what a part takes, bytes.
      last: what the last of a plane does, which some programs write whole.
    """
    if (sizes[:, :-1] != whole).any() or not np.isin(sizes[:, -1], (whole, last)).all():
        raise ValueError("its parts are not as large as their rows")

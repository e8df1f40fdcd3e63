"""TIFFs that Pillow reads: the kinds that are taken, and the silence of its decoder."""

from __future__ import annotations

import contextlib
import ctypes
from typing import Any

from PIL import Image

from train.common.errors import UserError
from train.data.image_work import Pieces, check_parts
from train.data.tiff_entries import PART_LISTS, Tag
from train.data.tiff_files import (
    PLAIN,
    WHITE_IS_ZERO,
    Kind,
    Page,
    Tags,
    TiffFile,
    check_tiff_kind,
    not_read,
    with_directory,
)
from train.data.tiff_parts import strips_or_tiles

# Beside the colors of other channels those whose 0 is white.
_KIND = Kind((1, 2, 4, 8, 16), (WHITE_IS_ZERO, 1, 2, 5))
_RGB, _INKS = 2, 5
_MULTIPLIED = 1  # of ExtraSamples: opacity, by which colors were multiplied
_OTHERS = (Tag.SUBFILE, Tag.OLD_SUBFILE, Tag.ORIENTATION)  # that make no pixels


class TiffPieces(Pieces):
    """A TIFF with a directory of what makes its pixels alone.

    Args:
      file: the TIFF.
      page: its first.

    Raises:
      UserError: it is of a kind that is not read; the message says which.
      ValueError, struct.error: as `strips_or_tiles`.
    """

    def __init__(self, file: TiffFile, page: Page):
        tags = page.tags
        check_tiff_kind(file, tags, _KIND)
        _check_channels(file, tags)
        parts = strips_or_tiles(file, page)
        check_parts(len(parts.offsets), file.size, file.name)
        entries: dict[int, Any] = {
            tag: numbers for tag, numbers in tags.items() if tag not in _OTHERS
        }
        channels, colors = tags.get(Tag.SAMPLES, (1,))[0], _colors(tags)
        planes = slice(None)
        if _apart(tags) and channels > colors:  # whose others are not read
            planes = slice(len(parts.offsets) // channels * colors)
            entries[Tag.SAMPLES] = [colors]
            entries.pop(Tag.EXTRA, None)
            for tag in (Tag.BITS, Tag.FORMAT):
                entries[tag] = tags.get(tag, (1,))[:colors]
        places, sizes = PART_LISTS[2:] if parts.tile else PART_LISTS[:2]
        entries |= {places: parts.offsets[planes], sizes: parts.sizes[planes]}
        head, behind = with_directory(file.order, file.size, entries)
        super().__init__(file.file, [head, range(len(head), file.size), behind])
        plain = tags.get(Tag.COMPRESSION, (1,))[0] == PLAIN
        found = zip(parts.offsets.tolist(), parts.sizes.tolist(), strict=True)
        self._sizes = dict(found) if plain else {}

    def read(self, size: int = -1) -> bytes:
        """Reads as files do, at a part without compression no more than it has."""
        if size >= 0:
            size = min(size, self._sizes.get(self._at, size))
        return super().read(size)


def unknown_channels(name: str) -> UserError:
    """Returns the refusal of a TIFF whose channels are none that Pillow knows."""
    return UserError(
        f"{name} is a TIFF of other channels, or bits of them, than its colors have, "
        "which is not read. Save it as RGB, gray levels or CMYK; or train with "
        "--channels."
    )


def _apart(tags: Tags) -> bool:
    return tags.get(Tag.PLANAR, (1,))[0] != 1


def _colors(tags: Tags) -> int:
    """Returns the number of channels that colors have."""
    return {_RGB: 3, _INKS: 4}.get(tags[Tag.PHOTOMETRIC][0], 1)


def _check_channels(file: TiffFile, tags: Tags) -> None:
    """Refuses channels of which Pillow would make other values, or none."""
    bits, colors = tags.get(Tag.BITS, (1,))[0], tags[Tag.PHOTOMETRIC][0]
    samples, is_gray = tags.get(Tag.SAMPLES, (1,))[0], _colors(tags) == 1
    if _apart(tags) and (bits != 8 or colors == WHITE_IS_ZERO):
        white = " and 0 for white" * (colors == WHITE_IS_ZERO)
        raise not_read(
            file,
            f"of {bits} bits{white} whose channels lie apart",
            "Save it with each pixel's channels together; or, if it has 16 bits, train "
            "with --bit-depth 16 (and --channels).",
        )
    if is_gray and samples == 2 and bits != 8:
        raise not_read(
            file,
            f"of gray levels with opacity, of {bits} bits each",
            "Save it with 8 bits; or, if it has 16, train with --bit-depth 16 "
            "--channels 2.",
        )
    if is_gray and samples > 2:
        raise not_read(
            file,
            "of gray levels with more channels than opacity",
            "Save it as RGB; or train with --channels.",
        )
    if _MULTIPLIED in tags.get(Tag.EXTRA, ()) and (is_gray or _apart(tags)):
        raise not_read(
            file,
            "whose levels were multiplied by opacity (ExtraSamples 1), and are gray or "
            "lie apart",
            "Save it without opacity; or train with --channels.",
        )


def silence_libtiff() -> None:
    """Keeps libtiff from writing to the terminal, in this process.

    It tells its faults there, past whatever the program prints and without the file's
    name, beside failing, of which Pillow hears. Pillow itself silences its warnings.
    """
    with contextlib.suppress(OSError, AttributeError):  # linked in some other way
        handler = ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler
        handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
        handler(None)

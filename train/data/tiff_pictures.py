"""TIFFs that Pillow reads: the kinds that are taken, and the silence of its decoder."""

from __future__ import annotations

import contextlib
import ctypes
from typing import IO, Any

from PIL import Image

from train.data.tiff_entries import Tag
from train.data.tiff_files import (
    WHITE_IS_ZERO,
    Kind,
    TiffFile,
    check_tiff_kind,
    not_read,
    strips_or_tiles,
)

# Beside the colors of other channels those whose 0 is white.
_KIND = Kind((1, 2, 4, 8, 16), (WHITE_IS_ZERO, 1, 2, 5))
_OF_ONE = (WHITE_IS_ZERO, 1)  # colors that are one channel
_RGB = 2


def check_tiff(file: IO[bytes], name: str) -> None:
    """Refuses a TIFF that Pillow would misread, or take for whole where it is not.

    Args:
      file: the TIFF, whose numbers decoders read alike (`check_entries`).
      name: of the file, for messages.

    Raises:
      UserError: it is of a kind that is not read; the message says which.
      ValueError: as `strips_or_tiles`, or it does not say what its values mean.
    """
    read: Any = TiffFile(file, name)  # type: ignore[arg-type]
    tags, lists = read.one_page()
    if Tag.PHOTOMETRIC not in tags:
        raise ValueError("it does not say whether 0 is black or white")
    check_tiff_kind(read, tags, _KIND)
    bits, colors = tags.get(Tag.BITS, (1,))[0], tags[Tag.PHOTOMETRIC][0]
    samples = tags.get(Tag.SAMPLES, (1,))[0]
    if tags.get(Tag.PLANAR, (1,))[0] != 1:
        more = samples - 3 if colors == _RGB else 0
        unsaid = len(tags.get(Tag.EXTRA, ())) < more  # which Pillow takes for opacity
        _check_planes(read, bits, colors, unsaid=unsaid)
    if colors in _OF_ONE and samples == 2 and bits != 8:
        raise not_read(
            read,
            f"of gray levels with opacity, of {bits} bits each",
            "Save it with 8 bits; or, if it has 16, train with --bit-depth 16 "
            "--channels 2.",
        )
    if colors in _OF_ONE and samples > 2:
        raise not_read(
            read,
            "of gray levels with more channels than opacity",
            "Save it as RGB; or train with --channels.",
        )
    strips_or_tiles(read, tags, lists)


def _check_planes(file: TiffFile, bits: int, colors: int, *, unsaid: bool) -> None:
    """Refuses channels that lie apart of which Pillow makes other values."""
    if bits == 8 and colors != WHITE_IS_ZERO and not unsaid:
        return
    white = " and 0 for white" * (colors == WHITE_IS_ZERO)
    why = ", and that does not say what those beside RGB are" * unsaid
    raise not_read(
        file,
        f"of {bits} bits{white} whose channels lie apart{why}",
        "Save it with each pixel's channels together; or, if it has 16 bits, train "
        "with --bit-depth 16 (and --channels).",
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

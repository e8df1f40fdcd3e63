"""PNGs of photographs in a third of Pillow's time, for pictures that are many.

Pillow tries five filters for each row. One alone, the mean of the pixels to the left
and above, and a search for runs alone make files of photographs as small.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping

import numpy as np

from train.data.png_chunks import SIGNATURE
from train.evaluation.bands import row_bands

_RGB, _BITS, _MEAN = 2, 8, 3  # color type, depth and filter, by their numbers in PNG
_LONGEST = 2**30  # bytes of a chunk, which may have one bit more


def overlay_png(pixels: np.ndarray, words: Mapping[str, str]) -> bytes:
    """Returns a picture as PNG.

    Args:
      pixels: uint8 `[height, width, 3]`.
      words: texts in the file by their names, ASCII.
    """
    height, width, channels = pixels.shape
    head = struct.pack(">IIBBBBB", width, height, _BITS, _RGB, 0, 0, 0)
    parts = [SIGNATURE, *_chunk(b"IHDR", head)]
    for name, text in words.items():
        parts += _chunk(b"tEXt", f"{name}\0{text}".encode("ascii"))
    for packed in _packed(pixels.reshape(height, width * channels)):
        for start in range(0, len(packed), _LONGEST):
            parts += _chunk(b"IDAT", packed[start : start + _LONGEST])
    return b"".join([*parts, *_chunk(b"IEND", b"")])


def _packed(rows: np.ndarray) -> Iterator[bytes]:
    """Yields the parts of the compressed pixels, uint8 `[rows, bytes]`."""
    stream = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    above = np.zeros_like(rows[:1])
    for band in row_bands(len(rows)):
        here = rows[band]
        yield stream.compress(_filtered(here, np.vstack([above, here[:-1]])).data)
        above = here[-1:]
    yield stream.flush()


def _filtered(rows: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Returns rows less the mean of what is left and above, led by the filter's number.

    Args:
      rows: uint8 `[rows, bytes]`, three bytes a pixel.
      above: the row above each.
    """
    found = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
    found[:, 0], less = _MEAN, found[:, 1:]
    left = np.zeros_like(rows)
    left[:, 3:] = rows[:, :-3]
    # Rounded down, without the ninth bit of the sum.
    np.right_shift(left ^ above, 1, out=less)
    less += left & above
    np.subtract(rows, less, out=less)
    return found


def _chunk(kind: bytes, content: bytes) -> tuple[bytes, ...]:
    """Returns the parts of a chunk: length, kind, content and checksum."""
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)), kind, content, struct.pack(">I", checksum)

"""Entries of a TIFF's directory, and what of them would keep a decoder busy."""

from __future__ import annotations

import enum
import struct
from typing import IO, Any

from PIL import Image

from train.common.errors import UserError
from train.data.image_work import too_much


class Tag(enum.IntEnum):
    """Tags of a directory."""

    SUBFILE = 254
    WIDTH = 256
    HEIGHT = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL_ORDER = 266
    STRIPS = 273
    ORIENTATION = 274
    SAMPLES = 277
    ROWS = 278
    STRIP_SIZES = 279
    PLANAR = 284
    PREDICTOR = 317
    TILE_WIDTH = 322
    TILE_HEIGHT = 323
    TILES = 324
    TILE_SIZES = 325
    FORMAT = 339


REDUCED_OR_MASK = 0b101  # of SUBFILE: a page that belongs to another
PAGES = 100  # at most; smaller copies halve their size

_BIG_TIFF, _ENTRIES = 43, 2**16  # its version; entries of a page at most
_NUMBERS = (3, 4, 16)  # types: of 16, 32 and 64 bits, without a sign
_SIZES = frozenset(
    (
        *(Tag.WIDTH, Tag.HEIGHT, Tag.STRIPS, Tag.ROWS, Tag.STRIP_SIZES),
        *(Tag.TILE_WIDTH, Tag.TILE_HEIGHT, Tag.TILES, Tag.TILE_SIZES),
    )
)


def too_many_pages(name: str) -> UserError:
    """Returns the refusal of a TIFF of more pages than an image could need."""
    return too_much(name, f"more than {PAGES - 1} smaller copies or masks")


def tiled_pixels(size: tuple[int, int], tile: tuple[int, int]) -> int:
    """Returns the pixels of all tiles together.

    Whole tiles are decoded, however little of one is within the image.

    Args:
      size: width and height of the image, pixels.
      tile: those of a tile.
    """
    across, down = (-(-side // of) * of for side, of in zip(size, tile, strict=True))
    return across * down


def tile_of(image: Image.Image) -> tuple[int, int] | None:
    """Returns width and height of a TIFF's tiles, None where it has none."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    if not {Tag.TILE_WIDTH, Tag.TILE_HEIGHT} <= set(tags):
        return None
    return tags[Tag.TILE_WIDTH], tags[Tag.TILE_HEIGHT]


def check_entries(file: IO[bytes], tags: Any, name: str) -> None:
    """Refuses a TIFF whose decoder may read sizes that Pillow has passed over.

    Pillow takes no entry of a type that it does not know, nor one behind others that
    claim more bytes than there are; what decodes the pixels takes both.

    Args:
      file: the TIFF.
      tags: as Pillow has read them.
      name: of the file, for messages.

    Raises:
      UserError: an entry of the image's, its strips' or its tiles' sizes is such a one.
    """
    file.seek(0)
    order = "<" if file.read(2) == b"II" else ">"
    (version,) = struct.unpack(f"{order}H", file.read(2))
    is_big = version == _BIG_TIFF
    if is_big:
        file.seek(8)
    place, count, entry = ("Q", "Q", "HHQQ") if is_big else ("I", "H", "HHII")

    def read(kinds: str) -> tuple[int, ...]:
        return struct.unpack(order + kinds, file.read(struct.calcsize("=" + kinds)))

    file.seek(read(place)[0])
    (entries,) = read(count)
    for _ in range(min(entries, _ENTRIES)):
        tag, kind, *_ = read(entry)
        if tag in _SIZES and (kind not in _NUMBERS or tag not in tags):
            raise UserError(
                f"{name} has entry {tag} in a form that decoders read differently. "
                "Save it anew with another program, or leave it out."
            )


def check_strips(image: Image.Image, size: int, name: str) -> None:
    """Refuses a TIFF whose strips or tiles share bytes, each of which is decoded.

    Args:
      image: the TIFF.
      size: of its file, bytes.
      name: of the file, for messages.

    Raises:
      UserError: they have twice the bytes of the file together.
    """
    tags = image.tag_v2  # type: ignore[attr-defined]
    for tag in (Tag.STRIP_SIZES, Tag.TILE_SIZES):
        counts = tags.get(tag, ())
        parts = sum(counts) if isinstance(counts, tuple) else counts
        if parts > 2 * size:
            raise too_much(name, f"parts of {parts} bytes together in {size}")

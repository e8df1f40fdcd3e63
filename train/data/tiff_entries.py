"""Entries of a TIFF's directory, and what of them would keep a decoder busy."""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

from PIL import Image

from train.common.errors import UserError
from train.data.image_work import too_much


class Tag(enum.IntEnum):
    """Tags of a directory."""

    SUBFILE = 254
    OLD_SUBFILE = 255
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
    EXTRA = 338  # what channels beside the colors are
    FORMAT = 339


REDUCED_OR_MASK = 0b101  # of SUBFILE: a page that belongs to another
OLD_REDUCED = 2  # of OLD_SUBFILE
PAGES = 100  # at most; smaller copies halve their size

HEAD_BYTES = 8  # bytes of a TIFF before anything else
CLASSIC, BIG = (b"II*\0", b"MM\0*"), (b"II+\0", b"MM\0+")
_ODD_HEADS = (b"II\0*", b"MM*\0")  # of which Pillow makes what it can
_ENTRIES = 2**16  # of a page at most
NUMBERS = {3: "H", 4: "I"}  # types that are read: 16 and 32 bits, without a sign

# Of which there is a number for each part.
OF_CHANNELS = (Tag.BITS, Tag.FORMAT, Tag.EXTRA)  # which have a number for each
PART_LISTS = (Tag.STRIPS, Tag.STRIP_SIZES, Tag.TILES, Tag.TILE_SIZES)
MOST_NUMBERS = 64  # of channels; other tags have one
_KNOWN = frozenset(Tag)


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


def pixels_of_tiles(image: Image.Image) -> int:
    """Returns the pixels of a TIFF's tiles together, 0 where it has none.

    Sides are those of the tags: an image's own are exchanged where it is turned.
    """
    tags = image.tag_v2  # type: ignore[attr-defined]
    if not {Tag.TILE_WIDTH, Tag.TILE_HEIGHT} <= set(tags):
        return 0
    size, tile = (
        (tags[wide], tags[tall])
        for wide, tall in (
            (Tag.WIDTH, Tag.HEIGHT),
            (Tag.TILE_WIDTH, Tag.TILE_HEIGHT),
        )
    )
    return tiled_pixels(size, tile)


class _Entry(NamedTuple):
    """An entry of a directory."""

    tag: int
    kind: int  # type
    length: int  # how many numbers it has
    number: int  # if it has one alone, of 16 or 32 bits, else -1


def _entries(file: IO[bytes]) -> Iterator[_Entry]:
    """Yields the entries of a TIFF's first directory."""
    file.seek(0)
    order = "<" if file.read(2) == b"II" else ">"
    file.seek(4)

    def read(kinds: str) -> tuple[Any, ...]:
        return struct.unpack(order + kinds, file.read(struct.calcsize("=" + kinds)))

    file.seek(read("I")[0])
    (entries,) = read("H")
    for _ in range(min(entries, _ENTRIES)):
        tag, kind, length, value = read("HHI4s")
        number = -1
        if length == 1 and kind in NUMBERS:
            (number,) = struct.unpack_from(order + NUMBERS[kind], value)
        yield _Entry(tag, kind, length, number)


def claimed_pixels(file: IO[bytes], name: str) -> int | None:
    """Returns the pixels that a TIFF says it has, None of another file.

    It is 0 where they are not said as usual. The file is left at its beginning.

    Raises:
      UserError: Pillow and libtiff read its head differently, or its lists are of 64
        bits.
    """
    try:
        if (head := file.read(4)) in _ODD_HEADS:
            raise ambiguous(name, "a head")
        if head in BIG:
            raise of_64_bits(name)
        if head not in CLASSIC:
            return None
        found: dict[int, int] = {}
        for entry in _entries(file):
            found.setdefault(entry.tag, entry.number)
        return max(found.get(Tag.WIDTH, 0), 0) * max(found.get(Tag.HEIGHT, 0), 0)
    except struct.error:  # it ends before, as whatever reads it will say
        return 0
    finally:
        file.seek(0)


def of_64_bits(name: str) -> UserError:
    """Returns the refusal of a BigTIFF."""
    return UserError(
        f"{name} is a TIFF of 64-bit offsets (BigTIFF), which is not read. Save it as "
        "a plain TIFF."
    )


def ambiguous(name: str, what: str) -> UserError:
    """Returns the refusal of a TIFF of which decoders may read other numbers."""
    return UserError(
        f"{name} has {what} in a form that decoders read differently. Save it anew "
        "with another program, or leave it out."
    )


def check_entries(file: IO[bytes], tags: Any, name: str) -> None:
    """Refuses a TIFF of which Pillow has not read what is checked.

    It takes no entry behind others that claim more bytes than there are, which what
    decodes the pixels does.

    Args:
      file: the TIFF.
      tags: as Pillow has read them.
      name: of the file, for messages.

    Raises:
      UserError: an entry by which pixels are decoded is such a one.
    """
    for entry in _entries(file):
        if entry.tag in _KNOWN and entry.tag not in tags:
            raise ambiguous(name, f"entry {entry.tag}")

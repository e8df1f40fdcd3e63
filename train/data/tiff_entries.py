"""Entries of a TIFF's directory, and what of them would keep a decoder busy."""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
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

_HEAD = 8  # bytes of a TIFF before anything else
_HEADS = (b"II*\0", b"MM\0*", b"II+\0")
_ODD_HEADS = (b"II\0*", b"MM*\0", b"MM\0+")  # of which Pillow makes what it can
_BIG_TIFF, _ENTRIES = 43, 2**16  # its version; entries of a page at most
# Types: numbers of 16, 32 and 64 bits without a sign, and their bytes.
_NUMBERS = {3: ("H", 2), 4: ("I", 4), 16: ("Q", 8)}
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


def _entries(file: IO[bytes]) -> Iterator[tuple[int, int, int]]:
    """Yields tag, type and single number of each entry of a TIFF's first directory.

    The number is -1 where an entry has several, or one of another type.
    """
    file.seek(0)
    order = "<" if file.read(2) == b"II" else ">"
    (version,) = struct.unpack(f"{order}H", file.read(2))
    is_big = version == _BIG_TIFF
    if is_big:
        file.seek(8)
    place, count, entry = ("Q", "Q", "HHQ8s") if is_big else ("I", "H", "HHI4s")

    def read(kinds: str) -> tuple[Any, ...]:
        return struct.unpack(order + kinds, file.read(struct.calcsize("=" + kinds)))

    file.seek(read(place)[0])
    (entries,) = read(count)
    for _ in range(min(entries, _ENTRIES)):
        tag, kind, length, value = read(entry)
        number = -1
        if length == 1 and kind in _NUMBERS and _NUMBERS[kind][1] <= len(value):
            (number,) = struct.unpack_from(order + _NUMBERS[kind][0], value)
        yield tag, kind, number


def claimed_pixels(file: IO[bytes], name: str) -> int | None:
    """Returns the pixels that a TIFF says it has, None of another file.

    It is 0 where they are not said as usual. The file is left at its beginning.

    Raises:
      UserError: Pillow and libtiff read its head differently.
    """
    try:
        if (head := file.read(4)) in _ODD_HEADS:
            raise _ambiguous(name, "a head")
        if head not in _HEADS:
            return None
        found: dict[int, int] = {}
        for tag, _, number in _entries(file):
            found.setdefault(tag, number)
        return max(found.get(Tag.WIDTH, 0), 0) * max(found.get(Tag.HEIGHT, 0), 0)
    except struct.error:  # it ends before, as whatever reads it will say
        return 0
    finally:
        file.seek(0)


def _ambiguous(name: str, what: str) -> UserError:
    return UserError(
        f"{name} has {what} in a form that decoders read differently. Save it anew "
        "with another program, or leave it out."
    )


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
    for tag, kind, _ in _entries(file):
        if tag in _SIZES and (kind not in _NUMBERS or tag not in tags):
            raise _ambiguous(name, f"entry {tag}")


def check_strips(image: Image.Image, size: int, name: str) -> None:
    """Refuses a TIFF whose strips or tiles share bytes, or are not there.

    Each is decoded. Those that a sparse file leaves out have place 0, from where Pillow
    takes the pixels of one without compression.

    Args:
      image: the TIFF.
      size: of its file, bytes.
      name: of the file, for messages.

    Raises:
      UserError: they have twice the bytes of the file together.
      ValueError: one lies where the file's head does.
    """
    tags = image.tag_v2  # type: ignore[attr-defined]
    for tag in (Tag.STRIP_SIZES, Tag.TILE_SIZES):
        if (parts := sum(_numbers(tags, tag))) > 2 * size:
            raise too_much(name, f"parts of {parts} bytes together in {size}")
    for tag in (Tag.STRIPS, Tag.TILES):
        if min(_numbers(tags, tag), default=_HEAD) < _HEAD:
            raise ValueError("parts of its pixels are not in the file, which is sparse")


def _numbers(tags: Any, tag: int) -> tuple[int, ...]:
    found = tags.get(tag, ())
    return found if isinstance(found, tuple) else (found,)

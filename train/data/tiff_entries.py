"""Entries of a TIFF's directory: which are read, and refusals of others."""

from __future__ import annotations

import enum

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
ODD_HEADS = (b"II\0*", b"MM*\0")  # of which Pillow makes what it can
NUMBERS = {3: "H", 4: "I"}  # types that are read: 16 and 32 bits, without a sign

# Of which there is a number for each part.
OF_CHANNELS = (Tag.BITS, Tag.FORMAT, Tag.EXTRA)  # which have a number for each
PART_LISTS = (Tag.STRIPS, Tag.STRIP_SIZES, Tag.TILES, Tag.TILE_SIZES)
MOST_NUMBERS = 64  # of channels; other tags have one


def is_tiff(head: bytes) -> bool:
    """Returns whether a file is a TIFF, told by its first bytes."""
    return head[:4] in (*CLASSIC, *BIG, *ODD_HEADS)


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


def of_64_bits(name: str) -> UserError:
    """Returns the refusal of a BigTIFF."""
    return UserError(
        f"{name} is a TIFF of 64-bit offsets (BigTIFF), or of a size that has such, "
        "which is not read. Save it as a plain TIFF of less than 4 GiB."
    )


def ambiguous(name: str, what: str) -> UserError:
    """Returns the refusal of a TIFF of which decoders may read other numbers."""
    return UserError(
        f"{name} has {what} in a form that decoders read differently. Save it anew "
        "with another program, or leave it out."
    )

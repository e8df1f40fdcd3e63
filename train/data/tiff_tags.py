"""The directories of a TIFF: where its pixels lie, and which kinds are not read."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO, NamedTuple

from train.common.errors import UserError
from train.data.forms import Form
from train.data.image_files import check_picture
from train.data.image_work import too_much
from train.data.tiff_entries import PAGES, REDUCED_OR_MASK, Tag, too_many_pages

_CLASSIC, _BIG = (b"II*\0", b"MM\0*"), (b"II+\0", b"MM\0+")


# Of which there is a number for each part.
_LISTS = (Tag.STRIPS, Tag.STRIP_SIZES, Tag.TILES, Tag.TILE_SIZES)
_FEW, _ENTRIES = 64, 4096  # numbers of any other tag; tags of a directory
_TYPES = {1: "B", 3: "H", 4: "I"}  # whole numbers, of 8, 16 and 32 bits

_LOSSLESS = {1: "none", 5: "LZW", 8: "deflate", 32946: "deflate", 32773: "PackBits"}
_WITH_PREDICTOR = (5, 8, 32946)
_COLORS = (1, 2, 5)  # gray levels up from black, RGB, inks: values are what they are


def is_tiff(head: bytes) -> bool:
    """Returns whether a file is a TIFF, told by its first bytes."""
    return head[:4] in (*_CLASSIC, *_BIG)


class TiffLayout(NamedTuple):
    """How the pixels of a TIFF lie in its file."""

    width: int
    height: int
    form: Form
    separate: bool  # channel after channel
    tile: tuple[int, int] | None  # width and height, pixels
    rows: int  # of a strip
    offsets: Sequence[int]
    sizes: Sequence[int]
    compression: int
    sums: bool  # whether values are differences
    orientation: int


def layout_of(file: TiffFile) -> TiffLayout:
    """Returns where the pixels of the first page lie.

    Raises:
      UserError: as `tiff_pixels`.
      KeyError, IndexError, struct.error: it lacks a number.
    """
    file.file.seek(0)
    if file.file.read(4) in _BIG:
        raise _refused(file, "of 64-bit offsets (BigTIFF)", "Save it as a plain TIFF.")
    tags, *others = file.pages()
    width, height = tags[Tag.WIDTH][0], tags[Tag.HEIGHT][0]
    tile = None
    if Tag.TILES in tags:
        tile = tags[Tag.TILE_WIDTH][0], tags[Tag.TILE_HEIGHT][0]
    check_picture(file.name, width, height, tile)
    _check_read(file, tags, others)
    compression, predictor, samples, planar, turned = (
        tags.get(tag, (1,))[0]
        for tag in (
            *(Tag.COMPRESSION, Tag.PREDICTOR, Tag.SAMPLES, Tag.PLANAR),
            Tag.ORIENTATION,
        )
    )
    separate = planar == 2 and samples > 1
    rows = min(tags.get(Tag.ROWS, (height,))[0] or height, height)
    across, down = (width, rows) if tile is None else tile
    count = -(-width // across) * -(-height // down) * (samples if separate else 1)
    lists = _LISTS[:2] if tile is None else _LISTS[2:]
    offsets, sizes = (tags[tag] for tag in lists)
    if not len(offsets) == len(sizes) == count or sum(sizes) > file.size:
        raise ValueError("its parts are not those of its size")
    return TiffLayout(
        width,
        height,
        Form(samples, tags[Tag.BITS][0]),
        separate,
        tile,
        rows,
        offsets,
        sizes,
        compression,
        predictor == 2 and compression in _WITH_PREDICTOR,
        turned if turned in range(1, 9) else 1,
    )


_Tags = Mapping[int, tuple[int, ...]]


def _check_read(file: TiffFile, tags: _Tags, others: Sequence[_Tags]) -> None:
    """Refuses the kinds of TIFF that are not read."""
    if not all(page.get(Tag.SUBFILE, (0,))[0] & REDUCED_OR_MASK for page in others):
        raise _refused(
            file,
            "of several pictures (pages)",
            "Save it as one picture, with all channels at each pixel.",
        )
    bits, kinds = set(tags.get(Tag.BITS, (1,))), set(tags.get(Tag.FORMAT, (1,)))
    if kinds != {1} or bits not in ({8}, {16}):
        raise _refused(
            file,
            "of other values than whole numbers of 8 or 16 bits",
            "Convert it, with the range you want the network to see.",
        )
    if tags.get(Tag.PHOTOMETRIC, (1,))[0] not in _COLORS:
        raise _refused(file, "of a palette, or of colors in YCbCr", "Save it as RGB.")
    known = tags.get(Tag.COMPRESSION, (1,))[0] in _LOSSLESS
    if not known or tags.get(Tag.FILL_ORDER, (1,))[0] != 1:
        raise _refused(
            file,
            "of another compression",
            f"Save it with one of: {', '.join(dict.fromkeys(_LOSSLESS.values()))}.",
        )
    if tags.get(Tag.PREDICTOR, (1,))[0] not in (1, 2):
        raise _refused(file, "of another predictor", "Save it without.")


def _refused(file: TiffFile, what: str, way_out: str) -> UserError:
    return UserError(f"{file.name} is a TIFF {what}, which is not read. {way_out}")


class TiffFile:
    """A TIFF, of which single numbers are read.

    Raises:
      UserError: it is one of 64-bit offsets.
      struct.error: what is asked for is not in it.
    """

    def __init__(self, file: BinaryIO, name: str):
        self.file, self.name, self.size = file, name, file.seek(0, 2)
        file.seek(0)
        self.order = "<" if file.read(2) == b"II" else ">"

    def numbers(self, kinds: str, at: int) -> tuple[int, ...]:
        """Returns the numbers at a place."""
        size = struct.calcsize(self.order + kinds)
        if at + size > self.size:
            raise struct.error(f"nothing is at byte {at}")
        self.file.seek(at)
        return struct.unpack(self.order + kinds, self.file.read(size))

    def pages(self) -> Iterator[dict[int, tuple[int, ...]]]:
        """Yields the whole numbers of each directory by tag, of the first all."""
        (at,), known = self.numbers("I", 4), set(map(int, Tag))
        for _ in range(PAGES):
            (count,) = self.numbers("H", at)
            if count > _ENTRIES:
                raise too_much(self.name, f"{count} tags")
            found = {}
            for place in range(at + 2, at + 2 + 12 * count, 12):
                tag, kind, length = self.numbers("HHI", place)
                few = length <= _FEW or tag in _LISTS
                if tag in known and tag not in found and kind in _TYPES and few:
                    found[tag] = self._values(place + 8, f"{length}{_TYPES[kind]}")
            yield found
            known = {Tag.SUBFILE}
            (at,) = self.numbers("I", at + 2 + 12 * count)
            if not at:
                return
        raise too_many_pages(self.name)

    def _values(self, place: int, kinds: str) -> tuple[int, ...]:
        if struct.calcsize(self.order + kinds) > 4:
            (place,) = self.numbers("I", place)
        return self.numbers(kinds, place)

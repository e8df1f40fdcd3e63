"""The directories of a TIFF: which kind it is, and where its pixels lie.

Both readers, Pillow and that of other channels, take a TIFF for whole by these.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import BinaryIO, NamedTuple

import numpy as np

from train.common.errors import UserError
from train.data.image_work import too_much
from train.data.tiff_entries import (
    HEAD_BYTES,
    MOST_NUMBERS,
    NUMBERS,
    OF_CHANNELS,
    OLD_REDUCED,
    PAGES,
    PART_LISTS,
    REDUCED_OR_MASK,
    Tag,
    ambiguous,
    too_many_pages,
)

_ENTRIES = 4096  # tags of a directory

# Whose decoders fail of a part that is cut short. Those of JPEG and of fax fill up what
# is missing, and tell nobody but the terminal.
_NONE = 1
COMPRESSIONS = {
    _NONE: "none",
    5: "LZW",
    8: "deflate",
    32946: "deflate",
    32773: "PackBits",
    34925: "LZMA",
    50000: "zstd",
}
_FAX = dict.fromkeys((2, 3, 4, 32771), "fax, CCITT")
_OTHERS = {**_FAX, 6: "JPEG", 7: "JPEG", 34712: "JPEG 2000", 50001: "WebP"}
WHITE_IS_ZERO = 0

Tags = Mapping[int, tuple[int, ...]]


class NumberList(NamedTuple):
    """Where the numbers of a list lie, one for each part."""

    kind: str
    length: int
    place: int


class Kind(NamedTuple):
    """What a reader of TIFFs takes."""

    bits: tuple[int, ...]  # of a value
    colors: tuple[int, ...]  # PhotometricInterpretation


class Parts(NamedTuple):
    """The strips or the tiles of a TIFF."""

    tile: tuple[int, int] | None  # width and height, pixels
    rows: int  # of a strip
    offsets: np.ndarray  # of each part, bytes from the file's beginning
    sizes: np.ndarray  # likewise, bytes


def check_tiff_kind(file: TiffFile, tags: Tags, kind: Kind) -> None:
    """Refuses the kinds of TIFF that a reader does not take."""
    bits, formats = set(tags.get(Tag.BITS, (1,))), set(tags.get(Tag.FORMAT, (1,)))
    if formats != {1} or len(bits) > 1 or not bits <= {*kind.bits}:
        *others, last = map(str, kind.bits)
        raise not_read(
            file,
            f"of other values than whole numbers of {', '.join(others)} or {last} bits "
            "without a sign",
            "Convert it, with the range you want the network to see.",
        )
    code = tags.get(Tag.COMPRESSION, (1,))[0]
    if code not in COMPRESSIONS:
        raise not_read(
            file,
            f"of another compression ({_OTHERS.get(code, code)})",
            f"Save it with one of: {', '.join(dict.fromkeys(COMPRESSIONS.values()))}.",
        )
    if tags.get(Tag.FILL_ORDER, (1,))[0] != 1:
        raise not_read(file, "whose bytes begin with their lowest bit", "Save it anew.")
    colors = tags.get(Tag.PHOTOMETRIC, (1,))[0]
    if colors not in kind.colors:
        if colors == WHITE_IS_ZERO:
            raise not_read(file, "whose 0 is white", "Save it with 0 for black.")
        raise not_read(
            file,
            "of a palette, or of colors in YCbCr, Lab or others",
            "Save it as RGB, gray levels or CMYK.",
        )
    if tags.get(Tag.PREDICTOR, (1,))[0] not in (1, 2):
        raise not_read(file, "of another predictor", "Save it without.")


def not_read(file: TiffFile, what: str, way_out: str) -> UserError:
    """Returns the refusal of a kind of TIFF."""
    return UserError(f"{file.name} is a TIFF {what}, which is not read. {way_out}")


def strips_or_tiles(
    file: TiffFile, tags: Tags, lists: Mapping[int, NumberList]
) -> Parts:
    """Returns where the pixels of a page lie, all of them.

    Raises:
      ValueError: a part does not lie in the file whole, or there are more or fewer
        parts than the page's size makes.
      KeyError, IndexError, struct.error: it lacks a number.
    """
    width, height = tags[Tag.WIDTH][0], tags[Tag.HEIGHT][0]
    in_tiles = {Tag.TILES, Tag.TILE_SIZES, Tag.TILE_WIDTH} & {*tags, *lists}
    if in_tiles and {Tag.STRIPS, Tag.STRIP_SIZES} & {*lists}:
        raise ValueError("it has both strips and tiles")
    tile = None
    rows = min(tags.get(Tag.ROWS, (height,))[0], height)
    if in_tiles:
        tile = tags[Tag.TILE_WIDTH][0], tags[Tag.TILE_HEIGHT][0]
    across, down = tile or (width, rows)
    if min(width, height, across, down) < 1:
        raise ValueError("it has no pixels, or parts without any")
    bits, samples, planar = (
        tags.get(tag, (1,))[0] for tag in (Tag.BITS, Tag.SAMPLES, Tag.PLANAR)
    )
    planes = samples if planar == 2 else 1
    count = -(-width // across) * -(-height // down) * planes
    offsets, sizes = (
        file.whole_list(lists[tag], count)
        for tag in (PART_LISTS[:2] if tile is None else PART_LISTS[2:])
    )
    _check_parts(offsets, sizes, file.size)
    if tags.get(Tag.COMPRESSION, (1,))[0] == _NONE:
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

    def one_page(self) -> tuple[Tags, Mapping[int, NumberList]]:
        """Returns the whole numbers of the first directory, by tag, and its lists.

        Raises:
          UserError: it is itself a smaller copy or a mask, another page is none of it,
            or there are more pages than an image could need.
        """
        first, *others = self._pages()
        (kind, *_), (old, *_) = (
            first[0].get(tag, (0,)) for tag in (Tag.SUBFILE, Tag.OLD_SUBFILE)
        )
        if kind & REDUCED_OR_MASK or old == OLD_REDUCED:
            raise not_read(
                self,
                "whose first page is a smaller copy or a mask of a picture elsewhere",
                "Save that picture as a file of its own.",
            )
        kinds = [page.get(Tag.SUBFILE, (0,))[0] for page, _ in others]
        if not all(kind & REDUCED_OR_MASK for kind in kinds):
            raise not_read(
                self,
                "of several pictures (pages)",
                "Save one as a file of its own, with all channels at each pixel.",
            )
        return first

    def _pages(self) -> Iterator[tuple[Tags, Mapping[int, NumberList]]]:
        """Yields the whole numbers of each directory by tag, of the first all.

        What has a number for each part is left where it is, for `whole_list`: lists may
        claim any length, and each may claim all of the file.

        Raises:
          UserError: an entry that counts is of a type, or of more numbers, than are
            read, or there twice: decoders take the first, the last, or none.
        """
        (at,), known = self.numbers("I", 4), set(map(int, Tag))
        for _ in range(PAGES):
            (count,) = self.numbers("H", at)
            if count > _ENTRIES:
                raise too_much(self.name, f"{count} tags")
            found: dict[int, tuple[int, ...]] = {}
            lists: dict[int, NumberList] = {}
            for place in range(at + 2, at + 2 + 12 * count, 12):
                tag, kind, length = self.numbers("HHI", place)
                if tag not in known:
                    continue
                most = MOST_NUMBERS if tag in OF_CHANNELS else 1
                wrong = tag not in PART_LISTS and not 1 <= length <= most
                if kind not in NUMBERS or tag in {*found, *lists} or wrong:
                    raise ambiguous(self.name, f"entry {tag}")
                if tag in PART_LISTS:
                    lists[tag] = NumberList(NUMBERS[kind], length, place + 8)
                else:
                    kinds = f"{length}{NUMBERS[kind]}"
                    found[tag] = self.numbers(kinds, self._behind(place + 8, kinds))
            yield found, lists
            known = {Tag.SUBFILE}
            (at,) = self.numbers("I", at + 2 + 12 * count)
            if not at:
                return
        raise too_many_pages(self.name)

    def whole_list(self, found: NumberList, count: int) -> np.ndarray:
        """Returns the numbers of a list, int64.

        Raises:
          ValueError: they are not so many.
        """
        if found.length != count:
            raise ValueError(
                f"it names {found.length} parts, and its size makes {count}"
            )
        kinds = f"{count}{found.kind}"
        place = self._behind(found.place, kinds)
        size = struct.calcsize(self.order + kinds)
        if place + size > self.size:
            raise struct.error(f"nothing is at byte {place}")
        self.file.seek(place)
        kind = f"{self.order}u{size // count}"
        return np.frombuffer(self.file.read(size), kind).astype(np.int64)

    def _behind(self, place: int, kinds: str) -> int:
        """Returns where values lie, which are in their entry only if they fit."""
        if struct.calcsize(self.order + kinds) <= 4:
            return place
        return self.numbers("I", place)[0]

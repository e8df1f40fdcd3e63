"""The directories of a TIFF, and which kind it is.

Both readers, Pillow and that of other channels, take a TIFF for whole by these.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import BinaryIO, NamedTuple

import numpy as np

from train.common.errors import UserError
from train.data.image_work import too_much
from train.data.tiff_entries import (
    BIG,
    CLASSIC,
    MOST_NUMBERS,
    NUMBERS,
    ODD_HEADS,
    OF_CHANNELS,
    OLD_REDUCED,
    PAGES,
    PART_LISTS,
    REDUCED_OR_MASK,
    Tag,
    ambiguous,
    of_64_bits,
    too_many_pages,
)

_ENTRIES = 4096  # tags of a directory
_MOST_BYTES = 2**32 - 2**20  # of a TIFF, whose places have 32 bits

# Whose decoders fail of a part that is cut short. Those of JPEG and of fax fill up what
# is missing, and tell nobody but the terminal.
PLAIN = 1
COMPRESSIONS = {
    PLAIN: "none",
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


class Page(NamedTuple):
    """A directory: its whole numbers by tag, and its lists."""

    tags: Tags
    lists: Mapping[int, NumberList]

    @property
    def width(self) -> int:
        """Width, pixels."""
        return self.tags[Tag.WIDTH][0]

    @property
    def height(self) -> int:
        """Height, pixels."""
        return self.tags[Tag.HEIGHT][0]

    @property
    def tile(self) -> tuple[int, int] | None:
        """Width and height of a tile, pixels; None of strips."""
        if Tag.TILES not in self.lists:
            return None
        return self.tags[Tag.TILE_WIDTH][0], self.tags[Tag.TILE_HEIGHT][0]

    @property
    def orientation(self) -> int:
        """The number by which it is turned, as EXIF's; 1 for none."""
        number = self.tags.get(Tag.ORIENTATION, (1,))[0]
        return number if number in range(1, 9) else 1


class Kind(NamedTuple):
    """What a reader of TIFFs takes."""

    bits: tuple[int, ...]  # of a value
    colors: tuple[int, ...]  # PhotometricInterpretation


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
    colors = tags[Tag.PHOTOMETRIC][0]
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


def with_directory(
    order: str, size: int, entries: Mapping[int, Sequence[int] | np.ndarray]
) -> tuple[bytes, bytes]:
    """Returns another head and what is behind a TIFF that has another directory alone.

    Args:
      order: of its bytes, as `struct` has it.
      size: of the TIFF, bytes.
      entries: the numbers of each tag.
    """
    padding = bytes(size % 2)
    start = size + len(padding)
    behind = start + 2 + 12 * len(entries) + 4
    directory, lists = [struct.pack(order + "H", len(entries))], b""
    for tag, values in sorted(entries.items()):
        packed = np.asarray(values).astype(order + "u4").tobytes()
        place = packed
        if len(values) > 1:
            place = struct.pack(order + "I", behind + len(lists))
            lists += packed
        directory.append(struct.pack(order + "HHI", tag, 4, len(values)) + place)
    directory.append(bytes(4))
    head = CLASSIC[order == ">"] + struct.pack(order + "I", start)
    return head, padding + b"".join(directory) + lists


class TiffFile:
    """A TIFF, of which single numbers are read.

    Raises:
      UserError: it is one of 64-bit offsets, or decoders read its head differently.
      struct.error: what is asked for is not in it.
    """

    def __init__(self, file: BinaryIO, name: str):
        self.file, self.name, self.size = file, name, file.seek(0, 2)
        file.seek(0)
        if (head := file.read(4)) in ODD_HEADS:
            raise ambiguous(name, "a head")
        if head in BIG or self.size >= _MOST_BYTES:
            raise of_64_bits(name)
        self.order = "<" if head.startswith(b"II") else ">"

    def numbers(self, kinds: str, at: int) -> tuple[int, ...]:
        """Returns the numbers at a place."""
        size = struct.calcsize(self.order + kinds)
        if at + size > self.size:
            raise struct.error(f"nothing is at byte {at}")
        self.file.seek(at)
        return struct.unpack(self.order + kinds, self.file.read(size))

    def one_page(self) -> Page:
        """Returns the first directory.

        Raises:
          UserError: it is itself a smaller copy or a mask, another page is none of it,
            it lacks an entry, or there are more pages than an image could need.
          ValueError: it has both strips and tiles.
        """
        first, *others = self._pages()
        self._check_there({*first.tags, *first.lists})
        (kind, *_), (old, *_) = (
            first.tags.get(tag, (0,)) for tag in (Tag.SUBFILE, Tag.OLD_SUBFILE)
        )
        if kind & REDUCED_OR_MASK or old == OLD_REDUCED:
            raise not_read(
                self,
                "whose first page is a smaller copy or a mask of a picture elsewhere",
                "Save that picture as a file of its own.",
            )
        kinds = [page.tags.get(Tag.SUBFILE, (0,))[0] for page in others]
        if not all(kind & REDUCED_OR_MASK for kind in kinds):
            raise not_read(
                self,
                "of several pictures (pages)",
                "Save one as a file of its own, with all channels at each pixel.",
            )
        return first

    def _check_there(self, tags: Set[int]) -> None:
        """Refuses a directory that does not say where its pixels are, or of what."""
        parts: tuple[Tag, ...] = (
            Tag.TILES,
            Tag.TILE_SIZES,
            Tag.TILE_WIDTH,
            Tag.TILE_HEIGHT,
        )
        if {Tag.STRIPS, Tag.STRIP_SIZES} & tags:
            if not tags.isdisjoint(parts):
                raise ValueError("it has both strips and tiles")
            parts = (Tag.STRIPS, Tag.STRIP_SIZES)
        for tag in (Tag.WIDTH, Tag.HEIGHT, Tag.PHOTOMETRIC, *parts):
            if tag not in tags:
                what = tag.name.lower().replace("_", " ")
                raise UserError(
                    f"{self.name} is a TIFF without entry {tag} ({what}). Save it anew "
                    "with another program, or leave it out."
                )

    def _pages(self) -> Iterator[Page]:
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
            yield Page(found, lists)
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

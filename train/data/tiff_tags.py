"""The directories of a TIFF: where its pixels lie, and which kinds are not read."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np

from train.common.errors import UserError
from train.common.regular import check_size
from train.data.forms import Form
from train.data.image_files import check_picture, most_bytes
from train.data.image_work import too_much
from train.data.tiff_entries import (
    PAGES,
    REDUCED_OR_MASK,
    Tag,
    too_many_pages,
)

_CLASSIC, _BIG = (b"II*\0", b"MM\0*"), (b"II+\0", b"MM\0+")


# Of which there is a number for each part.
_LISTS = (Tag.STRIPS, Tag.STRIP_SIZES, Tag.TILES, Tag.TILE_SIZES)
_FEW, _ENTRIES = 64, 4096  # numbers of any other tag; tags of a directory
_TYPES = {1: "B", 3: "H", 4: "I"}  # whole numbers, of 8, 16 and 32 bits

_NONE = 1
_LOSSLESS = {_NONE: "none", 5: "LZW", 8: "deflate", 32946: "deflate", 32773: "PackBits"}
_WITH_PREDICTOR = (5, 8, 32946)
_WHITE_IS_ZERO = 0
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
    offsets: np.ndarray  # of each part, bytes from the file's beginning
    sizes: np.ndarray  # likewise, bytes
    compression: int
    sums: bool  # whether values are differences
    orientation: int


def layout_of(file: TiffFile) -> TiffLayout:
    """Returns where the pixels of the first page lie.

    Raises:
      UserError: as `tiff_pixels`.
      ValueError: a part does not lie in it whole, or there are more or fewer parts.
      KeyError, IndexError, struct.error: it lacks a number.
    """
    file.file.seek(0)
    if file.file.read(4) in _BIG:
        raise _refused(file, "of 64-bit offsets (BigTIFF)", "Save it as a plain TIFF.")
    (tags, lists), *others = file.pages()
    width, height = tags[Tag.WIDTH][0], tags[Tag.HEIGHT][0]
    tile = None
    if Tag.TILES in lists:
        tile = tags[Tag.TILE_WIDTH][0], tags[Tag.TILE_HEIGHT][0]
    check_picture(file.name, width, height, tile)
    _check_read(file, tags, [page for page, _ in others])
    compression, predictor, samples, planar, turned = (
        tags.get(tag, (1,))[0]
        for tag in (
            *(Tag.COMPRESSION, Tag.PREDICTOR, Tag.SAMPLES, Tag.PLANAR),
            Tag.ORIENTATION,
        )
    )
    separate = planar == 2 and samples > 1
    form = Form(samples, tags[Tag.BITS][0])
    each = form.channels * form.dtype.itemsize
    check_size(file.name, file.size, most_bytes(width * height, each))
    rows = min(tags.get(Tag.ROWS, (height,))[0] or height, height)
    across, down = (width, rows) if tile is None else tile
    planes = samples if separate else 1
    count = -(-width // across) * -(-height // down) * planes
    offsets, sizes = (
        file.whole_list(lists[tag], count)
        for tag in (_LISTS[:2] if tile is None else _LISTS[2:])
    )
    _check_parts(offsets, sizes, file.size)
    if compression == _NONE:
        whole = across * down * each // planes
        ends = across * (height % down or down) * each // planes
        _check_raw(sizes.reshape(planes, -1), whole, whole if tile else ends)
    return TiffLayout(
        width,
        height,
        form,
        separate,
        tile,
        rows,
        offsets,
        sizes,
        compression,
        predictor == 2 and compression in _WITH_PREDICTOR,
        turned if turned in range(1, 9) else 1,
    )


def _check_parts(offsets: np.ndarray, sizes: np.ndarray, end: int) -> None:
    """Refuses parts that are not in the file, of which other bytes would be read."""
    lies = (sizes > 0) & (offsets + sizes <= end)
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


_Tags = Mapping[int, tuple[int, ...]]


class _List(NamedTuple):
    """Where the numbers of a list lie, one for each part."""

    kind: str
    length: int
    place: int


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
    colors = tags.get(Tag.PHOTOMETRIC, (1,))[0]
    if colors == _WHITE_IS_ZERO:
        raise _refused(file, "whose 0 is white", "Save it with 0 for black.")
    if colors not in _COLORS:
        raise _refused(
            file,
            "of a palette, or of colors in YCbCr or Lab",
            "Save it as gray levels, RGB or CMYK.",
        )
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

    def pages(self) -> Iterator[tuple[_Tags, Mapping[int, _List]]]:
        """Yields the whole numbers of each directory by tag, of the first all.

        What has a number for each part is left where it is, for `whole_list`: lists may
        claim any length, and each may claim all of the file.
        """
        (at,), known = self.numbers("I", 4), set(map(int, Tag))
        for _ in range(PAGES):
            (count,) = self.numbers("H", at)
            if count > _ENTRIES:
                raise too_much(self.name, f"{count} tags")
            found: dict[int, tuple[int, ...]] = {}
            lists: dict[int, _List] = {}
            for place in range(at + 2, at + 2 + 12 * count, 12):
                tag, kind, length = self.numbers("HHI", place)
                if tag not in known or tag in found or kind not in _TYPES:
                    continue
                if tag in _LISTS:
                    lists.setdefault(tag, _List(_TYPES[kind], length, place + 8))
                elif length <= _FEW:
                    kinds = f"{length}{_TYPES[kind]}"
                    found[tag] = self.numbers(kinds, self._behind(place + 8, kinds))
            yield found, lists
            known = {Tag.SUBFILE}
            (at,) = self.numbers("I", at + 2 + 12 * count)
            if not at:
                return
        raise too_many_pages(self.name)

    def whole_list(self, found: _List, count: int) -> np.ndarray:
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

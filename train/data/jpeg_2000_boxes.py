"""What the components of a JPEG 2000 mean, where Pillow takes them for others."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from train.common.errors import UserError
from train.data.image_work import component_depths

_SIGNATURE = b"\0\0\0\x0cjP  "  # of a file of boxes; others are a codestream alone
_ENUMERATED, _ICC = 1, (2, 3)  # ways of saying a color space
# Channels of each that is read, without and with opacity: sRGB, gray, sYCC and CMYK by
# their numbers, and those of an ICC profile.
_COLORS: dict[int | bytes, tuple[int, ...]] = {
    **{16: (3, 4), 17: (1, 2), 18: (3, 4), 12: (4,)},
    **{b"RGB ": (3, 4), b"GRAY": (1, 2)},
}


def check_components(content: bytes, name: str) -> None:
    """Refuses a JPEG 2000 whose components Pillow takes for others than they are.

    Args:
      content: of the file.
      name: of it, for messages.

    Raises:
      UserError: it is of such a kind; the message says which.
      ValueError: it has several heads or none, or a box is shorter than its own head.
      struct.error: a box is cut short.
    """
    if component_depths(content) - {8}:  # Pillow rounds white up, to black
        raise _refused(name, "of other than 8 bits without a sign")
    if not content.startswith(_SIGNATURE):
        return
    (header,) = (box for kind, box in _boxes(memoryview(content)) if kind == b"jp2h")
    parts = list(_boxes(header))
    kinds = {kind for kind, _ in parts}
    if kinds & {b"pclr", b"cmap"}:
        raise _refused(name, "with a palette")
    _, _, channels = struct.unpack_from(">IIH", dict(parts)[b"ihdr"])
    spaces = {_space(box) for kind, box in parts if kind == b"colr"}
    known = _COLORS.get(spaces.pop(), ()) if len(spaces) == 1 else ()
    if channels not in known:
        raise _refused(name, "whose colors are not gray, RGB, YCC or CMYK alone")
    for kind, box in parts:
        if kind == b"cdef" and not _in_order(box, known[0]):
            raise _refused(name, "whose channels are in another order than usual")


def _boxes(content: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yields kind and content of each box, up to that of the pixels."""
    at = 0
    while at < len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        head = 8
        if size == 1:
            (size,), head = struct.unpack_from(">Q", content, at + 8), 16
        size = size or len(content) - at
        if size < head:
            raise ValueError("a part is shorter than its own head")
        if kind == b"jp2c":
            return
        yield kind, content[at + head : at + size]
        at += size


def _space(box: memoryview) -> int | bytes:
    """Returns the color space that a box says, by its number or a profile's name."""
    way, number = struct.unpack_from(">BxxI", box)
    if way == _ENUMERATED:
        return number
    return bytes(box[19:23]) if way in _ICC else b""


def _in_order(box: memoryview, colors: int) -> bool:
    """Returns whether channels are those of their places, opacity and others behind."""
    (count,) = struct.unpack_from(">H", box)
    said = struct.unpack_from(f">{3 * count}H", box, 2)
    return all(
        (kind, of) == (0, channel + 1) if channel < colors else kind != 0
        for channel, kind, of in zip(said[::3], said[1::3], said[2::3], strict=True)
    )


def _refused(name: str, what: str) -> UserError:
    return UserError(
        f"{name} is a JPEG 2000 {what}, which is not read. Save it as PNG."
    )

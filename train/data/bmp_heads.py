"""The head of a BMP, of which Pillow misreads some kinds: those are refused."""

from __future__ import annotations

import struct
from typing import IO

from PIL import Image

from train.common.errors import UserError

# Bytes of the second head: OS/2's first one, and Windows' without those between.
_OS_2, _HEADS = 12, (12, 40, 52, 56, 108, 124)
_PLAIN, _BY_MASKS = 0, 3  # compressions
_PALETTES = (1, 4, 8)  # bits
_MASKS = {  # of red, green, blue and alpha
    16: ((0xF800, 0x7E0, 0x1F, 0), (0x7C00, 0x3E0, 0x1F, 0)),
    32: (
        (0xFF0000, 0xFF00, 0xFF, 0),
        (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
        (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
    ),
}
# Bits of a pixel that Pillow reads as levels of a mode. It takes a palette of black and
# white for bits, and one of 0, 1, 2 … for bytes, whatever the pixels are.
_BITS = {"1": (1,), "L": (8,)}


def check_bmp(file: IO[bytes], image: Image.Image, name: str) -> None:
    """Refuses a BMP whose pixels Pillow reads as others than they are, or may.

    Args:
      file: the BMP; it is left wherever it was read.
      image: the same, as Pillow has opened it.
      name: of the file, for messages.

    Raises:
      UserError: it is of such a kind; the message says which.
      ValueError: its pixels begin within its head or its palette.
      struct.error: it ends before.
    """
    file.seek(10)
    start, size = struct.unpack("<II", file.read(8))
    if size not in _HEADS:
        raise _refused(name, f"whose head has {size} bytes,")
    if size == _OS_2:
        _, bits = struct.unpack("<4xHH", file.read(8))
        compression, used, entry = _PLAIN, 0, 3
    else:
        bits, compression, used = struct.unpack("<10xHI12xI4x", file.read(36))
        entry = 4
    if compression not in (_PLAIN, _BY_MASKS):
        raise _refused(name, "with run lengths, or of another compression,")
    needed = 14 + size
    if compression == _BY_MASKS:
        masks = struct.unpack("<4I", file.read(16))
        if size < 56:  # which says nothing of alpha
            masks = (*masks[:3], 0)
        if masks not in _MASKS.get(bits, ()):
            raise _refused(name, "of other masks of bits than usual,")
        needed += 12 if size == 40 else 0
    if bits in _PALETTES:
        needed += entry * (used or 2**bits)
    if start < needed:
        raise ValueError("its pixels begin within its head")
    levels = image.mode == "L" and used not in (0, 256)  # of any length
    if bits in _PALETTES and (levels or bits not in _BITS.get(image.mode, _PALETTES)):
        raise _refused(
            name, f"of {bits} bits a pixel whose palette is black and white, or gray,"
        )


def _refused(name: str, what: str) -> UserError:
    return UserError(f"{name} is a BMP {what} which is not read. Save it as PNG.")

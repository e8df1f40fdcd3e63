"""The EXIF orientation by which images are turned."""

from __future__ import annotations

import struct

EXIF_HEAD = b"Exif\0\0"  # before EXIF, but in a PNG
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ORIENTATION, _SHORT = 274, 3


def orientation_of(exif: bytes) -> int:
    """Returns the number by which EXIF turns an image, 1 for none.

    Its first entry of that name alone is read, in the form of the standard: one number
    of 16 bits. EXIF that cannot be read so turns nothing.

    Args:
      exif: a TIFF, with or without the head that JPEG gives it.
    """
    exif = exif.removeprefix(EXIF_HEAD)
    if (order := _ORDERS.get(exif[:4])) is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (entries,) = struct.unpack_from(order + "H", exif, start)
        for place in range(start + 2, start + 2 + 12 * entries, 12):
            tag, *form, number = struct.unpack_from(order + "HHIH", exif, place)
            if tag == _ORIENTATION:
                return number if form == [_SHORT, 1] and number in range(1, 9) else 1
    except struct.error:  # it ends before
        pass
    return 1

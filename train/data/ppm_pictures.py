"""How many pictures a PPM has: Pillow decodes the first and passes over the others."""

from __future__ import annotations

import re
from typing import IO, Any

from PIL import Image

_PLAIN = (b"P1", b"P2", b"P3")
_COMMENT = re.compile(rb"#[^\r\n]*")
_MAGIC = re.compile(rb"P[1-7]")  # begins a picture


def has_next_picture(file: IO[bytes], image: Image.Image) -> bool:
    """Returns whether another picture follows the one that Pillow has opened.

    Args:
      file: the PPM; it is left where it was.
      image: the same, as Pillow has opened it.
    """
    place = file.tell()
    ((_, _, start, of_decoder),) = image.tile  # type: ignore[attr-defined]
    file.seek(0)
    if file.read(2) in _PLAIN:  # whose pixels have no letters
        file.seek(start)
        found = b"P" in _COMMENT.sub(b"", file.read())
    else:
        file.seek(start + image.height * _row(image, of_decoder))
        found = _MAGIC.match(file.read(16).lstrip()) is not None
    file.seek(place)
    return found


def _row(image: Image.Image, of_decoder: Any) -> int:
    """Returns the bytes of a row, given how Pillow has it decoded."""
    if image.mode == "1":
        return (image.width + 7) // 8
    mode, *largest = of_decoder if isinstance(of_decoder, tuple) else (of_decoder,)
    is_deep = mode == "I;16B" or (largest and largest[0] > 255)
    return image.width * len(image.getbands()) * (2 if is_deep else 1)

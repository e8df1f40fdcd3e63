"""Pictures that a prediction wrote: told from all others by a mark in them.

The mark is a checksum of the pixels, so a picture that was edited since is another's.
"""

from __future__ import annotations

import io
import zlib
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from train.common.errors import UserError
from train.data.image_files import opened

_KEY, _IMAGE = "predicted", "image"


def as_predicted(picture: Image.Image, *, effort: int = 6, of: str = "") -> bytes:
    """Returns a picture as PNG with the mark.

    Args:
      picture: what is written.
      effort: of the compression, 0 to 9.
      of: digest of the image that it was predicted of.
    """
    info = PngInfo()
    if of:
        info.add_text(_IMAGE, of)
    info.add_text(_KEY, _checksum(picture))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=info, compress_level=effort)
    return buffer.getvalue()


def is_ours(path: Path) -> bool:
    """Returns whether a file is a picture as a prediction wrote it, and no link."""
    if path.is_symlink() or not path.is_file():
        return False
    try:
        with opened(path) as picture:
            mark = picture.info.get(_KEY)  # before the pixels, as it was written
            return mark is not None and mark == _checksum(picture)
    except UserError:  # of no such picture, or a larger one
        return False


def image_of(mask: Path) -> str:
    """Returns the digest of the image that a mask was predicted of, "" if unknown."""
    with opened(mask) as picture:
        return str(picture.info.get(_IMAGE, ""))


def _checksum(picture: Image.Image) -> str:
    palette = picture.getpalette() or []
    content = picture.tobytes() + bytes(palette)
    return f"{picture.mode} {picture.size} {zlib.crc32(content):08x}"

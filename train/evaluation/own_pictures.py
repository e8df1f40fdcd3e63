"""Pictures that a prediction wrote: told from all others by a mark in them.

The mark is a checksum of the pixels, so a picture that was edited since is another's.
"""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from train.common.errors import UserError
from train.common.regular import open_regular
from train.data.image_files import opened
from train.data.png_chunks import plain_text
from train.evaluation.overlay_png import overlay_png

_KEY, _IMAGE = "predicted", "image"


def as_predicted(picture: Image.Image, *, of: str = "") -> bytes:
    """Returns a picture as PNG with the mark.

    Args:
      picture: what is written.
      of: digest of the image that it was predicted of.
    """
    info = PngInfo()
    if of:
        info.add_text(_IMAGE, of)
    info.add_text(_KEY, _checksum(picture))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def overlay_as_predicted(pixels: np.ndarray) -> bytes:
    """Returns an overlay, uint8 `[height, width, 3]`, as PNG with the mark."""
    height, width = pixels.shape[:2]
    mark = _mark("RGB", (width, height), np.ascontiguousarray(pixels).data)
    return overlay_png(pixels, {_KEY: mark})


def is_ours(path: Path) -> bool:
    """Returns whether a file is a picture as a prediction wrote it, and no link."""
    if path.is_symlink() or not path.is_file():
        return False
    try:
        with opened(path) as picture:
            mark = _text(path, _KEY)
            return mark is not None and mark == _checksum(picture)
    except UserError:  # of no such picture, or a larger one
        return False


def image_of(mask: Path) -> str:
    """Returns the digest of the image that a mask was predicted of, "" if unknown."""
    with opened(mask):
        return _text(mask, _IMAGE) or ""


def _text(picture: Path, keyword: str) -> str | None:
    """Returns a text of a PNG, which stands before the pixels as it was written."""
    with open_regular(picture) as file:
        return plain_text(file, keyword)


def _checksum(picture: Image.Image) -> str:
    palette = picture.getpalette() or []
    return _mark(picture.mode, picture.size, picture.tobytes() + bytes(palette))


def _mark(mode: str, size: tuple[int, int], content: bytes | memoryview) -> str:
    return f"{mode} {size} {zlib.crc32(content):08x}"

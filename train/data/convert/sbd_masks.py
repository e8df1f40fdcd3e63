"""Masks of SBD, the Semantic Boundaries Dataset: MATLAB files of a struct `GTcls`."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np

from train.common.errors import UserError

_LIMIT = 64 * 2**20  # bytes of a file, unpacked; SBD's have less than one MiB
_HEADER, _TAG = 128, 8  # bytes of a MATLAB 5 file and of each of its elements
_COMPRESSED = 15  # kind of an element


def sbd_mask(content: bytes, name: str) -> np.ndarray:
    """Returns the classes of an image, uint8 `[height, width]`; there is no void.

    Args:
      content: of `cls/ID.mat`.
      name: of the file, for messages.

    Raises:
      UserError: it is no such file.
    """
    from scipy.io import loadmat

    try:
        file = io.BytesIO(_unpacked(content))
        mask = loadmat(file, variable_names=["GTcls"])["GTcls"][0, 0]["Segmentation"]
        if mask.dtype != np.uint8 or mask.ndim != 2 or not mask.size:
            raise ValueError(f"Segmentation is {mask.dtype} {mask.shape}")
        if mask.max() > 20:
            raise ValueError(f"Segmentation has the value {mask.max()}, not 0 to 20")
    except Exception as error:  # of many kinds, where a file is not what it should be
        raise UserError(
            f"{name} is no mask of SBD ({type(error).__name__}: {error}). Download the "
            "archive again."
        ) from error
    return mask


def _unpacked(content: bytes) -> bytes:
    """Returns a MATLAB 5 file without compression, by which it could be of any size."""
    order = ">" if content[126:128] == b"MI" else "<"
    parts, at, total = [content[:_HEADER]], _HEADER, 0
    while at + _TAG <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, at)
        element = content[at : at + _TAG + size]
        at += len(element)
        if kind == _COMPRESSED:
            element = _inflated(element[_TAG:], _LIMIT - total)
        total += len(element)
        parts.append(element)
    return b"".join(parts)


def _inflated(data: bytes, limit: int) -> bytes:
    stream = zlib.decompressobj()
    content = stream.decompress(data, limit + 1)
    if len(content) > limit:
        raise ValueError(f"it unpacks to more than {_LIMIT} bytes")
    if not stream.eof:
        raise ValueError("it is cut short")
    return content

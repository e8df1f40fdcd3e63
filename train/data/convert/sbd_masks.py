"""Masks of SBD, the Semantic Boundaries Dataset: MATLAB files of a struct `GTcls`.

Read here, and nothing but that: general readers allocate what a file claims, and follow
what it nests. A MATLAB 5 file is a head and elements, each a kind, its bytes' number
and those bytes; an array is an element of elements: flags, axes, name and content.
"""

from __future__ import annotations

import itertools
import math
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from train.common.errors import UserError
from train.common.text import shown

_LIMIT = 2**20  # bytes of a file, unpacked; SBD's have half, of 500x500 pixels at most
_HEADER, _TAG = 128, 8  # bytes of a MATLAB 5 file and of each of its elements
_UINT8, _ARRAY, _COMPRESSED = 2, 14, 15  # kinds of elements
_OF_STRUCT, _OF_UINT8 = 2, 9  # classes of arrays
_MOST_AXES = 32
_MOST_ELEMENTS = 100  # of a file, and of an array; SBD's have one, and eight


class _Array(NamedTuple):
    """An array whose content is not read yet."""

    kind: int  # class, and above 8 bits its flags
    axes: tuple[int, ...]
    name: bytes
    parts: Iterator[tuple[int, bytes]]  # elements of its content


def sbd_mask(content: bytes, name: str) -> np.ndarray:
    """Returns the classes of an image, uint8 `[height, width]`; there is no void.

    Args:
      content: of `cls/ID.mat`.
      name: of the file, for messages.

    Raises:
      UserError: it is no such file.
    """
    try:
        mask = _segmentation(content)
        if mask.max() > 20:
            raise ValueError(f"Segmentation has the value {mask.max()}, not 0 to 20")
    except (ValueError, struct.error, zlib.error) as error:
        raise UserError(
            f"{name} is no mask of SBD ({shown(error)}). Download the archive again."
        ) from error
    return mask


def _segmentation(content: bytes) -> np.ndarray:
    """Returns the field `Segmentation` of the struct.

    Raises:
      ValueError: there is none.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise ValueError("it is no MATLAB 5 file")
    for kind, element in _few(_unpacked(memoryview(content)[_HEADER:], order)):
        if kind == _ARRAY and (found := _array(element, order)).name == b"GTcls":
            break
    else:
        raise ValueError("it has no variable GTcls")
    if found.kind & 255 != _OF_STRUCT or math.prod(found.axes) != 1:
        raise ValueError("GTcls is not one struct")
    (_, length), (_, names) = itertools.islice(found.parts, 2)
    step = max(1, *struct.unpack(f"{order}i", length))
    fields = (names[at : at + step] for at in range(0, len(names), step))
    for field, (kind, part) in zip(fields, found.parts, strict=False):
        if field.split(b"\0")[0] == b"Segmentation" and kind == _ARRAY:
            return _pixels(_array(part, order))
    raise ValueError("GTcls has no field Segmentation")


def _pixels(array: _Array) -> np.ndarray:
    """Returns an array of integers of 8 bits, whose columns follow each other."""
    kind, part = next(array.parts, (0, b""))
    if array.kind != _OF_UINT8 or kind != _UINT8:
        raise ValueError("Segmentation is no array of integers from 0 to 255")
    if len(array.axes) != 2 or not part or math.prod(array.axes) != len(part):
        raise ValueError(f"Segmentation has axes {array.axes} and {len(part)} values")
    return np.frombuffer(part, np.uint8).reshape(array.axes[::-1]).T


def _array(content: bytes, order: str) -> _Array:
    """Returns an array of the content of its element."""
    parts = _few(_elements(content, order))
    flags, axes, name = (part for _, part in itertools.islice(parts, 3))
    if len(axes) > 4 * _MOST_AXES:  # their product would take hours
        raise ValueError(f"it has an array with {len(axes) // 4} axes")
    kind = struct.unpack_from(f"{order}I", flags)[0]
    sizes = struct.unpack(f"{order}{len(axes) // 4}i", axes)
    return _Array(kind, sizes, name, parts)


def _elements(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yields kind and content of the elements of an array, which fill whole 8 bytes."""
    at = 0
    while at < len(content):
        kind, size = struct.unpack_from(f"{order}II", content, at)
        if kind >> 16:  # up to four bytes, within the tag
            kind, size, begin = kind & 0xFFFF, kind >> 16, at + 4
            at += _TAG
        else:
            begin = at + _TAG
            at = begin + size + -size % 8
        if at > len(content):
            raise ValueError("it is cut short")
        yield kind, content[begin : begin + size]


def _few(elements: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Yields elements, which take time each however few bytes they have.

    Raises:
      ValueError: there are more than any file has.
    """
    yield from itertools.islice(elements, _MOST_ELEMENTS)
    if next(elements, None):
        raise ValueError(f"it has more than {_MOST_ELEMENTS} elements in one place")


def _unpacked(content: memoryview, order: str) -> Iterator[tuple[int, bytes]]:
    """Yields kind and content of the elements of a file, which may be compressed.

    Raises:
      ValueError: one is cut short, or unpacks to more than any file has.
    """
    at, left = 0, _LIMIT
    while at + _TAG <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, at)
        part = bytes(content[at : at + _TAG + size])
        at += len(part)
        if kind == _COMPRESSED:
            part = _inflated(part[_TAG:], left)
            kind, size = struct.unpack_from(f"{order}II", part)
        left -= len(part)
        if left < 0:
            raise ValueError(f"it unpacks to more than {_LIMIT} bytes")
        if len(part) < _TAG + size:
            raise ValueError("it is cut short")
        yield kind, part[_TAG : _TAG + size]


def _inflated(data: bytes, limit: int) -> bytes:
    stream = zlib.decompressobj()
    content = stream.decompress(data, limit + 1)
    if len(content) > limit:
        raise ValueError(f"it unpacks to more than {_LIMIT} bytes")
    if not stream.eof:
        raise ValueError("it is cut short")
    return content

"""Writers of images of any channels and bits, for tests of their readers."""

from __future__ import annotations

import struct
import zlib
from typing import Any, Literal

import numpy as np


def png(pixels: np.ndarray, *, filters: bool = True, interlaced: int = 0) -> bytes:
    """Returns a PNG of 8 or 16 bits, its rows filtered in all of PNG's five ways."""
    height, width, channels = pixels.shape
    each = channels * pixels.dtype.itemsize
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    big = pixels.astype(pixels.dtype.newbyteorder(">"))
    rows = np.frombuffer(big.tobytes(), np.uint8).reshape(height, -1).astype(int)
    above, lines = np.zeros_like(rows[0]), b""
    for number, row in enumerate(rows):
        left = np.concatenate([np.zeros(each, int), row[:-each]])
        corner = np.concatenate([np.zeros(each, int), above[:-each]])
        choice = number % 5 if filters else 0
        mean, paeth = (left + above) // 2, _paeth(left, above, corner)
        change = (0, left, above, mean, paeth)[choice]
        lines += bytes([choice]) + ((row - change) % 256).astype(np.uint8).tobytes()
        above = row
    head = (width, height, 8 * pixels.dtype.itemsize, kind, 0, 0, interlaced)
    packed = zlib.compress(lines)
    half = len(packed) // 2
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", *head)),
        (b"IDAT", packed[:half]),
        (b"IDAT", packed[half:]),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


def _paeth(left: np.ndarray, above: np.ndarray, corner: np.ndarray) -> np.ndarray:
    guess = left + above - corner
    far = [abs(guess - one) for one in (left, above, corner)]
    near = np.where(far[1] <= far[2], above, corner)
    return np.where((far[0] <= far[1]) & (far[0] <= far[2]), left, near)


def tiff(
    pixels: np.ndarray,
    *,
    order: Literal["<", ">"] = "<",
    deflate: bool = False,
    predictor: bool = False,
    separate: bool = False,
    tile: int = 0,
    rows: int = 5,
    tags: dict[int, list[int]] | None = None,
    pages: int = 1,
) -> bytes:
    """Returns a TIFF of any channels, in strips of a few rows or in tiles.

    Args:
      pixels: `[height, width, channels]`.
      order: `<` or `>`, of bytes.
      deflate: compresses.
      predictor: keeps differences; with `deflate`.
      separate: one channel after the other.
      tile: side of the tiles, 0 for strips.
      rows: of a strip.
      tags: in place of what is written otherwise; an empty list leaves one out.
      pages: that say the same.
    """
    height, width, channels = pixels.shape
    planes = np.moveaxis(pixels, -1, 0)[..., None] if separate else pixels[None]
    parts: list[bytes] = []
    for plane in planes:
        for part in _parts(plane, tile, rows):
            if predictor:
                part = np.diff(part, axis=1, prepend=np.zeros_like(part[:, :1]))
            content = part.astype(part.dtype.newbyteorder(order)).tobytes()
            parts.append(zlib.compress(content) if deflate else content)
    starts = np.cumsum([8, *map(len, parts)]).tolist()
    places, sizes = (324, 325) if tile else (273, 279)
    entries: dict[int, list[int]] = {
        256: [width],
        257: [height],
        258: [8 * pixels.dtype.itemsize] * channels,
        259: [8 if deflate else 1],
        262: [2 if channels == 3 else 1],
        places: starts[:-1],
        277: [channels],
        sizes: list(map(len, parts)),
        284: [2 if separate else 1],
    }
    entries |= {322: [tile], 323: [tile]} if tile else {278: [rows]}
    entries |= {317: [2]} if predictor else {}
    entries |= tags or {}
    entries = {tag: values for tag, values in sorted(entries.items()) if values}
    magic = b"II*\0" if order == "<" else b"MM\0*"
    file = magic + struct.pack(order + "I", starts[-1]) + b"".join(parts)
    for page in range(pages):
        file += _directory(entries, len(file), order, last=page == pages - 1)
    return file


def _parts(plane: np.ndarray, tile: int, rows: int) -> list[np.ndarray]:
    height, width = plane.shape[:2]
    if not tile:
        return [plane[start : start + rows] for start in range(0, height, rows)]
    below, right = -height % tile, -width % tile
    whole = np.pad(plane, ((0, below), (0, right), (0, 0)), mode="edge")
    return [
        whole[y : y + tile, x : x + tile]
        for y in range(0, height, tile)
        for x in range(0, width, tile)
    ]


def _directory(
    entries: dict[int, list[int]], at: int, order: str, *, last: bool
) -> bytes:
    behind = at + 2 + 12 * len(entries) + 4
    lists, found = b"", struct.pack(order + "H", len(entries))
    for tag, values in entries.items():
        packed: Any = struct.pack(f"{order}{len(values)}I", *values)
        if len(values) > 1:
            place = struct.pack(order + "I", behind + len(lists))
            lists += packed
            packed = place
        found += struct.pack(order + "HHI", tag, 4, len(values)) + packed
    end = 0 if last else behind + len(lists)
    return found + struct.pack(order + "I", end) + lists


def entry_of(content: bytes | bytearray, tag: int) -> tuple[int, str, int, int]:
    """Returns the place of a tag's entry, its type, its length, its numbers' place."""
    (at,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, at)
    for place in range(at + 2, at + 2 + 12 * count, 12):
        found, kind, length = struct.unpack_from("<HHI", content, place)
        if found == tag:
            letter = {3: "H", 4: "I"}[kind]
            inside = struct.calcsize(f"<{length}{letter}") <= 4
            (there,) = struct.unpack_from("<I", content, place + 8)
            return place, letter, length, place + 8 if inside else there
    raise KeyError(tag)

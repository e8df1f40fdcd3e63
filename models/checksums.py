"""A checksum of every byte of a safetensors file, among its metadata.

Where it stands it is counted as zeros.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import BinaryIO

METADATA = "__metadata__"  # safetensors' key of them, beside those of the arrays
FIELD = "checksum"
NONE = "00000000"

_CHUNK = 2**24  # bytes


def with_checksum(content: bytes) -> bytes:
    """Returns a file whose metadata have `NONE` as checksum with the real one.

    Its metadata are sorted, so that equal arrays and metadata are equal files.
    """
    content = _in_order(content)
    header = _header(content)
    real = f"{zlib.crc32(content):08x}"
    return content[:8] + _replaced(header, NONE, real) + content[8 + len(header) :]


def _in_order(content: bytes) -> bytes:
    """Returns a safetensors file with its metadata sorted, where `save` shuffles them.

    Its header is then as `json.dumps` writes it.
    """
    old = _header(content)
    header = json.loads(old)
    header[METADATA] = dict(sorted(header[METADATA].items()))
    new = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    new += b" " * (-len(new) % 8)  # arrays begin at multiples of 8
    return len(new).to_bytes(8, "little") + new + content[8 + len(old) :]


def is_whole(path: Path, stated: str) -> bool:
    """Returns whether a file has the checksum that its metadata state."""
    with path.open("rb") as file:
        first = file.read(8)
        header = file.read(int.from_bytes(first, "little"))
        begun = zlib.crc32(first + _replaced(header, stated, NONE))
        return checksum_of_rest(file, begun) == stated


def checksum_of_rest(file: BinaryIO, begun: int = 0) -> str:
    """Returns the checksum of what is left of a file, and of what was read before."""
    while chunk := file.read(_CHUNK):
        begun = zlib.crc32(chunk, begun)
    return f"{begun:08x}"


def _header(content: bytes) -> bytes:
    return content[8 : 8 + int.from_bytes(content[:8], "little")]


def _replaced(header: bytes, before: str, after: str) -> bytes:
    """Returns a header, as `json.dumps` wrote it, with another checksum."""
    old, new = (f'"{FIELD}":"{value}"'.encode() for value in (before, after))
    return header.replace(old, new, 1)

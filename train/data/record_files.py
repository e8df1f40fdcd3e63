"""Files of array_record: what reading one takes, told by the heads of its chunks.

A record is read by unpacking the chunk that it is in, and a few bytes may unpack to
any number. A file is a sequence of chunks; every 64 KiB a head of 24 bytes is put in
between (the format is Riegeli's).
"""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from typing import NamedTuple

from train.common.errors import UserError
from train.common.regular import open_regular

_BLOCK, _BLOCK_HEAD = 2**16, 24
_CHUNK_HEAD = 40
_BYTES_A_RECORD = 16  # that its place in the chunk takes
_MOST = 2**30  # bytes of a chunk, unpacked; a record is an image and its mask
_FRAME = 2**10  # bytes of a record around its image, mask and name
_PACKED = 2**16  # bytes of chunks that do not say what they unpack to
_SAID = b"sr"  # kinds that say it: signature, records


def check_record(size: int, name: str) -> None:
    """Refuses to write a record that would not be read.

    Args:
      size: of its image, its mask and its name, bytes.
      name: of the image.

    Raises:
      UserError: it names the image, its size and the most.
    """
    if size > _MOST - _FRAME:
        raise UserError(
            f"{name} takes {size} bytes when it is prepared, more than the "
            f"{_MOST - _FRAME} of a record. Cut it into smaller images, or prepare it "
            "smaller, by --image-height."
        )


class _Chunk(NamedTuple):
    size: int  # bytes, without the head
    kind: bytes
    records: int
    unpacked: int  # bytes


def check_records(path: Path) -> None:
    """Refuses a file of which a chunk would fill memory.

    What is no such file is left to the library, which names what is wrong.

    Raises:
      UserError: there is one; or the file is no file.
    """
    with open_regular(path) as file:
        size, at = os.fstat(file.fileno()).st_size, 0
        while at < size and (chunk := _chunk(file, at)):
            needed = chunk.unpacked + _BYTES_A_RECORD * chunk.records
            if chunk.kind in _SAID:
                too_large = needed > _MOST
            else:
                too_large = chunk.size > _PACKED
            if too_large:
                raise UserError(
                    f"{path} has records that are unpacked together, to more than "
                    f"{_MOST} bytes: it is damaged, or was made to do harm. Move its "
                    "folder elsewhere, and prepare the data again."
                )
            at = _end(at, chunk)


def _chunk(file: io.BufferedReader, at: int) -> _Chunk | None:
    """Returns the head of the chunk that begins there, None at the file's end."""
    head = b""
    while len(head) < _CHUNK_HEAD:
        if at % _BLOCK == 0:
            at += _BLOCK_HEAD
        file.seek(at)
        part = file.read(min(_CHUNK_HEAD - len(head), _BLOCK - at % _BLOCK))
        if not part:
            return None
        head, at = head + part, at + len(part)
    _, size, _, kind, records, unpacked = struct.unpack("<8sQ8sc7sQ", head)
    return _Chunk(size, kind, int.from_bytes(records, "little"), unpacked)


def _end(begin: int, chunk: _Chunk) -> int:
    """Returns where the next chunk begins."""
    size, usable = _CHUNK_HEAD + chunk.size, _BLOCK - _BLOCK_HEAD
    heads = (size + (begin + usable - 1) % _BLOCK) // usable
    end = begin + size + heads * _BLOCK_HEAD
    # A chunk takes at least a byte for each record, and none ends within a head.
    least = begin + chunk.records
    within = least % _BLOCK
    if 0 < within < _BLOCK_HEAD:
        least += _BLOCK_HEAD - within
    return max(end, least)

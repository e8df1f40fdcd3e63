"""Files of array_record: what reading one takes, told by the heads of its chunks.

A record is read by unpacking the chunk that it is in, and a few bytes may unpack to
any number. A file is a sequence of chunks; every 64 KiB a head of 24 bytes is put in
between (the format is Riegeli's). The last but one with records is an index of those
before, and the last, in a block of its own, says where the index is. The library goes
by these, from the end: what is found from the beginning holds only where they agree.
"""

from __future__ import annotations

import io
import os
import re
import struct
from pathlib import Path
from typing import NamedTuple, NoReturn

from train.common.errors import UserError
from train.common.regular import open_regular

_BLOCK, _BLOCK_HEAD = 2**16, 24
_CHUNK_HEAD = 40
_BYTES_A_RECORD = 16  # that its place in the chunk takes
_PART = re.compile(r"\[\d+:\d+\]\Z")  # ends the names of parts of files
_MOST_AGAIN = 2**30  # bytes of chunks, of those that are unpacked more than once
_MOST = 2**30  # bytes of a chunk, unpacked; a record is an image and its mask
_FRAME = 2**10  # bytes of a record around its image, mask and name
_OPTIONS = 2**10  # bytes of the index about its file: counts, the writer's options
_MAGIC = 0x71930E704FDAE05E
_PLAIN, _ZSTD = 0, ord("z")


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


_SIGNATURE = _Chunk(0, b"s", 0, 0)


def check_records(path: Path, most: int = _MOST) -> None:
    """Refuses a file of which a chunk would fill memory.

    So is any that is not as TFDS writes it: the library might read other chunks of it
    than those that are looked at here.

    Args:
      path: of the file.
      most: bytes that a chunk may have, unpacked.

    Raises:
      UserError: it is one of these; or no file; or array_record takes its name for a
        part of another file, as `x[0:4]`.
    """
    most = min(most, _MOST)
    if _PART.search(path.name):
        _refuse(path, "has a name that array_record takes for a part of another file")
    with open_regular(path) as file:
        size, at, again = os.fstat(file.fileno()).st_size, 0, 0
        index, last = _Index(), list[tuple[int, _Chunk]]()
        while at < size and (chunk := _chunk(file, at)):
            if at == 0 and chunk != _SIGNATURE:
                _refuse(path, "does not begin as files of array_record do")
            if chunk.unpacked + _BYTES_A_RECORD * chunk.records > most:
                _refuse(
                    path,
                    "has records that are unpacked together, to more than "
                    f"{most} bytes",
                )
            # Each record unpacks its chunk anew.
            again += chunk.unpacked * max(chunk.records - 1, 0)
            if again > _MOST_AGAIN:
                _refuse(
                    path,
                    f"has records that are unpacked together, {again} bytes in all for "
                    "each alone; TFDS writes each by itself",
                )
            if chunk.kind == b"r":
                last.append((at, chunk))
                if len(last) > 2:  # neither index nor what says where it is
                    index.add(*last.pop(0))
            elif at > 0 and chunk[1:] != (b"p", 0, 0):  # padding, of any size
                _refuse(
                    path, f"has a part at byte {at} of a kind that TFDS does not write"
                )
            at = _end(at, chunk)
        if at != size or len(last) < 2:
            _refuse(path, f"ends at byte {size}, which is not where its records end")
        (begin, head), (end, place) = last
        if end != size - _BLOCK or not index.is_told(
            begin, head, _content(file, begin, head), _content(file, end, place)
        ):
            _refuse(path, "has no index of its records as TFDS writes it")


def _refuse(path: Path, what: str) -> NoReturn:
    raise UserError(
        f"{path} {what}: it is damaged, or was made to do harm. Move its folder "
        "elsewhere, and prepare the data again."
    )


class _Index:
    """What the index of a file has to say of its chunks of records, byte by byte."""

    def __init__(self) -> None:
        self._entries, self._sizes = bytearray(), bytearray()
        self._chunks, self._records = 0, 0
        self._group, self._last = 0, 0  # records of the first chunk and of the last

    def add(self, begin: int, chunk: _Chunk) -> None:
        entry = _fields(begin, chunk.unpacked, chunk.records)
        self._entries += entry
        self._sizes += _number(len(entry))
        # The library finds a record's chunk by division.
        if self._chunks == 0:
            self._group = chunk.records
        elif self._last != self._group:
            self._group = 0  # no number, from here on
        self._last = chunk.records
        self._chunks, self._records = self._chunks + 1, self._records + chunk.records

    def is_told(self, begin: int, head: _Chunk, content: bytes, place: bytes) -> bool:
        """Tells whether a file says this.

        Args:
          begin: where the file's index is.
          head: of the file's index.
          content: of the file's index.
          place: content of what says where it is.
        """
        where = _fields(begin, _MAGIC)
        if place != bytes([_PLAIN, 3, *[len(where)] * 3]) + 3 * where:
            return False
        if self._chunks > 0 and not 0 < self._last <= self._group:
            return False
        about = head.unpacked - len(self._entries)
        if head.records != self._chunks + 1 or not 0 < about <= _OPTIONS:
            return False
        sizes = _number(about) + self._sizes
        try:
            found, told = _unpacked(content, len(sizes), head.unpacked)
        except (ValueError, IndexError, OSError):
            return False
        entries = told[about:]
        return found == sizes and entries == self._entries and self._fits(told[:about])

    def _fits(self, found: bytes) -> bool:
        counts = _fields(1, self._chunks, self._records)
        # The writer's options go last, and are not in files of before October 2022.
        at = found.find(counts) + len(counts)
        options = found[at:]
        if options:
            text = options[3 if len(options) > 129 else 2 :]
            options = b'"' + _number(len(text)) + text
        return found == b"\n" + _number(len(counts + options)) + counts + options


def _fields(*values: int) -> bytes:
    """Returns a message of Protocol Buffers, of numbers from field 1 on."""
    return b"".join(
        bytes([8 * field]) + _number(value) for field, value in enumerate(values, 1)
    )


def _number(value: int) -> bytes:
    """Returns a number in groups of 7 bits, as Protocol Buffers and Riegeli do."""
    groups = bytearray()
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])


def _unpacked(content: bytes, sizes: int, values: int) -> tuple[bytes, bytes]:
    """Returns the sizes of a chunk's records and the records, of so many bytes each.

    Raises:
      ValueError, IndexError, OSError: they are not, or packed otherwise than by zstd.
    """
    end, cut = 2, 0
    while content[end - 1] > 127 and end < 10:
        end += 1
    for place, group in enumerate(content[1:end]):
        cut |= (group & 127) << 7 * place
    if _number(cut) != content[1:end]:
        raise ValueError
    packed = content[end : end + cut], content[end + cut :]
    if content[0] == _PLAIN:
        return packed
    if content[0] != _ZSTD:
        raise ValueError
    return _of_zstd(packed[0], sizes), _of_zstd(packed[1], values)


def _of_zstd(packed: bytes, size: int) -> bytes:
    from pyarrow import decompress  # here, as it takes half a second

    said = _number(size)
    if not packed.startswith(said):
        raise ValueError
    packed = packed[len(said) :]
    return decompress(packed, decompressed_size=size, codec="zstd", asbytes=True)


def _chunk(file: io.BufferedReader, at: int) -> _Chunk | None:
    """Returns the head of the chunk that begins there, None at the file's end."""
    head = _read(file, at, _CHUNK_HEAD)
    if len(head) < _CHUNK_HEAD:
        return None
    _, size, _, kind, records, unpacked = struct.unpack("<8sQ8sc7sQ", head)
    return _Chunk(size, kind, int.from_bytes(records, "little"), unpacked)


def _content(file: io.BufferedReader, at: int, chunk: _Chunk) -> bytes:
    return _read(file, at, _CHUNK_HEAD + chunk.size)[_CHUNK_HEAD:]


def _read(file: io.BufferedReader, at: int, size: int) -> bytes:
    """Returns so many bytes from there, without the heads between, or up to the end."""
    found = bytearray()
    while len(found) < size:
        if at % _BLOCK == 0:
            at += _BLOCK_HEAD
        file.seek(at)
        part = file.read(min(size - len(found), _BLOCK - at % _BLOCK))
        if not part:
            break
        found += part
        at += len(part)
    return bytes(found)


def _end(begin: int, chunk: _Chunk) -> int:
    """Returns where the next chunk begins."""
    size, usable = _CHUNK_HEAD + chunk.size, _BLOCK - _BLOCK_HEAD
    heads = (size + (begin + usable - 1) % _BLOCK) // usable
    end = begin + size + heads * _BLOCK_HEAD
    # A chunk takes at least a byte for each record, and none ends within a head, nor
    # right after one.
    least = begin + chunk.records
    within = least % _BLOCK
    if 0 < within <= _BLOCK_HEAD:
        least += _BLOCK_HEAD + 1 - within
    return max(end, least)

"""Members of a tar, told by its heads; what tars of data do not say is refused.

Python's tarfile takes hours or gigabytes, in some versions, for headers of a few
hundred bytes, and reads a member of negative size again and again.

A tar is blocks of 512 bytes: the head of each member, then its content. Names that do
not fit come before, as the content of a head of their own: GNU's long names, and the
records of PAX, of which the path alone is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

_BLOCK = 512
_LONGEST = 2**16  # bytes of what comes before a head, whose records are not all names
_MOST_RECORDS = 100  # of a member; systems write ten and one for each attribute
_FILES = (b"0", b"\0")
_EMPTY = (b"1", b"2", b"3", b"4", b"5", b"6")  # links, devices, folders, pipes
_LONG_NAME, _LONG_LINK, _RECORDS = _BEFORE = (b"L", b"K", b"x")
_OCTAL = re.compile(rb" *([0-7]*)[ \0]*")
_RECORD = re.compile(rb"([0-9]{1,5}) ([^=]*)=")  # its length, these digits included

# Returns so many bytes from a place on, fewer only at the end of the file.
Read = Callable[[int, int], bytes]


class TarMember(NamedTuple):
    """A member, whose content is not read yet."""

    name: str
    is_file: bool
    at: int  # where its content begins
    size: int


def tar_members(read: Read) -> Iterator[TarMember]:
    """Yields the members in their order, and then goes on to the end of the file.

    Raises:
      ValueError: a head is damaged, or says what the tars of data do not.
    """
    at, before = 0, dict[bytes, bytes]()
    while (head := read(at, _BLOCK)) != bytes(_BLOCK):
        kind, size = _kind_and_size(head, at)
        content = at + _BLOCK
        if kind not in _BEFORE:
            name = _name(head, before)
            is_file = kind in _FILES and not name.endswith("/")
            yield TarMember(name, is_file, content, size)
            before = {}
        elif kind in before or size > _LONGEST:
            raise ValueError(f"the name at byte {at} is there twice, or is too long")
        else:
            before[kind] = read(content, size)
        at = content + size + -size % _BLOCK
    while read(at, 2**20):  # checksums of what is packed come last
        at += 2**20


def _kind_and_size(head: bytes, at: int) -> tuple[bytes, int]:
    """Returns what a head is of, and the bytes of its content."""
    if len(head) < _BLOCK:
        raise ValueError("it has no end")
    kind, size = head[156:157], _number(head[124:136], at)
    checksum = sum(head[:148]) + sum(b" " * 8) + sum(head[156:])
    if checksum != _number(head[148:156], at):
        raise ValueError(f"the head at byte {at} has another checksum")
    if kind not in (*_FILES, *_EMPTY, *_BEFORE) or (size and kind in _EMPTY):
        raise ValueError(f"the member at byte {at} is of kind {kind!r}, {size} bytes")
    return kind, size


def _number(field: bytes, at: int) -> int:
    """Returns a number; those that octal digits have no room for are of no data."""
    if not (digits := _OCTAL.fullmatch(field)):
        raise ValueError(
            f"the head at byte {at} has 0x{field.hex()} for an octal number"
        )
    return int(digits[1] or b"0", 8)


def _name(head: bytes, before: dict[bytes, bytes]) -> str:
    """Returns the name of a member, by its head unless what comes before it has one."""
    prefix = head[345:500] if head[257:263] == b"ustar\0" else b""
    short = b"/".join(filter(None, map(_text, (prefix, head[:100]))))
    names = [_text(before[_LONG_NAME])] if _LONG_NAME in before else []
    names += _paths(before.get(_RECORDS, b""))
    if len(names) > 1:
        raise ValueError(f"{short!r} has {len(names)} names")
    return (names or [short])[0].decode(errors="surrogateescape")


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _paths(records: bytes) -> Iterator[bytes]:
    r"""Yields the paths among records, each as `12 path=a/b\n`, its length first."""
    at = count = 0
    while at < len(records):
        count += 1
        if not (begin := _RECORD.match(records, at)) or count > _MOST_RECORDS:
            raise ValueError("it has a record that is damaged, or too many of them")
        at, key = at + int(begin[1]), begin[2]
        value = records[begin.end() : at]
        if at > len(records) or not value.endswith(b"\n"):
            raise ValueError("it has a record of another length than that says")
        if key == b"size" or key.startswith(b"GNU.sparse."):
            raise ValueError(f"it has a record of {key[:40]!r}, which is not read")
        if key == b"path":
            yield value[:-1]

"""Records as TFDS writes them: the values of some features, and nothing else of them.

A record is an Example of Protocol Buffers. Building all of one takes forty bytes for an
empty value, which takes two there and next to none where records are packed.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

_FEATURES = 1000  # of a record; sets with masks have some dozens
# The number of a field, 1 to 3, of those that say how many bytes they have; these.
_HEAD = re.compile(rb"([\x0a\x12\x1a])([\x80-\xff]{0,4}[\x00-\x7f])")


def named_values(record: bytes, names: Sequence[str]) -> dict[str, bytes]:
    """Returns the values of features by their very names.

    TFDS's own reading takes `x/ragged_flat_values` for x as well, in any order, and the
    last of two.

    Args:
      record: as it is kept.
      names: of features, each of one value of bytes.

    Raises:
      ValueError: one has no value or several, or the record is not as TFDS writes it.
    """
    wanted, found = {name.encode() for name in names}, dict[bytes, memoryview]()
    features = _fields(_one(memoryview(record), "map of features"))
    for count, (_, feature) in enumerate(features, start=1):
        if count > _FEATURES:
            raise ValueError(f"a record has more than {_FEATURES} features")
        fields = [*itertools.islice(_fields(feature), 3)]
        if [number for number, _ in fields] != [1, 2]:
            raise ValueError("a record has a feature that is none")
        key, value = bytes(fields[0][1]), fields[1][1]
        if key in found:
            raise ValueError(f"a record has not one {key.decode()!r}")
        if key in wanted:
            found[key] = value
    return {name: _value(found, name) for name in names}


def _value(features: dict[bytes, memoryview], name: str) -> bytes:
    values = _one(features.get(name.encode(), memoryview(b"")), repr(name))
    return bytes(_one(values, repr(name)))


def _one(message: memoryview, what: str) -> memoryview:
    """Returns the first field of a message, which has no other."""
    fields = [*itertools.islice(_fields(message), 2)]
    if [number for number, _ in fields] != [1]:
        raise ValueError(f"a record has not one {what}")
    return fields[0][1]


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yields number and content of each field of a message."""
    at = 0
    while at < len(message):
        if not (head := _HEAD.match(message, at)):
            raise ValueError("a record has a part that TFDS does not write")
        size = sum((it & 127) << 7 * place for place, it in enumerate(head[2]))
        start, at = head.end(), head.end() + size
        if at > len(message):
            raise ValueError("a record is cut short")
        yield head[1][0] >> 3, message[start:at]

"""PyTorch's checkpoints written by hand, their pickles operation by operation."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
KINDS = {"<f4": "Float", "<f2": "Half", "<i8": "Long", "|u1": "Byte", "|b1": "Bool"}
ORDERED = b"ccollections\nOrderedDict\n)R"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


def value(plain: object) -> bytes:
    """Returns the operations that push a plain value."""
    match plain:
        case bool():
            return b"\x88" if plain else b"\x89"
        case int():
            length = plain.bit_length() // 8 + 1
            return bytes([0x8A, length]) + plain.to_bytes(length, "little", signed=True)
        case str():
            encoded = plain.encode()
            return b"X" + struct.pack("<I", len(encoded)) + encoded
        case tuple():
            return b"(" + b"".join(map(value, plain)) + b"t"
        case list():
            return b"](" + b"".join(map(value, plain)) + b"e"
        case dict():
            return table({key: value(item) for key, item in plain.items()})
        case None:
            return b"N"
    raise TypeError(plain)


def table(items: Mapping, empty: bytes = b"}") -> bytes:
    """Returns a dict of assembled values."""
    pairs = b"".join(value(key) + item for key, item in items.items())
    return empty + b"(" + pairs + b"u"


def whole(operations: bytes) -> bytes:
    return b"\x80\x02" + operations + b"."


def storage(key: str, kind: str, size: int, legacy: bool = False) -> bytes:
    """Returns the operations that refer to a storage."""
    name = f"ctorch\n{kind}Storage\n".encode()
    last = b"N" if legacy else b""
    parts = (value("storage"), name, value(key), value("cpu"), value(size), last)
    return b"(" + b"".join(parts) + b"tQ"


def tensor(of: bytes, shape: tuple, strides: tuple, offset: int = 0) -> bytes:
    parts = (of, value(offset), value(shape), value(strides), b"\x89", ORDERED)
    return REBUILD + b"(" + b"".join(parts) + b"tR"


def tensors(arrays: Mapping[str, np.ndarray], legacy: bool = False) -> bytes:
    """Returns a state dict, array i in storage i."""
    items = {}
    for index, (key, array) in enumerate(arrays.items()):
        of = storage(str(index), KINDS[array.dtype.str], array.size, legacy)
        strides = tuple(step // array.itemsize for step in array.strides)
        items[key] = tensor(of, array.shape, strides)
    return table(items, ORDERED) + value({"_metadata": {"": {"version": 1}}}) + b"b"


def storages(arrays: Mapping[str, np.ndarray]) -> dict[str, bytes]:
    return {
        str(index): a.ravel("K").tobytes() for index, a in enumerate(arrays.values())
    }


def write_zip(
    path: Path,
    operations: bytes,
    data: Mapping[str, bytes] | None = None,
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", whole(operations))
        archive.writestr("archive/byteorder", "little")
        for key, content in (data or {}).items():
            archive.writestr(f"archive/data/{key}", content)
        archive.writestr("archive/version", "3\n")
    return path


def write_legacy(
    path: Path, operations: bytes, sizes: Mapping[str, int], data: Mapping[str, bytes]
) -> Path:
    system = {"protocol_version": 1001, "little_endian": True}
    parts = [value(MAGIC), value(1001), value(system), operations, value(list(sizes))]
    stored = [struct.pack("<q", sizes[key]) + data[key] for key in sizes]
    path.write_bytes(b"".join([*map(whole, parts), *stored]))
    return path


def write_checkpoint(
    path: Path, arrays: Mapping[str, np.ndarray], legacy: bool = False
) -> Path:
    """Writes a state dict as PyTorch does, or as it did before 1.6."""
    if not legacy:
        return write_zip(path, tensors(arrays), storages(arrays))
    sizes = {str(index): array.size for index, array in enumerate(arrays.values())}
    return write_legacy(path, tensors(arrays, True), sizes, storages(arrays))

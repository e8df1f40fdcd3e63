"""PyTorch's checkpoints as NumPy arrays, without PyTorch and without running code.

`torch.save` writes a pickle that names tensors, and the bytes of their storages: since
PyTorch 1.6 as entries of a zip file, before that one after the other. Anything but
tensors, plain values and dictionaries of them is refused.
"""

from __future__ import annotations

import contextlib
import io
import math
import re
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from models.pickles import Damaged, PickleRefused, read_pickle
from models.text import shortened
from models.torch_tensors import NAMES, Storage, Tensor, array_of, elements, storage_of

# A state dict may be the whole file or stand under one of these keys.
_STATE_DICTS = ("state_dict", "model")
_ZIP = b"PK\x03\x04"
_MAGIC = 0x1950A86A20F9469CFC6C  # begins a file of before 1.6, itself as a pickle
_MAGIC_BYTES = b"\x8a\x0a" + _MAGIC.to_bytes(10, "little")
_PROTOCOL = 1001
_LONGEST_START = 32  # of such a file, until the magic number ends
_DEEPEST = 4  # dictionaries around the state dict
_SHARING = 4  # how often tensors that share storage may count the file's bytes


class TorchFileError(ValueError):
    """A file is no checkpoint of tensors alone, or is damaged."""


class TorchHeader(NamedTuple):
    """Content of a checkpoint, without the arrays."""

    keys: tuple[str, ...]
    aside: tuple[str, ...]  # what the file holds beside the state dict


class _Checkpoint(NamedTuple):
    content: Any  # of the pickle, a `Tensor` for each tensor
    read: Callable[[Storage], bytes | memoryview]


def is_torch_file(path: Path) -> bool:
    """Returns whether a file begins as those that `torch.save` writes."""
    with path.open("rb") as file:
        start = file.read(_LONGEST_START)
    return start.startswith(_ZIP) or (start[:1] == b"\x80" and _MAGIC_BYTES in start)


def read_torch_header(path: Path) -> TorchHeader:
    """Returns the keys of a checkpoint without reading its arrays.

    Raises:
      TorchFileError: as `read_torch_file`.
    """
    with _open(path) as checkpoint:
        tensors, aside = _state_dict(checkpoint.content)
        return TorchHeader(tuple(tensors), aside)


def read_torch_file(path: Path) -> dict[str, np.ndarray]:
    """Returns the tensors of a checkpoint by key, bfloat16 as float32.

    Args:
      path: of a file by `torch.save`: a state dict, or a dict that holds one as
        "state_dict" or "model".

    Raises:
      TorchFileError: the file is missing, damaged, or none of `torch.save`; it holds
        more than tensors and plain values; or sizes it states exceed its own.
    """
    with _open(path) as checkpoint:
        tensors, _ = _state_dict(checkpoint.content)
        _check_total(tensors, path.stat().st_size)
        flat: dict[Storage, np.ndarray] = {}
        for storage in dict.fromkeys(tensor.storage for tensor in tensors.values()):
            flat[storage] = elements(storage, checkpoint.read(storage))
        return {key: array_of(t, flat[t.storage]) for key, t in tensors.items()}


@contextlib.contextmanager
def _open(path: Path) -> Iterator[_Checkpoint]:
    """Opens either format; a refusal within names the file."""
    if not path.is_file():
        raise TorchFileError(f"{path}: no such file")
    if not is_torch_file(path):
        raise TorchFileError(f"{path} is no file that torch.save wrote")
    data = path.read_bytes()
    try:
        if data.startswith(_ZIP):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                yield _zipped(archive, len(data))
        else:
            yield _sequential(data)
    except PickleRefused as error:
        raise TorchFileError(
            f"{path} {error}; anything but tensors and plain values could run code and "
            "stays unread. Save its state dict alone, or get it from elsewhere."
        ) from error
    # What zipfile raises on damaged files; `Damaged` is a ValueError.
    except (
        zipfile.BadZipFile,
        struct.error,
        EOFError,
        OverflowError,
        RuntimeError,
        ValueError,
    ) as error:
        raise TorchFileError(
            f"{path} cannot be read ({error}). Download it again and compare its "
            "checksum."
        ) from error


def _zipped(archive: zipfile.ZipFile, file_size: int) -> _Checkpoint:
    """Reads the format since 1.6: `ROOT/data.pkl` and `ROOT/data/KEY`, uncompressed."""
    entries = {entry.filename: entry for entry in archive.infolist()}
    if len(entries) < len(archive.infolist()):
        raise Damaged("it has two entries of one name")
    roots = [name for name in entries if re.fullmatch(r"[^/]+/data\.pkl", name)]
    if len(roots) != 1:
        raise Damaged(f"it has {len(roots)} entries data.pkl, and torch.save writes 1")
    for name, entry in entries.items():
        if entry.compress_type or entry.compress_size != entry.file_size:
            raise Damaged(
                f"{shortened(name)} is compressed, which torch.save never does"
            )
    if sum(entry.file_size for entry in archive.infolist()) > file_size:
        raise Damaged("its entries are larger than the file")
    root = roots[0].removesuffix("data.pkl")
    if f"{root}byteorder" in entries and archive.read(f"{root}byteorder") != b"little":
        raise Damaged("its numbers are not little-endian")

    def read(storage: Storage) -> bytes:
        entry = entries.get(f"{root}data/{storage.key}")
        found = entry.file_size if entry else None
        if entry is None or found != storage.nbytes:
            raise Damaged(
                f"storage {shortened(storage.key)} has {found} bytes, its tensors say "
                f"{storage.nbytes}"
            )
        return archive.read(entry)

    file = io.BytesIO(archive.read(roots[0]))
    return _Checkpoint(read_pickle(file, NAMES, lambda at: storage_of(at, 5)), read)


def _sequential(data: bytes) -> _Checkpoint:
    """Reads the format before 1.6: pickles, then the storages one after the other."""
    file = io.BytesIO(data)

    def plain(names: Any = None, length: int = 0) -> Any:
        return read_pickle(file, names or {}, lambda at: storage_of(at, length))

    if (plain(), plain()) != (_MAGIC, _PROTOCOL):
        raise Damaged(f"it is not of protocol {_PROTOCOL}")
    system = plain()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Damaged("its numbers are not little-endian")
    content, keys = plain(NAMES, 6), plain()
    if type(keys) is not list or not all(type(key) is str for key in keys):
        raise Damaged("its list of storages is damaged")
    return _Checkpoint(content, _after(file, data, keys, content))


def _after(
    file: BinaryIO, data: bytes, keys: list[str], content: Any
) -> Callable[[Storage], memoryview]:
    """Returns what reads the storages that follow the pickles, in the keys' order."""
    stored = {t.storage.key: t.storage for t in _tensors_in(content)}
    places: dict[str, tuple[int, int]] = {}
    for key in keys:
        stated = file.read(8)
        size = int.from_bytes(stated, "little")
        if (
            len(stated) < 8
            or key not in stored
            or size != stored[key].size
            or key in places
        ):
            raise Damaged(
                f"storage {shortened(key)} has {size} elements, unlike its tensors"
            )
        places[key] = file.tell(), stored[key].nbytes
        file.seek(stored[key].nbytes, io.SEEK_CUR)
    if file.tell() != len(data):
        raise Damaged(f"it has {len(data)} bytes where {file.tell()} are due")

    def read(storage: Storage) -> memoryview:
        start, nbytes = places.get(storage.key, (0, -1))
        if nbytes != storage.nbytes:
            raise Damaged(
                f"storage {shortened(storage.key)} is missing, or of another size"
            )
        return memoryview(data)[start : start + nbytes]

    return read


def _tensors_in(content: Any) -> Iterator[Tensor]:
    """Yields the tensors anywhere in the content, each object visited once."""
    seen, waiting = set(), [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, dict | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            waiting += value.values() if isinstance(value, dict) else value


def _state_dict(content: Any) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Returns the tensors of a state dict, and the names of what is beside it."""
    aside: list[str] = []
    for _ in range(_DEEPEST):
        if not (inner := _state_dict_in(content)):
            break
        aside += [name for name in content if name != inner]
        content = content[inner]
    else:  # perhaps it holds itself
        raise Damaged(f"its state dict is more than {_DEEPEST} dictionaries deep")
    if not content:
        raise Damaged("it holds no tensors")
    for key, value in content.items():
        if not isinstance(value, Tensor):
            raise Damaged(f"{key:.80} is no tensor but a {type(value).__name__}")
    return content, tuple(aside)


def _state_dict_in(content: Any) -> str:
    """Returns the key of the state dict in a dictionary; empty if it is one itself."""
    if not isinstance(content, dict):
        raise Damaged(f"it holds no state dict but a {type(content).__name__}")
    for key in content:
        if not (isinstance(key, str) and key.isascii() and key.isprintable()):
            shown = ascii(key)[:80]
            raise Damaged(f"it has a key that is not a string, or unprintable: {shown}")
    inner = [name for name in _STATE_DICTS if isinstance(content.get(name), dict)]
    if len(inner) > 1:
        raise Damaged(f"it has {' and '.join(inner)}: save the one that is meant alone")
    return inner[0] if inner else ""


def _check_total(tensors: dict[str, Tensor], file_size: int) -> None:
    """Refuses tensors that would take far more memory than the file."""
    total = sum(
        math.prod(tensor.shape) * tensor.storage.kind.dtype.itemsize
        for tensor in tensors.values()
    )
    if total > _SHARING * file_size:
        raise Damaged(f"its tensors are of {total} bytes, the file of {file_size}")

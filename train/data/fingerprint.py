"""Fingerprints: data known by the content of every file, not by path, size or time.

Reading all files takes a while the first time, so digests are remembered, as long as it
is certain that a file has not been written since.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
from tqdm import tqdm

from train.common.errors import UserError
from train.common.files import identity, replace_text
from train.common.regular import open_regular, read_regular
from train.common.sealed import parse_json

_Entry = tuple[str, Path, Path]  # name, image, mask
_Signature = list[int]  # device, inode, size, mtime and ctime in ns

_SETTLED = 2_000_000_000  # ns: a later write certainly has another ctime
_COARSE = 10_000_000  # ns: whole multiples are times of file systems without finer ones


class Digests:
    """SHA-256 digests of files, remembered in a file of their own.

    One is believed while device, inode, size, mtime and ctime are what they were when
    it was taken. Programs can set mtime back, but not ctime: the system sets it at
    every change. It is not remembered where that could miss a change: the file was
    written just before, or its file system has coarse times (FAT, where ctime follows
    mtime, is one).

    Args:
      memory: file that keeps them; None keeps none. Nothing is written before `save`.
    """

    def __init__(self, memory: Path | None = None):
        self._memory = memory
        self._kept = _read_memory(memory) if memory else {}
        self._learned = False

    def of(self, paths: Sequence[Path]) -> dict[Path, str]:
        """Returns the digest of each file; a bar shows when that takes long.

        One is read once, under however many names and links.
        """
        found = {path: self._remembered(path) for path in paths}
        names: dict[tuple[int, int], list[Path]] = {}
        for path in (path for path, digest in found.items() if not digest):
            names.setdefault(identity(path), []).append(path)
        unknown = [path for path, *_ in names.values()]
        pool = ThreadPoolExecutor(8)
        try:
            taken = tqdm(
                pool.map(_take, unknown),
                desc="reading files",
                total=len(unknown),
                unit="file",
                delay=1,
                dynamic_ncols=True,
            )
            for of, (digest, signature) in zip(names.values(), taken, strict=True):
                found |= dict.fromkeys(of, digest)
                if signature:
                    real = {str(path.resolve()) for path in of}
                    self._kept |= dict.fromkeys(real, (digest, signature))
                    self._learned = True
        finally:
            pool.shutdown(cancel_futures=True)
        return found

    def save(self) -> None:
        """Writes what was learned, for the next start."""
        if self._memory is None or not self._learned:
            return
        kept = json.dumps(self._kept)
        try:
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            replace_text(self._memory, f"{_checksum(kept)}\n{kept}")
        except OSError:  # prepared by someone else: all is read again next time
            pass
        self._learned = False

    def _remembered(self, path: Path) -> str:
        digest, signature = self._kept.get(str(path.resolve()), ("", None))
        return digest if signature == signature_of(path) else ""


def memory_of(folder: Path, prepared: Path) -> Path:
    """Returns the file for the digests of a folder's files."""
    return prepared / "digests" / f"{_checksum(str(folder.resolve()))[:16]}.json"


def digest_of(path: Path) -> str:
    """Returns the SHA-256 of a file's content."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_unchanged(path: Path, digest: str) -> None:
    """Refuses a file that is no longer what the fingerprint says.

    Raises:
      UserError: it names the file.
    """
    if digest_of(path) != digest:
        raise changed(path)


def changed(what: object) -> UserError:
    """Returns the refusal of data that are no longer what they were known by."""
    return UserError(
        f"{what} has changed while the data were being prepared. Give the command "
        "again when the files are in place."
    )


def split_fingerprint(
    entries: Sequence[_Entry],
    class_names: Sequence[str],
    colors: np.ndarray,
    digests: Mapping[Path, str],
    *,
    by_color: bool = False,
    void: Sequence[int] = (),
) -> str:
    """Returns a hash of all that the records of a split are made from.

    Args:
      entries: name, image and mask of each record, in order.
      class_names: in the order of the labels.
      colors: uint8 `[classes, 3]`.
      digests: of the images and masks.
      by_color: whether masks may have the classes' colors.
      void: values of the masks that do not count, in order.
    """
    classes = tuple(class_names), colors.tolist(), by_color
    marks = (void,) if void else ()  # those of data without any are as they were
    hashed = hashlib.sha256(repr((*classes, *marks)).encode())
    for name, image, mask in entries:
        hashed.update(repr((name, digests[image], digests[mask])).encode())
    return hashed.hexdigest()[:16]


def data_fingerprint(splits: Mapping[str, str]) -> str:
    """Returns a hash of the splits' names and fingerprints."""
    return _checksum(repr(sorted(splits.items())))[:16]


def earlier_fingerprint(
    files: Mapping[str, Sequence[_Entry]],
    class_names: Sequence[str],
    digests: Mapping[Path, str],
) -> str:
    """Returns what runs begun before have, so that they can be resumed.

    It knows the images by their sizes alone.
    """
    hashed = hashlib.sha256(repr(tuple(class_names)).encode())
    for split, entries in files.items():
        for name, image, mask in entries:
            size = image.stat().st_size
            hashed.update(repr((split, name, size, digests[mask])).encode())
    return hashed.hexdigest()[:12]


def _take(path: Path) -> tuple[str, _Signature | None]:
    """Returns a file's digest, and its signature where that may be believed again."""
    began, before = time.time_ns(), signature_of(path)
    digest = digest_of(path)
    changed = before[-1]
    certain = (
        signature_of(path) == before
        and began - changed > _SETTLED
        and changed % _COARSE != 0
    )
    return digest, before if certain else None


def signature_of(path: Path) -> _Signature:
    """Returns what no change of a file leaves as it is."""
    found = path.stat()
    return [
        found.st_dev,
        found.st_ino,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
    ]


def _read_memory(memory: Path) -> dict[str, tuple[str, _Signature]]:
    """Returns the digests that a file keeps, none where it is damaged or missing."""
    try:
        checksum, kept = read_regular(memory).decode().split("\n", maxsplit=1)
        entries = parse_json(kept) if checksum == _checksum(kept) else {}
        return msgspec.convert(entries, dict[str, tuple[str, _Signature]])
    except (OSError, ValueError, UserError):
        return {}


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

"""Regular files: opened without waiting for whatever else may have their name."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

from train.common.errors import UserError

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def open_regular(path: Path) -> io.BufferedReader:
    """Opens a file for reading; a pipe without a writer does not hold the program up.

    Raises:
      UserError: it is a pipe, a device, a socket or a folder.
      OSError: it cannot be opened.
    """
    _check(path, os.stat(path))  # before: opening a device may do something
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    file = os.fdopen(os.open(path, flags), "rb")
    try:
        _check(path, os.fstat(file.fileno()))  # what was opened may be another
    except UserError:
        file.close()
        raise
    return file


def read_regular(path: Path) -> bytes:
    """Returns the content of a file; see `open_regular`."""
    with open_regular(path) as file:
        return file.read()


def _check(path: Path, found: os.stat_result) -> None:
    kind = stat.S_IFMT(found.st_mode)
    if kind != stat.S_IFREG:
        raise UserError(
            f"{path} is {_KINDS.get(kind, 'no regular file')}, and is not read. Put a "
            "file in its place."
        )

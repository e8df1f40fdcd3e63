"""Regular files: opened without waiting for whatever else may have their name."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

from train.common.errors import UserError, memory_for, unreadable

_MOST = 2**31  # bytes of a file that is read whole

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


def read_regular(path: Path, most: int = _MOST) -> bytes:
    """Returns the content of a file, as long as it is when opened; see `open_regular`.

    Args:
      path: of the file.
      most: bytes that it may have. A small archive may hold a file of any size.

    Raises:
      UserError: it has more, or they do not fit into memory; or the system fails to
        read it.
    """
    with open_regular(path) as file:
        check_size(path, size := os.fstat(file.fileno()).st_size, most)
        try:
            with memory_for(str(path), "Put a smaller file in its place."):
                return file.read(size)  # some of the system's have no end
        except OSError as error:
            raise unreadable(path, error) from error


def read_text(path: Path, most: int) -> str:
    r"""Returns text of which lines end in \n, whatever else Unicode ends them by.

    Raises:
      UserError: as `read_regular`, or it is no UTF-8.
    """
    try:
        text = read_regular(path, most).decode("utf-8-sig")  # Windows may mark it
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text ({error}). Save it as that."
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def check_kind(path: Path) -> None:
    """Refuses what is neither a file nor a folder, before a library opens it.

    Raises:
      UserError: it is a pipe, a device or a socket.
      OSError: it cannot be looked at.
    """
    found = os.stat(path)
    if not stat.S_ISDIR(found.st_mode):
        _check(path, found)


def check_size(path: object, size: int, most: int) -> None:
    """Refuses a file of more bytes than what it is for can take.

    Raises:
      UserError: it names the file.
    """
    if size > most:
        raise UserError(
            f"{path} has {size} bytes, and of such a file at most {most} are read. Put "
            "the one that is meant in its place."
        )


def _check(path: Path, found: os.stat_result) -> None:
    kind = stat.S_IFMT(found.st_mode)
    if kind != stat.S_IFREG:
        raise UserError(
            f"{path} is {_KINDS.get(kind, 'no regular file')}, and is not read. Put a "
            "file in its place."
        )

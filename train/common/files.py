"""Files: whole or not there, and named where they cannot be written."""

from __future__ import annotations

import contextlib
import errno
import filecmp
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from models.files import PARTIAL, replace_file
from train.common.errors import UserError
from train.common.locks import locked
from train.common.text import is_count


def replace_bytes(path: Path, content: bytes) -> None:
    """Replaces a file atomically: a kill or a full disk leaves the old one or none.

    A link is replaced, and what it leads to stays.

    Raises:
      OSError: it names the file, also where the disk is full.
    """
    with naming(path):
        replace_file(path, content)


def replace_text(path: Path, text: str) -> None:
    """Replaces a text file atomically; what UTF-8 cannot hold is written as escapes."""
    replace_bytes(path, text.encode(errors="backslashreplace"))


def create_bytes(path: Path, content: bytes) -> bool:
    """Writes a file that is not there yet, as a whole or not at all.

    Of several processes that do so at once, one succeeds, whatever delays them: by a
    hard link, which never replaces, or, on file systems without them, by a lock.

    Returns:
      Whether it was not there.

    Raises:
      OSError: it names the file, also where the disk is full.
    """
    partial = path.with_name(f".{secrets.token_hex(8)}{PARTIAL}")
    with naming(path), locked(path.parent):
        try:
            with partial.open("xb") as file:
                file.write(content)
            if not os.path.lexists(path):
                with contextlib.suppress(FileExistsError):
                    _name(partial, path)
                    return True
        finally:
            partial.unlink(missing_ok=True)
    return False


def _name(partial: Path, path: Path) -> None:
    """Gives a file a name that no other file has.

    Raises:
      FileExistsError: another one has it.
    """
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError:  # of various numbers where there are no hard links
        partial.replace(path)


def append_bytes(path: Path, content: bytes) -> None:
    """Adds bytes at the end of a file.

    One that has other names, as copies by hard links have, gets a content of its own.
    Where there is no room for all of them, or the program is stopped, none is there:
    half a line would pass for one, or join the next.

    Raises:
      OSError: it names the file, also where the disk is full, or is a link.
    """
    with naming(path):
        if path.is_symlink():
            raise OSError(errno.ELOOP, "It is a link, which is not written through")
        if path.is_file() and path.stat().st_nlink > 1:
            replace_file(path, path.read_bytes())
        with open(path, "ab", buffering=0, opener=_not_through_links) as file:
            before, left = file.tell(), memoryview(content)
            try:
                while left:
                    left = left[file.write(left) :]
            except BaseException:
                file.truncate(before)
                raise


def append_text(path: Path, text: str) -> None:
    """Adds text at the end of a file; names of files that are no UTF-8 as they were.

    Raises:
      OSError: as `append_bytes`.
    """
    append_bytes(path, text.encode(errors="surrogateescape"))


def begin_file(path: Path) -> BinaryIO:
    """Opens an empty file for writing, in place of whatever has its name.

    Raises:
      OSError: it names the file.
    """
    replace_bytes(path, b"")
    return open(path, "ab", opener=_not_through_links)


def numbered(folder: Path) -> list[Path]:
    """Returns the folders in a folder that are named by a number, as checkpoints are.

    None where it cannot be looked into.
    """
    return [
        place
        for place in folder.glob("[0-9]*")
        if is_count(place.name) and os.path.isdir(place)
    ]


def identity(path: Path) -> tuple[int, int]:
    """Returns what a file or a folder has in common under all of its names."""
    found = path.stat()
    return found.st_dev, found.st_ino


def same_content(first: Path, other: Path) -> bool:
    """Returns whether two files are one, or have the same bytes."""
    return first.samefile(other) or filecmp.cmp(first, other, shallow=False)


def place_of(folder: Path) -> tuple[int, int] | None:
    """Returns what tells a folder from any other of its name, None if there is none."""
    try:
        return identity(folder)
    except OSError:
        return None


def check_in_place(folder: Path, place: tuple[int, int] | None) -> None:
    """Refuses a folder that is no longer the one that it was, by `place_of`.

    Raises:
      UserError: it was moved, deleted or replaced.
    """
    if place_of(folder) != place:
        raise UserError(
            f"{folder} is no longer the folder that it was: it has been moved, deleted "
            "or replaced. Nothing more is written. Put it back, or name its new place; "
            "then the same command goes on."
        )


def _not_through_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


@contextlib.contextmanager
def together(folder: Path) -> Iterator[Path]:
    """Yields an empty folder in another, where files wait that belong together.

    Once the block ends well they take their places; until then, what has their names
    stays as it is, and a full disk leaves that alone.
    """
    with tempfile.TemporaryDirectory(prefix=".", suffix=PARTIAL, dir=folder) as place:
        try:
            yield Path(place)
        except OSError as error:  # which is to name the file that was meant
            if error.filename and Path(error.filename).parent == Path(place):
                error.filename = str(folder / Path(error.filename).name)
            raise
        for path in sorted(Path(place).iterdir()):
            path.replace(folder / path.name)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Adds the file's name to errors without one, such as those of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error

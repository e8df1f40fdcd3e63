"""Locks: one process at a time, where several would write to the same place.

They belong to open files, so that the system lets go of them when a process ends,
however that comes: none is ever in the way of a later call. File systems without locks
keep nobody out.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from train.common.errors import UserError

_PATIENCE = 2.0  # seconds that are waited without a word
_LOCKS = Path("/proc/locks")  # of Linux: all that are held


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other processes that lock a folder waiting within the block.

    One that waits for long says for whom.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if not take(descriptor):
            _wait(descriptor, folder)
        yield
    finally:
        os.close(descriptor)  # which lets go of it


def _wait(descriptor: int, folder: Path) -> None:
    """Waits for the process that holds a folder, and then holds it."""

    def tell() -> None:
        who = holder(descriptor)
        print(f"Waiting for {who}, which holds {folder}.", file=sys.stderr, flush=True)

    patience = threading.Timer(_PATIENCE, tell)
    patience.daemon = True
    patience.start()
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    finally:
        patience.cancel()


@contextlib.contextmanager
def held(folder: Path, said: str, way_out: str) -> Iterator[None]:
    """Refuses a folder that another process holds, and holds it within the block.

    Args:
      folder: made if need be, and then removed if nothing was put into it.
      said: what is being done by the other one.
      way_out: what to do about it.

    Raises:
      UserError: another process holds it.
    """
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        hold(descriptor, said, way_out)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                if made:
                    folder.rmdir()
    finally:
        os.close(descriptor)


def hold(descriptor: int, said: str, way_out: str) -> None:
    """Holds an open file or folder until it is closed.

    Raises:
      UserError: another process does; see `held`.
    """
    if not take(descriptor):
        raise UserError(f"{said} by {holder(descriptor)}. {way_out}")


def take(descriptor: int) -> bool:
    """Holds an open file or folder until it is closed, unless another does.

    Returns:
      Whether none other does; where the file system has no locks, none is known to.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def holder(descriptor: int) -> str:
    """Returns who holds an open file or folder, as far as the system tells."""
    found = os.fstat(descriptor)
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
    holders: dict[str, str] = {}  # by device: each may have a file of that number
    with contextlib.suppress(OSError):
        for line in _LOCKS.read_text().splitlines():
            _, kind, _, _, process, place, *_ = line.split()
            its, _, inode = place.rpartition(":")
            if kind == "FLOCK" and inode == str(found.st_ino):
                holders[its] = process
    # Some file systems of layers have another device there.
    only = next(iter(holders.values())) if len(holders) == 1 else ""
    process = holders.get(device, only)
    return f"another process ({process})" if process else "another process"

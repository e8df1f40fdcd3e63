"""Ends of processes: for an error, without waiting in vain; and with their parent."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

# Seconds that threads have to end once the program has: what is being saved has been
# waited for, but what of Orbax waits for a save that failed would do so for minutes.
_PATIENCE = 5.0


def leave(status: int) -> NoReturn:
    """Ends this process for an error, without waiting for others that wait for it."""
    import jax

    if jax.distributed.is_initialized():
        _end(status)
    ended = threading.Event()
    atexit.register(ended.set)  # which comes once threads have ended
    threading.Thread(target=_end_in_time, args=(status, ended), daemon=True).start()
    sys.exit(status)


def _end_in_time(status: int, ended: threading.Event) -> None:
    """Ends the process where its threads keep it after the main one."""
    threading.main_thread().join()
    if not ended.wait(_PATIENCE):
        _end(status)


def _end(status: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed, or nowhere to go
            stream.flush()
    os._exit(status)


def end_with_parent(end: Callable[[], object] = lambda: os._exit(1)) -> None:
    """Lets a process of `multiprocessing` end once its parent has, however that came.

    One that was killed cannot end its children.

    Args:
      end: called then, in a thread.
    """
    parent = multiprocessing.parent_process()

    def follow() -> None:
        parent.join()  # type: ignore[union-attr]
        end()

    if parent is not None:
        threading.Thread(target=follow, daemon=True).start()

"""Commands: error messages, exit codes and Ctrl-C, the same for every program."""

from __future__ import annotations

import contextlib
import errno
import inspect
import io
import logging
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO, cast

import jax

from models.text import inert
from train.common.endings import leave
from train.common.errors import (
    UserError,
    lacks_memory,
    reason_unwritten,
)
from train.common.signals import Terminated, terminable
from train.common.text import of_short_lines

_MOVES = re.compile("(\x1b\\[A)+")  # all of what tqdm writes to go up
_NO_BACKEND = "Unable to initialize backend"  # JAX's, of JAX_PLATFORMS
_SWITCHES = "LAL_JAX_"  # begins messages about variables of our own
_LOOP_OF_LINKS = "Symlink loop"  # pathlib's, until Python 3.13
# Of JAX, whatever its variables say: others give other numbers, or refuse ours.
_OURS = {
    "jax_enable_x64": False,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_transfer_guard": "allow",
}
_NO_TEMPORARY = "No usable temporary directory"  # tempfile's
_LOOP_CLOSED = "Event loop is closed"  # asyncio's, in which Orbax saves


def cache_compilations(folder: str) -> None:
    """Keeps compiled functions in a folder for the next start; "" keeps none.

    What lies in it is run. So the command line alone may name it, never a file.

    Raises:
      UserError: others may write to it.
    """
    if folder:
        if "://" not in folder:  # of a bucket, JAX knows
            _check_own(Path(folder))
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def _check_own(folder: Path) -> None:
    """Makes a folder that its owner alone may write to, or refuses another's.

    Raises:
      UserError: others may write to it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise UserError(
            f"{folder} is for compiled functions, which are run, and others than you "
            f"may write to it. Choose another --compilation-cache, or: chmod go-w "
            f"{folder}"
        )


def run_command(main: Callable[[], None], *, resume: str = "") -> None:
    """Calls `main`; prints what the user can fix without a traceback.

    Args:
      main: does what the command is for.
      resume: said after Ctrl-C and SIGTERM, how to go on.

    Exit status: 0 when done, 2 for a mistake the user can fix, 130 after Ctrl-C, 143
    after SIGTERM, or 75 (EX_TEMPFAIL) where the same command goes on.
    """
    for name, value in _OURS.items():
        jax.config.update(name, value)
    logging.getLogger("absl").setLevel(logging.ERROR)
    logging.getLogger("absl").addFilter(_nothing_told_twice)
    logging.getLogger("asyncio").addFilter(_no_lost_reads)
    sys.unraisablehook = _interrupt_again
    threading.excepthook = _trace_of_thread
    with _steady("stdout") as output, _steady("stderr", bars=True):
        try:
            with terminable():  # so that nothing half done is left
                main()
        except KeyboardInterrupt as stop:
            # A save that was just beginning would show Orbax's own traces at the exit;
            # the checkpoint before it is whole.
            logging.getLogger("absl").setLevel(logging.CRITICAL)
            print(f"\nStopped.{resume}")
            if isinstance(stop, Terminated):
                leave(os.EX_TEMPFAIL if resume else 128 + signal.SIGTERM)
            leave(128 + signal.SIGINT)
        except Exception as error:
            if not (message := _message(error)):
                traceback.print_exception(error)  # here, where it is made inert
                leave(1)
            # Lines after the first are indented: no name can begin one of ours.
            told = of_short_lines(message).replace("\n", "\n  ")
            print(f"\nerror: {told}", file=sys.stderr)
            leave(2)
        output.flush()
        if output.lost:
            print(
                f"\nerror: not all could be printed ({output.lost}), but all was done. "
                "Send the output elsewhere.",
                file=sys.stderr,
            )
            leave(2)


def _message(error: Exception) -> str:
    """Returns what the user can do about an error, "" about a defect of ours."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return f"{error}. Allow more open files (ulimit -n 4096) or fewer --workers."
    if isinstance(error, RuntimeError) and _NO_BACKEND in str(error):
        return f"{error!s:.300}. Name devices that are there: JAX_PLATFORMS=cpu."
    if isinstance(error, RuntimeError) and _LOOP_OF_LINKS in str(error):
        return f"{error}, a link that leads to itself. Delete it, or name another path."
    if isinstance(error, ValueError) and str(error).startswith(_SWITCHES):
        return str(error)
    if isinstance(error, FileNotFoundError) and _NO_TEMPORARY in str(error):
        return f"{error.strerror}. Name a folder to write to: TMPDIR=FOLDER."
    if reason_unwritten(error):
        return f"{error}. Check the path, its permissions and the space left."
    if lacks_memory(error):
        return f"memory does not suffice ({str(error)[:200]}). Choose smaller images."
    return ""


class _Steady:
    """A stream that takes whatever is printed, and never fails.

    Characters that it cannot encode are escaped, and so are those that would steer a
    terminal: names are others'. Once its reader is gone, or its disk is full, the rest
    is dropped: training must not end for a line of text.

    Args:
      stream: where to.
      bars: whether tqdm draws there, which goes to the line's begin and to other lines.
    """

    def __init__(self, stream: TextIO, *, bars: bool):
        self.lost: OSError | None = None  # why, unless the reader went away
        self._stream, self._bars = stream, bars
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        if self._bars and _MOVES.fullmatch(text):
            self._attempt(self._stream.write, text)
        else:
            begin = "\r" if self._bars and text.startswith("\r") else ""
            self._attempt(self._stream.write, begin + inert(text[len(begin) :]))
        return len(text)

    def isatty(self) -> bool:
        """Says no where escapes are not let through, so that nobody uses them."""
        return self._bars and self._stream.isatty()

    def flush(self) -> None:
        self._attempt(self._stream.flush)

    def _attempt(self, action: Callable[..., object], *arguments: str) -> None:
        try:
            action(*arguments)
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.lost = error
            # What is still in the buffer goes nowhere, too.
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def _steady(name: str, *, bars: bool = False) -> Iterator[_Steady]:
    """Makes `sys.stdout` or `sys.stderr` steady within the block."""
    before = getattr(sys, name)
    steady = _Steady(before, bars=bars)
    setattr(sys, name, cast(TextIO, steady))
    try:
        yield steady
    finally:
        steady.flush()
        setattr(sys, name, before)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Puts Ctrl-C off until the block is done."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python interrupts the main thread alone
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        signal.raise_signal(signal.SIGINT)


def _interrupt_again(lost: sys.UnraisableHookArgs) -> None:
    """Raises a stop again that was swallowed in JAX's garbage collection callback.

    What still reports to a save that has failed, whose error is told, is dropped.
    """
    if isinstance(lost.exc_value, RuntimeError) and _LOOP_CLOSED in str(lost.exc_value):
        return
    if issubclass(lost.exc_type, KeyboardInterrupt):
        main = threading.main_thread().ident
        number = signal.SIGINT
        # A first Ctrl-C that was noted lets the next end the process; SIGTERM then
        # raises what was noted.
        noted = signal.getsignal(signal.SIGINT) == signal.SIG_DFL
        if noted or issubclass(lost.exc_type, Terminated):
            number = signal.SIGTERM
        threading.Timer(0.1, signal.pthread_kill, (main, number)).start()
    elif not inspect.iscoroutine(lost.object):  # as `_no_lost_reads`
        sys.__unraisablehook__(lost)


def _no_lost_reads(record: logging.LogRecord) -> bool:
    """Drops what is told of each array of a checkpoint that cannot be read."""
    return "exception was never retrieved" not in record.getMessage()


def _nothing_told_twice(record: logging.LogRecord) -> bool:
    """Drops Orbax's log records of what ends in a message: Ctrl-C, a full disk."""
    return not record.exc_info or not _is_told(record.exc_info[1])


def _trace_of_thread(failed: threading.ExceptHookArgs) -> None:
    """Shows what a thread failed of, unless its error comes to the main thread too."""
    if not _is_told(failed.exc_value):
        threading.__excepthook__(failed)


def _is_told(error: BaseException | None) -> bool:
    """Returns whether `run_command` has a message of its own for an error."""
    return isinstance(error, KeyboardInterrupt) or (
        error is not None and bool(reason_unwritten(error))
    )

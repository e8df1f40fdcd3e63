"""Commands: error messages, exit codes and Ctrl-C, the same for every program."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator

import jax

from train.common.errors import UserError


def cache_compilations(folder: str) -> None:
    """Keeps compiled functions in a folder for the next start; "" keeps none."""
    if folder:
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def run_command(main: Callable[[], None], *, resume: str = "") -> None:
    """Calls `main`; prints what the user can fix without a traceback.

    Args:
      main: does what the command is for.
      resume: said after Ctrl-C, how to go on.

    Exit status: 0 when done, 2 for a mistake the user can fix, 130 after Ctrl-C.
    """
    logging.getLogger("absl").setLevel(logging.ERROR)
    logging.getLogger("absl").addFilter(_no_interruption)
    sys.unraisablehook = _interrupt_again
    try:
        main()
    except UserError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.filename is None:  # not about a file: a defect of ours
            raise
        print(
            f"\nerror: {error}. Check the path, its permissions and the space left.",
            file=sys.stderr,
        )
        sys.exit(2)
    except KeyboardInterrupt:
        # A save that was just beginning would show Orbax's own traces at the exit; the
        # checkpoint before it is whole.
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        print(f"\nStopped.{resume}")
        sys.exit(130)


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
    """Raises a Ctrl-C again that was swallowed in JAX's garbage collection callback."""
    if lost.exc_type is KeyboardInterrupt:
        main = threading.main_thread().ident
        threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(lost)


def _no_interruption(record: logging.LogRecord) -> bool:
    """Drops Orbax's log record of a Ctrl-C, which it takes for a failure."""
    return not record.exc_info or record.exc_info[0] is not KeyboardInterrupt

"""The beginning of a program: its streams are open, its imports fail in one message.

Programs import it before all others, some of which read variables of the environment
and take seconds. `run_command` tells of what comes later.
"""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import NoReturn

_READ = ("JAX_", "TQDM_")  # begin the names of variables that imports read


def _open_streams() -> None:
    """Opens standard streams that are closed: what is printed there goes nowhere.

    Otherwise the next file that is opened would take the number of one, and with it
    what libraries print.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            stream = open(number, "w" if number else "r", closefd=False)
            setattr(sys, name, stream)


def _tell(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Tells of Ctrl-C and of a variable that cannot be read; else shows the trace."""
    if issubclass(kind, KeyboardInterrupt):
        _leave(130, "Stopped.")
    if issubclass(kind, ValueError) and (name := variable_of(str(error))):
        said = f"{name} of the environment is {os.environ[name]!r}"
        _leave(2, f"error: {said} ({error!s:.300}). Correct it, or: unset {name}")
    sys.__excepthook__(kind, error, trace)


def variable_of(message: str) -> str:
    """Returns the name of the variable that an error is about, "" for none.

    JAX names it, in lower case too; tqdm names its value.
    """
    found = sorted((n for n in os.environ if n.startswith(_READ)), key=len)
    for name in reversed(found):
        is_named = name.lower() in message.lower()
        if is_named or name[0] == "T" and repr(os.environ[name]) in message:
            return name
    return ""


def _leave(status: int, message: str) -> NoReturn:
    print(f"\n{message}", file=sys.stderr, flush=True)
    os._exit(status)


_open_streams()
if sys.excepthook is sys.__excepthook__:
    sys.excepthook = _tell

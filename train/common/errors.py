"""Errors that a user can fix."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
from collections.abc import Iterator
from typing import TypeGuard

from train.common.text import of_short_lines, shown

# What is wrong with the place of a file, whichever file it is.
_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)

# How JAX tells that memory does not suffice: of a device, and of a CPU that computes
# while Python goes on, which tells it as an internal error.
_NO_MEMORY = ("RESOURCE_EXHAUSTED", "Out of memory allocating")


class UserError(Exception):
    """Something in the options, the data or the run folder is wrong.

    The programs print it without a traceback and exit with status 2.

    Args:
      message: names the culprit and the way out; long lines are cut.
    """

    def __init__(self, message: str):
        super().__init__(of_short_lines(message))


class Diverged(UserError):
    """The loss or the logits of a run are no longer finite.

    Args:
      message: names the culprit and the way out.
      step: that found it.
    """

    def __init__(self, message: str, step: int):
        super().__init__(message)
        self.step = step


class NotFinite(UserError):
    """A network's logits are not finite, so there is no prediction.

    Args:
      index: of the first such image in its batch.
    """

    def __init__(self, index: int = 0):
        super().__init__(
            "the network's logits are not finite (NaN or infinity), which is no "
            "prediction: its training diverged. Train another with a lower "
            "--learning-rate or --max-gradient-norm, in another --workdir."
        )
        self.index = index


def unreadable(what: object, error: OSError) -> UserError:
    """Returns the refusal of a file that the system does not read."""
    return UserError(
        f"{what} cannot be read ({error.strerror}). Check its permissions and the disk "
        "it is on."
    )


def is_of_system(error: BaseException) -> TypeGuard[OSError]:
    """Returns whether the system raised an error, not a library by an OSError."""
    return isinstance(error, OSError) and error.errno is not None


def lacks_space(error: BaseException) -> bool:
    """Returns whether a file could not be written because of its place.

    That is a full disk, a quota, or a file system that is read-only. Orbax and
    array_record tell it in words alone.
    """
    if isinstance(error, UserError):  # which may name a file that is called so
        return False
    if is_of_system(error):
        return error.errno in _PLACE
    told = (f"[os_error_code='{code}']" for code in _PLACE), map(os.strerror, _PLACE)
    return any(words in str(error) for words in itertools.chain(*told))


def reason_unwritten(error: BaseException) -> str:
    """Returns why the system did not write (or read) a file, "" for other errors."""
    if code := re.search(r"\[os_error_code='(\d+)'\]", str(error)):  # TensorStore's
        return os.strerror(int(code[1]))
    full = lacks_space(error)
    if isinstance(error, OSError) and error.strerror and (full or error.filename):
        return error.strerror
    return str(error).rpartition(": ")[2] if full else ""


def lacks_memory(error: BaseException) -> bool:
    """Returns whether memory, the device's or the host's, did not suffice."""
    if isinstance(error, MemoryError):
        return True
    if not isinstance(error, RuntimeError) or lacks_space(error):
        return False
    return any(words in str(error) for words in _NO_MEMORY)


def told_of(what: object, error: Exception) -> str:
    """Returns what went wrong with one file of many, of which the others go on.

    Args:
      what: the file.
      error: whatever was raised.
    """
    if isinstance(error, UserError):
        return str(error).replace(str(what), shown(what))
    if isinstance(error, OSError):
        return f"{shown(what)}: {error}"
    if isinstance(error, MemoryError):
        return (
            f"{shown(what)} takes more memory than there is. Make it smaller, or leave "
            "it out."
        )
    return (
        f"{shown(what)}: {type(error).__name__}: {error}. That is a defect of this "
        "program; please report it."
    )


@contextlib.contextmanager
def memory_for(what: str, way_out: str) -> Iterator[None]:
    """Says in one message what does not fit into memory within the block.

    Args:
      what: takes the memory.
      way_out: how to do with less.

    Raises:
      UserError: memory did not suffice.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        raise UserError(f"{what} takes more memory than there is. {way_out}") from error

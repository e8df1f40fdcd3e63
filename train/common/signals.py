"""Signals that ask a program to stop, answered where nothing is lost by it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from train.common.processes import any_of, number_of_processes

_NOTICES = {
    signal.SIGINT: "\nStopping {}. Ctrl-C again stops at once.\n",
    signal.SIGTERM: "\nStopping {}, as SIGTERM asks.\n",
}


class Terminated(KeyboardInterrupt):
    """SIGTERM came, which schedulers send before they end a program."""


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Takes SIGTERM within the block as Python takes Ctrl-C.

    Raises:
      Terminated: it came.
    """
    before = signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _raise(number: int, frame: FrameType | None) -> None:
    raise Terminated


@contextlib.contextmanager
def stop_told() -> Iterator[None]:
    """Says at once that Ctrl-C came, within a block that may take a while to end.

    From then on, and after the block too, the next ends the process at once.

    Raises:
      KeyboardInterrupt: as Python does.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, _tell)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) == _tell:
            signal.signal(signal.SIGINT, before)


def _tell(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with contextlib.suppress(OSError):
        # Python's own streams may be in use just now.
        notice = _NOTICES[signal.SIGINT].format("as soon as what is under way allows")
        os.write(2, notice.encode())
    raise KeyboardInterrupt


class StopRequest:
    """Notes Ctrl-C and SIGTERM within a block, which asks for them when it can stop.

    The first Ctrl-C is noted; from then on, and after the block too, the next ends the
    process at once, whatever it is doing.
    """

    def __init__(self) -> None:
        self.error: KeyboardInterrupt | None = None  # to raise, once a signal came
        self._at_once = False
        self._before: dict[signal.Signals, object] = {}
        self._when = "after this step"

    def __enter__(self) -> StopRequest:
        if number_of_processes() > 1:
            self._when = "at the next step that is logged"
        if threading.current_thread() is threading.main_thread():  # only it may
            for number in _NOTICES:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *unused: object) -> None:
        for number, handler in self._before.items():
            if signal.getsignal(number) == self._note:
                signal.signal(number, handler)  # type: ignore[arg-type]

    def is_asked(self, all_are_here: bool) -> bool:
        """Returns whether to stop now.

        Args:
          all_are_here: each of several processes asks at this step, so that all stop at
            the same one, whichever of them was asked.
        """
        if number_of_processes() == 1:
            return self.error is not None
        if all_are_here and any_of(self.error is not None):
            self.error = self.error or Terminated()
            return True
        return False

    def raise_if_asked(self) -> None:
        """Raises the request, in all processes: they come here together.

        Raises:
          KeyboardInterrupt: `error`.
        """
        if self.is_asked(True) and self.error:
            raise self.error

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Raises a request within the block, for one that takes long and keeps nothing.

        Several processes do the block together, and are not interrupted.

        Raises:
          KeyboardInterrupt: `error`.
        """
        if number_of_processes() > 1:
            yield
            return
        self._at_once = True
        try:
            if self.error:
                raise self.error
            yield
        finally:
            self._at_once = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        if self.error is None:
            self.error = (
                Terminated() if number == signal.SIGTERM else KeyboardInterrupt()
            )
            with contextlib.suppress(OSError):
                # Python's own streams may be in use just now.
                notice = _NOTICES[signal.Signals(number)].format(self._when)
                os.write(2, notice.encode())
        if self._at_once:
            raise self.error

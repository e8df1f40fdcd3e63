"""Trainings in processes of their own that need not load JAX anew.

A server process loads everything and starts no device; each training is its fork, which
can be killed, stopped, or given a full disk.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .programs import ENVIRONMENT, ROOT

_NO_RIGHTS = 0x20080522  # of Linux's capset, version 3


class Fork:
    """A training in a process of its own.

    Args:
      server: its parent.
      pid: of the process.
      log: what it prints.
    """

    def __init__(self, server: Forks, pid: int, log: Path):
        self.pid, self._server, self._log = pid, server, log

    @property
    def said(self) -> str:
        """All that it has printed so far."""
        return self._log.read_text(errors="replace")

    def until(self, text: str) -> None:
        """Waits until it has printed something."""
        deadline = time.monotonic() + 300
        state = Path(f"/proc/{self.pid}/stat")
        while text not in self.said:
            assert time.monotonic() < deadline and " Z " not in state.read_text()
            time.sleep(0.005)

    def end(self, number: signal.Signals | None = None) -> int:
        """Sends a signal, if any, and returns how it ended, as `Popen.returncode`."""
        if number is not None:
            os.kill(self.pid, number)
        status: int = self._server.ask({"wait": self.pid})
        return status


class Forks:
    """Starts trainings; a context."""

    def __init__(self, folder: Path):
        self._folder, self._count = folder, 0

    def __enter__(self) -> Forks:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.train.forks"],
            cwd=ROOT,
            env={**os.environ, **ENVIRONMENT, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        return self

    def __exit__(self, *unused: object) -> None:
        self._server.communicate()  # which ends at the end of its input

    def ask(self, request: dict[str, Any]) -> Any:
        assert self._server.stdin and self._server.stdout
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())

    def start(self, words: Sequence[object], **limits: int | bool) -> Fork:
        """Starts `train/main.py` with words; see `_limit` for the limits."""
        self._count += 1
        log = self._folder / f"log{self._count}"
        log.touch()
        request = {"words": [*map(str, words)], "log": str(log), "limits": limits}
        return Fork(self, self.ask(request), log)


def _limit(bytes: int | None = None, root: bool = True) -> None:
    """Limits this process.

    Args:
      bytes: of a file that it writes, as on a full disk.
      root: whether it may write where the modes of files forbid it.
    """
    if bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes, bytes))
    if not root:
        head, none = (ctypes.c_uint32 * 2)(_NO_RIGHTS, 0), (ctypes.c_uint32 * 6)()
        assert ctypes.CDLL(None).capset(head, none) == 0


def _train(words: list[str], log: str, limits: dict[str, Any]) -> int:
    """Does what `train/main.py` does as a program; returns its exit status."""
    from models.backbones import BACKBONES, BackboneEntry
    from train.common.command import run_command
    from train.main import main

    from .standins import Tiny  # starts a device, which no fork could take over

    BACKBONES.add("tiny", BackboneEntry(Tiny), "for tests")
    written = os.open(log, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(written, descriptor)
    sys.argv = ["main.py", *words]
    _limit(**limits)
    try:
        run_command(main, resume=" The same command goes on from the last checkpoint.")
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def _serve() -> None:
    """Answers requests, a line each."""
    import train.main  # noqa: F401  # once, for all forks

    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        elif (answer := os.fork()) == 0:
            os._exit(_train(**request))
        print(answer, flush=True)


if __name__ == "__main__":
    _serve()

"""The programs as a user calls them, in this process or in one of their own."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
# Steps short enough to kill, long enough that metrics could differ.
OPTIONS = (
    "--backbone resnet_small --dilations 1 2 --crop 32 32 --batch-size 2 "
    "--learning-rate 0.5 --max-gradient-norm 0.1 --evaluate-every 4 "
    "--checkpoint-every 2 --log-every 1"
).split()
ENVIRONMENT = {"PYTHONUNBUFFERED": "1"}  # and what tests/conftest.py sets


class Ended(NamedTuple):
    """How a program ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def command(program: str, *arguments: object) -> list[str]:
    """Returns the words that start a program of train/."""
    path = ROOT / "train" / f"{program}.py"
    return [sys.executable, str(path), *map(str, arguments)]


def start(
    program: str,
    *arguments: object,
    more: Mapping[str, str] | None = None,
    **options: object,
) -> subprocess.Popen[str]:
    """Starts a program in a process of its own; `more` joins its environment."""
    return subprocess.Popen(  # type: ignore[call-overload]
        command(program, *arguments),
        **{
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            "env": {**os.environ, **ENVIRONMENT, **(more or {})},
            **options,
        },
    )


def wait(process: subprocess.Popen[str]) -> Ended:
    """Waits for a program that was started; kills one that does not end."""
    try:
        said = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Ended(process.returncode, *said)


def call(program: str, *arguments: object) -> Ended:
    """Runs a program's file here, from its first line to its exit status.

    What it compiles goes to the tests' own cache, for the programs after it.
    """
    path, *words = command(program, *arguments)[1:]
    out, error = io.StringIO(), io.StringIO()
    status: object = 0
    with pytest.MonkeyPatch.context() as patch, _logger_kept():
        patch.setattr("train.common.command.cache_compilations", lambda folder: None)
        patch.setattr(sys, "argv", [path, *words])
        patch.setattr(sys, "unraisablehook", sys.unraisablehook)
        patch.setattr(threading, "excepthook", threading.excepthook)
        for name, value in ENVIRONMENT.items():  # for the processes that it starts
            patch.setenv(name, value)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            try:
                runpy.run_path(path, run_name="__main__")
            except SystemExit as stop:
                status = stop.code or 0
    assert isinstance(status, int), status
    return Ended(status, out.getvalue(), error.getvalue())


@contextlib.contextmanager
def _logger_kept() -> Iterator[None]:
    """Restores absl's logger, which programs silence."""
    logger = logging.getLogger("absl")
    level, filters = logger.level, logger.filters[:]
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.filters = filters

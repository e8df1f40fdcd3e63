"""Locks: one process at a time, and who it is."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from train.common import locks
from train.common.errors import UserError
from train.common.locks import held, locked

from ..programs import ROOT

HOLDER = """
import sys; from pathlib import Path; from train.common.locks import held
with held(Path(sys.argv[1]), "", ""):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_locked_folder_waits_for_the_other(tmp_path: Path) -> None:
    came: list[str] = []

    def enter() -> None:
        with locked(tmp_path):
            came.append("other")

    with locked(tmp_path):
        other = threading.Thread(target=enter)
        other.start()
        other.join(0.2)
        came.append("first")
    other.join()
    assert came == ["first", "other"]


def test_folder_that_is_held_is_refused_with_its_holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a" / "b"
    command = [sys.executable, "-c", HOLDER, str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as other:  # type: ignore[call-overload]
        assert other.stdout.readline() == b"held\n"
        for told, who in ((True, f" ({other.pid})"), (False, "")):
            if not told:
                monkeypatch.setattr(locks, "_LOCKS", tmp_path / "none")
            with pytest.raises(UserError) as refused:
                with held(folder, "b is written", "Wait."):
                    pytest.fail("entered")
            assert str(refused.value) == f"b is written by another process{who}. Wait."
        other.kill()  # which leaves nothing behind
    with held(folder, "", ""):
        assert not list(folder.iterdir())
    assert folder.is_dir()


def test_folder_that_is_made_for_nothing_is_removed(tmp_path: Path) -> None:
    for name in ("", "a"):
        with held(tmp_path / "new", "", ""):
            if name:
                (tmp_path / "new" / name).touch()
        assert (tmp_path / "new").exists() == bool(name)


def test_a_long_wait_says_once_for_whom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(locks, "_PATIENCE", 0.1)

    def enter() -> None:
        with locked(tmp_path):
            pass

    for seconds, told in ((0.4, 1), (0.0, 0)):
        with locked(tmp_path):
            other = threading.Thread(target=enter)
            other.start()
            other.join(seconds)
        other.join()
        said = capsys.readouterr().err
        assert said.count("Waiting for another process") == told
        assert said.count(f"holds {tmp_path}") == told
        assert not told or f"({os.getpid()})" in said


def test_files_of_one_number_on_two_devices_have_holders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "locks"
    monkeypatch.setattr(locks, "_LOCKS", table)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    found = os.fstat(descriptor)
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
    line = "1: FLOCK  ADVISORY  WRITE {} {}:" + f"{found.st_ino} 0 EOF\n"
    for lines, who in (
        (line.format(5, "fe:ff") + line.format(7, device), " (7)"),
        (line.format(5, "fe:ff") + line.format(7, "fe:fe"), ""),
        (line.format(5, "fe:ff"), " (5)"),
    ):
        table.write_text(lines)
        assert locks.holder(descriptor) == f"another process{who}"
    os.close(descriptor)

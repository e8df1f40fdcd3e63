"""Ends of processes: with their status, and with their parent."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from train.common.endings import end_with_parent

from ..programs import ROOT

_STARTS_A_CHILD = """
    import multiprocessing, time
    from tests.train.common.test_endings import child

    if __name__ == "__main__":
        process = multiprocessing.get_context("spawn").Process(target=child)
        process.start()
        print(process.pid, flush=True)
        time.sleep(100)
    """


def program(text: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("way", ["leave(2)", "run_command(fail)"])
def test_threads_that_wait_in_vain_do_not_keep_the_process(way: str) -> None:
    began = time.monotonic()
    ended = program(
        f"""
        import threading
        from train.common import endings
        from train.common.command import run_command
        from train.common.endings import leave
        from train.common.errors import UserError

        def fail():
            threading.Thread(target=threading.Event().wait, args=(60,)).start()
            raise UserError("it failed")

        endings._PATIENCE = 0.1
        threading.Thread(target=threading.Event().wait, args=(60,)).start()
        {way}
        """
    )
    _, said = ended.communicate(timeout=50)
    assert ended.returncode == 2 and time.monotonic() - began < 50
    assert "Traceback" not in said and ("fail" not in way or "it failed" in said)


def test_what_ends_in_time_is_waited_for() -> None:
    ended = program(
        """
        import atexit, threading, time
        from train.common import endings

        def write():
            time.sleep(0.2)
            print("saved")

        def last():
            time.sleep(1)
            print("last")

        endings._PATIENCE = 0.7
        atexit.register(last)  # as multiprocessing waits for children
        threading.Thread(target=write).start()
        endings.leave(2)
        """
    )
    said, _ = ended.communicate(timeout=50)
    assert ended.returncode == 2 and said.split() == ["saved", "last"]


def child() -> None:
    """Ends with its parent alone."""
    end_with_parent()
    time.sleep(1000)


def test_child_ends_with_a_parent_that_is_killed() -> None:
    with program(_STARTS_A_CHILD) as parent:
        assert parent.stdout
        number = int(parent.stdout.readline())
        parent.kill()
        try:
            parent.communicate(timeout=50)  # until the child, which has it too, ends
        except subprocess.TimeoutExpired:
            os.kill(number, signal.SIGKILL)
            raise


def test_process_without_a_parent_goes_on() -> None:
    assert multiprocessing.parent_process() is None
    end_with_parent()

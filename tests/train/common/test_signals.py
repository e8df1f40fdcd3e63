"""Signals are noted, and answered once."""

import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from train.common.command import run_command
from train.common.signals import StopRequest, Terminated, stop_told

from .test_command import hook, run_here

__all__ = ["hook"]  # a fixture


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Puts back what a stop leaves."""
    kept = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "error"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)],
)
def test_request_is_noted(number: signal.Signals, error: type[BaseException]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest() as stop:
        assert not stop.error
        signal.raise_signal(number)
        signal.raise_signal(signal.SIGTERM)  # again, or another: the first counts
        found = stop.error
    assert type(found) is error
    assert signal.getsignal(signal.SIGTERM) == before


def test_without_a_request_handlers_are_as_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with StopRequest() as stop:
        with stop.at_once():
            pass
    assert signal.getsignal(signal.SIGINT) == before and stop.error is None


def test_request_comes_at_once_where_nothing_is_lost_by_it() -> None:
    reached = []
    with StopRequest() as stop:
        with pytest.raises(Terminated):
            with stop.at_once():
                signal.raise_signal(signal.SIGTERM)
                reached.append("after")
        with pytest.raises(Terminated):
            with stop.at_once():  # which does not begin any more
                reached.append("again")
    assert not reached


def test_a_stop_is_told_at_once_and_the_next_does_not_wait(
    capfd: pytest.CaptureFixture[str],
) -> None:
    before, said = signal.getsignal(signal.SIGINT), []
    with stop_told():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
    with pytest.raises(KeyboardInterrupt), stop_told():
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            said.append(capfd.readouterr().err)
    assert said == [
        "\nStopping as soon as what is under way allows. Ctrl-C again stops at once.\n"
    ]
    assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL


def test_other_threads_leave_signals_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with StopRequest() as stop:
            seen.append((stop.error, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(None, before)]


def test_second_interruption_ends_the_process() -> None:
    process = run_here(
        """
        from train.common.signals import StopRequest
        import signal
        with StopRequest() as stop:
            signal.raise_signal(signal.SIGINT)
            print("noted", stop.error is not None, flush=True)
            signal.raise_signal(signal.SIGINT)
            print("not reached", flush=True)
        """
    )
    said, errors = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGINT
    assert said == "noted True\n" and "Ctrl-C again stops at once" in errors


def test_stop_says_what_asked_for_it(capfd: pytest.CaptureFixture[str]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with StopRequest():
            signal.raise_signal(number)
    by_hand, by_scheduler = re.findall(
        "Stopping after this step.*", capfd.readouterr().err
    )
    assert "Ctrl-C again" in by_hand
    assert "Ctrl-C" not in by_scheduler and "SIGTERM" in by_scheduler


@pytest.mark.parametrize(
    ("number", "resume", "status"),
    [
        (signal.SIGTERM, " Go on.", os.EX_TEMPFAIL),
        (signal.SIGINT, " Go on.", 130),
        (signal.SIGTERM, "", 143),
        (signal.SIGINT, "", 130),
    ],
)
def test_stopped_programs_leave_nothing_half_done(
    number: signal.Signals,
    resume: str,
    status: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And their status says who asked, and whether the same command goes on."""
    left: list[Path] = []

    def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            left.append(Path(folder))
            signal.raise_signal(number)

    def before(*unused: object) -> None:  # which would end the tests
        sys.exit(1)

    signal.signal(signal.SIGTERM, before)
    with pytest.raises(SystemExit) as ended:
        run_command(main, resume=resume)
    assert ended.value.code == status
    assert f"Stopped.{resume}\n" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGTERM) == before
    assert not left[0].exists()

"""How programs end."""

import gc
import logging
import signal
import sys
import threading
import time

import pytest

from train.common.command import run_command, uninterrupted


@pytest.fixture(autouse=True)
def hook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts back what `run_command` replaces."""
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)


def test_interruption_of_garbage_collection_is_not_lost() -> None:
    def interrupted(phase: str, info: dict[str, int]) -> None:
        gc.callbacks.remove(interrupted)
        raise KeyboardInterrupt

    def main() -> None:
        gc.callbacks.append(interrupted)
        gc.collect()
        time.sleep(10)

    with pytest.raises(SystemExit) as ended:
        run_command(main)
    assert interrupted not in gc.callbacks
    assert ended.value.code == 130


def test_nothing_is_logged_of_an_interruption(
    capsys: pytest.CaptureFixture[str],
) -> None:
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign, assignment]
    logger = logging.getLogger("absl")
    logger.addHandler(handler)

    def main() -> None:
        for error in (ValueError(), KeyboardInterrupt()):
            try:
                raise error
            except BaseException:
                logger.exception("failed while it waited")
        raise KeyboardInterrupt

    level = logger.level
    try:
        with pytest.raises(SystemExit) as ended:
            run_command(main, resume=" Go on.")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert ended.value.code == 130
    assert "Stopped. Go on." in capsys.readouterr().out
    assert [record.exc_info[0] for record in records if record.exc_info] == [ValueError]


def test_interruption_waits_for_the_end_of_a_block() -> None:
    done = []
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append("all")
    assert done == ["all"] and signal.getsignal(signal.SIGINT) is handler
    with uninterrupted():
        done.append("without")
    assert done == ["all", "without"]


def test_error_of_an_uninterrupted_block_comes_through() -> None:
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError):
        with uninterrupted():
            raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is handler


def test_other_threads_are_not_interrupted_anyway() -> None:
    done = []

    def work() -> None:
        with uninterrupted():
            done.append("here")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == ["here"]

"""A stop that JAX's garbage collection callback swallows is raised again."""

import logging
import signal
import sys
import threading
import time
import types
from collections.abc import Generator, Iterator

import pytest

from train.common.command import run_command
from train.common.signals import StopRequest


class Swallowing:
    """Is asked to stop while it is deleted, where Python drops what is raised."""

    def __init__(self, number: int):
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)
        time.sleep(0.01)  # the handler runs here


@pytest.fixture
def before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Puts back what `run_command` and a first Ctrl-C replace."""
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.mark.usefixtures("before")
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)]
)
def test_a_stop_during_an_evaluation_is_not_lost(
    number: int, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> None:
        with StopRequest() as stop:
            try:
                with stop.at_once():
                    Swallowing(number)
                    time.sleep(5)
            except KeyboardInterrupt:
                print("evaluation ended")
            stop.raise_if_asked()

    with pytest.raises(SystemExit) as ended:
        run_command(main, resume="Again.")
    assert ended.value.code == status
    printed = capsys.readouterr().out
    assert "evaluation ended" in printed and "Stopped.Again." in printed


@types.coroutine
def _wait() -> Generator[None, None, None]:
    yield


@pytest.mark.usefixtures("before")
def test_arrays_of_a_checkpoint_that_went_are_not_told(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    class Late:
        def __del__(self) -> None:
            raise ValueError("what else went wrong")

    async def read() -> None:
        try:
            await _wait()
        finally:
            raise ValueError("one of a hundred arrays")

    def main() -> None:
        reading, late = read(), Late()
        reading.send(None)
        del reading, late
        for text in ("Task exception was never retrieved\nfuture: <", "another"):
            logging.getLogger("asyncio").error(text)

    run_command(main)
    said = capsys.readouterr().err
    assert "what else went wrong" in said and "a hundred arrays" not in said
    assert caplog.messages == ["another"]

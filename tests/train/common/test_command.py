"""How programs end."""

import gc
import logging
import sys
import time

import pytest

from train.common.command import run_command


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

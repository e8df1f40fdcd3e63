"""How programs end."""

import logging

import pytest

from train.program import run_program


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
            run_program(main, resume=" Go on.")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert ended.value.code == 130
    assert "Stopped. Go on." in capsys.readouterr().out
    assert [record.exc_info[0] for record in records if record.exc_info] == [ValueError]

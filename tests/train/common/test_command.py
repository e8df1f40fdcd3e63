"""How programs end."""

import gc
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from train.common.command import run_command, uninterrupted
from train.common.errors import UserError
from train.common.notes import kept_notes, note

from ..programs import ROOT


@pytest.fixture(autouse=True)
def hook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts back what `run_command` replaces."""
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)


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


def test_reports_to_a_failed_save_are_dropped(
    capfd: pytest.CaptureFixture[str],
) -> None:
    class Late:
        def __init__(self, text: str):
            self.text = text

        def __del__(self) -> None:
            raise RuntimeError(self.text)

    def main() -> None:
        for text in ("Event loop is closed", "something else"):
            late = Late(text)
            del late

    hook = sys.unraisablehook
    try:
        run_command(main)
    finally:
        sys.unraisablehook = hook
    said = capfd.readouterr().err
    assert "something else" in said and "Event loop" not in said


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


def run_here(code: str, **options: Any) -> subprocess.Popen[str]:
    """Runs `main`, whose body is given, as a program."""
    program = (
        "import errno, sys, threading, time\n"
        "from train.common.command import run_command\n"
        f"def main():\n{textwrap.indent(textwrap.dedent(code), '    ')}\n"
        "run_command(main)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


def test_lost_reader_does_not_end_the_work(tmp_path: Path) -> None:
    done = tmp_path / "done"
    process = run_here(
        f"""
        for line in range(30000):
            print("line", line)
            print("line", line, file=sys.stderr)
        open({str(done)!r}, "w").close()
        """,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "line 0\n"
    process.stdout.close()
    assert process.wait(timeout=120) == 0
    assert done.exists()


def test_output_to_a_full_disk_is_said_at_the_end() -> None:
    with open("/dev/full", "w") as full:
        process = run_here("print('a'); print('worked', file=sys.stderr)", stdout=full)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 2
    assert said.startswith("worked\n") and "error: not all could be printed" in said
    assert "Traceback" not in said


def test_characters_that_the_output_lacks_are_escaped() -> None:
    process = run_here(
        r"print('ü – \udcff')", env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    said, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert said == "\\xfc \\u2013 \\udcff\n"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise OSError(errno.ENOSPC, 'No space left', 'a.json')", "'a.json'. Check"),
        ("raise OSError(errno.ENOSPC, 'No space left')", "left. Check the path"),
        ("raise MemoryError", "memory does not suffice"),
        (
            "raise RuntimeError(\"Unable to initialize backend 'gpu': none\")",
            "'gpu': none. Name devices that are there",
        ),
        (
            "from train.training.compiler import chosen_options\n"
            "import os; os.environ['LAL_JAX_COMPILER'] = 'yes'; chosen_options()",
            "LAL_JAX_COMPILER must be one of off, graph, fused (default off), got",
        ),
        (
            "raise FileNotFoundError(2, 'No usable temporary directory found in []')",
            "found in []. Name a folder to write to: TMPDIR=FOLDER",
        ),
    ],
)
def test_lack_of_space_or_memory_is_one_message(code: str, message: str) -> None:
    thread = """
    def fail():
        raise ValueError("Failed writing [os_error_code='28']")
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    """
    process = run_here(textwrap.dedent(thread) + code)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 2
    assert said.startswith("\nerror: ") and message in said and said.count("\n") == 2


def test_defects_of_ours_show_their_trace() -> None:
    process = run_here("raise OSError('of no file')")
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1 and "Traceback" in said


def test_names_steer_no_terminal() -> None:
    process = run_here(
        r"""
        print("\x1b[31mred\x07 \u202e\ttab\r")
        print("\x1b[A", file=sys.stderr)
        sys.stderr.write("\rbar \x1b[2J\r")
        """,
    )
    said, errors = process.communicate(timeout=120)
    assert said == "\\x1b[31mred\\x07 \\u202e\ttab\\r\n"
    assert errors.encode().endswith(b"bar \\x1b[2J\\r")


@pytest.mark.parametrize(
    ("error", "status"), [("UserError", 2), ("ValueError", 1), ("TypeError", 1)]
)
def test_errors_steer_no_terminal(error: str, status: int) -> None:
    process = run_here(
        rf"""
        from train.common.errors import UserError
        raise {error}("a\x1b[2J.png\nerror: b")
        """
    )
    said, errors = process.communicate(timeout=120)
    assert process.returncode == status
    assert "a\\x1b[2J.png\n" in errors and "\x1b" not in said + errors
    assert ("Traceback" in errors) == (status == 1)
    if status == 2:
        assert errors == "\nerror: a\\x1b[2J.png\n  error: b\n"


def test_bars_are_drawn() -> None:
    process = run_here(
        """
        from tqdm import tqdm
        for outer in tqdm(range(2), desc="outer"):
            for inner in tqdm(range(2), desc="inner"):
                pass
        """
    )
    _, errors = process.communicate(timeout=120)
    assert "\x1b[A" in errors and "\\x1b" not in errors


def test_help_is_not_colored_where_colors_are_escaped() -> None:
    process = run_here("print(sys.stdout.isatty()); print(sys.stderr.isatty())")
    assert process.communicate(timeout=120)[0] == "False\nFalse\n"


def test_lines_of_a_message_have_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise UserError(f"{'x' * 10**6}\nsecond {'y' * 10**6}")

    with pytest.raises(SystemExit):
        run_command(main)
    lines = capsys.readouterr().err.splitlines()
    (first,) = (line for line in lines if line.startswith("error: xxx"))
    (second,) = (line for line in lines if line.startswith("  second yyy"))
    assert 10_000 < max(len(first), len(second)) < 21_000


def test_lines_of_a_note_have_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    with kept_notes() as notes:
        note(10**6 * "x")
    assert 10_000 < len(notes[0]) < 21_000
    assert capsys.readouterr().err == f"{notes[0]}\n"

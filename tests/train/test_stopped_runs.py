"""Runs that are stopped, or lose their disk: what is said, and what is kept."""

import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from .conftest import make_folder
from .forks import Fork, Forks
from .programs import OPTIONS


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("stopped")
    make_folder(place / "voc")
    return place


@pytest.fixture(scope="module")
def forks(place: Path) -> Iterator[Forks]:
    with Forks(place) as forks:
        yield forks


def words(place: Path, name: str, *, every: int) -> Sequence[object]:
    """Returns a run that does not end by itself."""
    paths = ("--data", place / "voc", "--prepared", place / "prepared")
    budget = ("--steps", 10**6, "--evaluate-every", 10**6, "--evaluation-batch", 2)
    rest = ("--backbone", "tiny", "--checkpoint-every", every, "--workdir")
    return ("demo", *OPTIONS, *paths, *budget, *rest, place / name)


def saved(run: Path) -> list[int]:
    """Returns the steps of its whole checkpoints."""
    places = (path.name for path in (run / "checkpoints").glob("*"))
    return sorted(int(name) for name in places if name.isdigit())


def wait_for(run: Path, *, step: int = 0, checkpoints: int = 0) -> None:
    """Waits until a run has logged a step, and has so many checkpoints."""
    deadline = time.monotonic() + 300
    metrics = run / "metrics.jsonl"
    while time.monotonic() < deadline:
        logged = metrics.read_text().splitlines()[-2:-1] if metrics.is_file() else []
        done = json.loads(logged[0])["step"] if logged else 0
        if done >= step and len(saved(run)) >= checkpoints:
            return
        time.sleep(0.01)
    raise AssertionError(f"{run} has not come so far")


def is_one_message(fork: Fork, *parts: str) -> None:
    """Checks that a program said one error, and no trace."""
    said = fork.said
    assert said.count("error: ") == 1 and "Traceback" not in said, said
    assert all(part in said for part in parts), said


def test_stop_saves_and_says_to_go_on(place: Path, forks: Forks) -> None:
    run, rarely = place / "stop", words(place, "stop", every=10**6)
    before = 0
    for number, status in ((signal.SIGTERM, 75), (signal.SIGINT, 130)):
        fork = forks.start(rarely)
        wait_for(run, step=before + 3)
        assert fork.end(number) == status, fork.said
        assert f"from step {before} of" in fork.said
        assert "Stopped. The same command goes on" in fork.said
        assert "Traceback" not in fork.said
        before = saved(run)[-1]
        assert before >= 3 and (run / "checkpoints" / str(before) / "manifest.json")
    assert len(saved(run)) == 2


def test_second_process_on_a_folder_is_refused(place: Path, forks: Forks) -> None:
    first = forks.start(words(place, "shared", every=10**6))
    first.until("from step")
    second = forks.start(words(place, "shared", every=10**6))
    assert second.end() == 2
    is_one_message(second, f"{place / 'shared'} is being trained by another process")
    assert first.end(signal.SIGTERM) == 75


def go_on(place: Path, forks: Forks, name: str) -> None:
    """Checks that a run goes on from its newest checkpoint."""
    (*_, newest) = saved(place / name)
    fork = forks.start(words(place, name, every=10**6))
    fork.until(f"from step {newest} of")
    assert fork.end(signal.SIGTERM) == 75, fork.said
    assert "damaged" not in fork.said


def test_full_disk_is_one_message_and_keeps_what_is_saved(
    place: Path, forks: Forks
) -> None:
    run = place / "full"
    fork = forks.start(words(place, "full", every=10**6))
    wait_for(run, step=1)
    assert fork.end(signal.SIGTERM) == 75, fork.said
    before = saved(run)
    largest = max(p.stat().st_size for p in run.rglob("*") if p.is_file())
    fork = forks.start(words(place, "full", every=1), bytes=largest - 1)
    assert fork.end() == 2, fork.said
    is_one_message(fork, "could not be saved (File too large)", f"step {before[-1]}")
    assert saved(run) == before
    go_on(place, forks, "full")


def test_folder_that_becomes_read_only_is_one_message(
    place: Path, forks: Forks
) -> None:
    run = place / "locked"
    fork = forks.start(words(place, "locked", every=1), root=False)
    wait_for(run, checkpoints=2)
    (run / "checkpoints").chmod(0o555)
    try:
        assert fork.end() == 2, fork.said
    finally:
        (run / "checkpoints").chmod(0o755)
    is_one_message(fork, "could not be saved (Permission denied)", "from step ")
    go_on(place, forks, "locked")


def test_folder_that_vanishes_is_one_message(place: Path, forks: Forks) -> None:
    run, gone = place / "vanishing", place / "gone"
    fork = forks.start(words(place, "vanishing", every=1))
    wait_for(run, checkpoints=2)
    os.rename(run, gone)
    assert fork.end() == 2, fork.said
    is_one_message(fork, str(run))
    assert len(saved(gone)) >= 1

"""Files: whole or not there, of any name, named where they cannot be written."""

import errno
import os
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from train.common import files
from train.common.files import (
    append_text,
    begin_file,
    create_bytes,
    naming,
    replace_bytes,
    replace_text,
)


@pytest.fixture
def full() -> Iterator[None]:
    """Lets no file grow beyond 4 KiB, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_file_that_does_not_fit_leaves_the_old_one(tmp_path: Path, full: None) -> None:
    path = tmp_path / "a.json"
    replace_text(path, "old")
    with pytest.raises(OSError) as raised:
        replace_bytes(path, b"x" * 5000)
    assert raised.value.errno == errno.EFBIG and raised.value.filename == str(path)
    assert os.listdir(tmp_path) == ["a.json"] and path.read_text() == "old"


def test_line_that_does_not_fit_is_named(tmp_path: Path, full: None) -> None:
    path = tmp_path / "a.csv"
    append_text(path, "first\n")
    with pytest.raises(OSError) as raised:
        append_text(path, "x" * 5000)
    assert raised.value.filename == str(path)
    append_text(path, "next\n")
    assert path.read_text() == "first\nnext\n"  # nothing of what did not fit


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    others = tmp_path / "others.txt"
    others.write_text("theirs")
    link = tmp_path / "a.json"
    link.symlink_to(others)
    with pytest.raises(OSError, match="It is a link") as raised:
        append_text(link, "ours")
    assert raised.value.filename == str(link) and link.is_symlink()
    replace_text(link, "ours")
    assert not link.is_symlink() and link.read_text() == "ours"
    assert others.read_text() == "theirs"


def test_a_line_is_added_under_one_name(tmp_path: Path) -> None:
    path, copy = tmp_path / "a.jsonl", tmp_path / "copy.jsonl"
    append_text(path, "first\n")
    copy.hardlink_to(path)  # as `cp -al` copies a run
    for line in ("second\n", "third\n"):
        append_text(path, line)
    assert path.read_text() == "first\nsecond\nthird\n"
    assert copy.read_text() == "first\n"


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "file"])
def test_a_log_begins_in_the_place_of_whatever_is_there(
    tmp_path: Path, kind: str
) -> None:
    theirs, path = tmp_path / "theirs", tmp_path / "process0.log"
    theirs.write_text("theirs")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "file":
        path.write_text("earlier")
    else:
        (path.symlink_to if kind == "link" else path.hardlink_to)(theirs)
    with begin_file(path) as file:
        file.write(b"ours")
    assert path.read_text() == "ours" and not path.is_symlink()
    assert theirs.read_text() == "theirs"


def test_what_is_being_written_takes_nobodys_place(tmp_path: Path) -> None:
    others = tmp_path / "a.partial"
    others.write_text("theirs")
    replace_text(tmp_path / "a.json", "ours")
    assert others.read_text() == "theirs" and len(os.listdir(tmp_path)) == 2


def test_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        replace_text(tmp_path / "a.json", "ours")
        append_text(tmp_path / "b.csv", "ours")
    finally:
        os.umask(before)
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o777 == 0o640


def test_error_that_names_a_file_keeps_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised, naming(tmp_path / "other"):
        (tmp_path / "missing").read_text()
    assert raised.value.filename == str(tmp_path / "missing")
    with pytest.raises(OSError, match="^no number$"), naming(tmp_path):
        raise OSError("no number")


def test_text_beyond_unicode_is_escaped(tmp_path: Path) -> None:
    replace_text(tmp_path / "a", "ü \udcff")
    assert (tmp_path / "a").read_bytes() == "ü \\udcff".encode()


@pytest.mark.parametrize("linked", [True, False])
def test_one_of_several_makes_a_file_whatever_delays_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: bool
) -> None:
    path, made = tmp_path / "config.json", []

    def no_link(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no hard links here")

    if not linked:
        monkeypatch.setattr(os, "link", no_link)
    all_are_here, name = threading.Barrier(4), files._name

    def late(partial: Path, target: Path) -> None:
        time.sleep(0.05)
        name(partial, target)

    monkeypatch.setattr(files, "_name", late)

    def make(number: int) -> None:
        all_are_here.wait()
        if create_bytes(path, b"%d" % number):
            made.append(number)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes()] == [b"%d" % number for number in made]
    assert [*tmp_path.iterdir()] == [path]


def test_file_that_came_meanwhile_stays_on_disks_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.json"
    monkeypatch.setattr(os.path, "lexists", lambda _: False)  # seen too early
    path.write_text("another's")
    assert not create_bytes(path, b"ours")
    assert path.read_text() == "another's"

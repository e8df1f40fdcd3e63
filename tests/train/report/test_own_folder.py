"""A folder that is refilled: what is another's in it stays, and is told."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from train.common.errors import UserError
from train.report.own_folder import OwnFolder

NAMES = re.compile(r"page|pictures/\d")


def fill(folder: Path, *names: str) -> None:
    own = OwnFolder(folder, NAMES)
    own.clear()
    for name in names:
        own.write(name, name.encode())


def content(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_folder_is_refilled_and_nothing_of_before_stays(tmp_path: Path) -> None:
    fill(tmp_path / "a" / "b", "page", "pictures/1", "pictures/2")
    fill(tmp_path / "a" / "b", "page", "pictures/1")
    assert content(tmp_path / "a" / "b") == {"page", "pictures/1", "SHA256SUMS"}
    done = subprocess.run(
        ["sha256sum", "-c", "--quiet", "--strict", "SHA256SUMS"],
        cwd=tmp_path / "a" / "b",
    )
    assert done.returncode == 0


@pytest.mark.parametrize("begun", [True, False])
def test_folder_that_a_kill_left_is_refilled(tmp_path: Path, begun: bool) -> None:
    fill(tmp_path, "pictures/1", "pictures/2")
    if begun:  # the checksum of what is not there yet
        (tmp_path / "pictures" / "2").unlink()
        (tmp_path / "pictures" / ".0123456789abcdef.partial").touch()
    fill(tmp_path, "page")
    left = {"page", "SHA256SUMS"}
    assert content(tmp_path) - left == (
        {"pictures/.0123456789abcdef.partial"} if begun else set()
    )


@pytest.mark.parametrize(
    "name", ["other", "pictures/x", "page", "pictures/1", "pictures/3", "deep/er"]
)
@pytest.mark.parametrize("kind", ["file", "link", "dangling"])
def test_what_is_anothers_is_refused(tmp_path: Path, name: str, kind: str) -> None:
    folder, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    fill(folder, "page", "pictures/1")
    place = folder / name
    place.parent.mkdir(exist_ok=True)
    place.unlink(missing_ok=True)
    if kind != "dangling":
        elsewhere.write_bytes(b"page" if kind == "link" else b"drawn")
    if kind == "file":
        elsewhere.rename(place)
    else:
        place.symlink_to(elsewhere)
    before = content(folder)
    with pytest.raises(UserError, match=f"{place} is there already"):
        OwnFolder(folder, NAMES)
    assert content(folder) == before and os.path.lexists(place)


def test_nothing_is_written_through_a_link_to_a_folder(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "pictures").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="pictures is there already"):
        OwnFolder(tmp_path / "out", NAMES)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")  # named, it may be one
    fill(tmp_path / "link", "page")
    assert content(tmp_path / "elsewhere") == {"page", "SHA256SUMS"}


def test_checksums_behind_a_link_are_none(tmp_path: Path) -> None:
    fill(tmp_path / "out", "page")
    (tmp_path / "out" / "SHA256SUMS").rename(tmp_path / "sums")
    (tmp_path / "out" / "SHA256SUMS").symlink_to(tmp_path / "sums")
    with pytest.raises(UserError, match="is there already"):
        OwnFolder(tmp_path / "out", NAMES)


@pytest.mark.parametrize("names", [["page", "pictures/1"], []])
def test_checksums_of_their_owner_are_no_mark(tmp_path: Path, names: list[str]) -> None:
    """As of an album that is named like a page."""
    (tmp_path / "pictures").mkdir()
    for name in names:
        (tmp_path / name).write_text(name)
    made = subprocess.run(
        ["sha256sum", *names], cwd=tmp_path, input=b"", capture_output=True, check=True
    )
    (tmp_path / "SHA256SUMS").write_bytes(made.stdout)
    with pytest.raises(UserError, match="is there already.*Choose another --out"):
        OwnFolder(tmp_path, NAMES)
    assert content(tmp_path) == {*names, "SHA256SUMS"}


def test_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(UserError, match="a is no folder"):
        OwnFolder(tmp_path / "a", NAMES)

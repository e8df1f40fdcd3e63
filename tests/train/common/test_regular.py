"""What is no file, or larger than one could be, is refused before it is waited for."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from train.common import regular
from train.common.errors import UserError
from train.common.regular import read_regular
from train.common.sealed import checksum_of, read_sealed
from train.config import load_config
from train.data.inside import check_kinds_below
from train.evaluation.areas import images_of
from train.workdir.contents import read_metrics
from train.workdir.sums import SUMS, not_ours

HUGE = 2**40  # bytes, of which a sparse file takes none


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("config.json", load_config),
        ("summary.json", read_sealed),
        ("config.json", checksum_of),
        ("metrics.jsonl", read_metrics),
        (SUMS, lambda path: not_ours(path.parent, ())),
        ("areas.csv", images_of),
    ],
)
def test_a_large_file_of_text_is_named(
    tmp_path: Path, name: str, read: Callable[[Path], object]
) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(HUGE)
    with pytest.raises(UserError, match=f"{path} has {HUGE} bytes"):
        read(path)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "file", "dangling"])
def test_kinds_that_a_library_may_meet(tmp_path: Path, kind: str) -> None:
    place, inner = tmp_path / "place", tmp_path / "place" / "a" / "b"
    inner.parent.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (inner.parent / "c").write_text("plain")
    if kind == "pipe":
        os.mkfifo(inner)
    else:
        targets = {"device": "/dev/zero", "folder": "elsewhere", "file": "place/a/c"}
        inner.symlink_to(tmp_path / targets.get(kind, "nowhere"))
    said = "pipe" if kind == "pipe" else "link, to .*, and is not followed"
    with pytest.raises(UserError, match=f"{inner} is a {said}"):
        check_kinds_below(place)


@pytest.mark.skipif(not Path("/proc/self/pagemap").exists(), reason="Linux has these")
def test_files_of_the_system_that_have_no_end() -> None:
    """They are regular, and of no bytes by what the system says of them."""
    assert read_regular(Path("/proc/self/pagemap")) == b""


def test_what_the_system_fails_to_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        def __enter__(self) -> "Failing":
            return self

        def __exit__(self, *raised: object) -> None: ...

        def fileno(self) -> int:
            return file.fileno()

        def read(self, size: int) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    path = tmp_path / "a"
    path.write_text("text")
    with path.open("rb") as file:
        monkeypatch.setattr(regular, "open_regular", lambda path: Failing())
        with pytest.raises(UserError, match=f"{path} cannot be read .Input/output err"):
            read_regular(path)

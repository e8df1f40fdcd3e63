"""What is no file, or larger than one could be, is refused before it is waited for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from train.common.errors import UserError
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

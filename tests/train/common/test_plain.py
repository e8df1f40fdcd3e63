"""Plain paths of folders of any name: where they lead, and that they still do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from train.common import plain
from train.common.errors import UserError
from train.common.plain import PlainPath, plain_path

from ..names import HOSTILE
from ..programs import ROOT


@pytest.fixture(params=["opened", "linked"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How a folder is reached: as it is open, or by a link where that cannot be."""
    if request.param == "linked":
        monkeypatch.setattr(plain, "_OPENED", Path("/nothing/of/that/name"))
    return request.param


@pytest.mark.parametrize("name", HOSTILE)
def test_plain_path_leads_to_the_folder(tmp_path: Path, name: str, way: str) -> None:
    folder = tmp_path / name
    found = plain_path(folder)
    assert found is plain_path(folder)
    assert set(str(found.path)) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./ -"
    )
    found.path.mkdir(parents=True, exist_ok=True)
    (found.path / "here").touch()
    assert (folder / "here").exists()
    found.check()


def test_usual_folders_are_themselves(tmp_path: Path) -> None:
    assert plain_path(tmp_path / "run 1").path == (tmp_path / "run 1").resolve()
    assert not (tmp_path / "run 1").exists()


def test_path_is_new_where_the_folder_is(tmp_path: Path, way: str) -> None:
    folder = tmp_path / "[a]"
    first = plain_path(folder)
    folder.rename(tmp_path / "moved")
    (plain_path(folder).path / "here").touch()
    assert (folder / "here").exists() and plain_path(folder) is not first


def test_temporary_folders_may_be_cleaned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(plain.tempfile, "tempdir", str(temporary))
    found = PlainPath(tmp_path / "a=1")
    for place in temporary.iterdir():
        shutil.rmtree(place)
    found.check()
    (found.path / "here").touch()
    assert (tmp_path / "a=1" / "here").exists()
    found.close()
    assert not [*temporary.iterdir()]


def test_what_lies_in_the_place_of_a_link_is_named_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "_OPENED", tmp_path / "none")
    found = PlainPath(tmp_path / "a=1")
    found.path.unlink()
    found.path.mkdir()  # as libraries do
    (found.path / "only copy").touch()
    with pytest.raises(UserError) as refused:
        found.check()
    there = found.path
    assert str(there) in str(refused.value) and "a=1" in str(refused.value)
    found.close()
    assert (there / "only copy").exists()
    shutil.rmtree(there.parent)


@pytest.mark.parametrize("moved", [True, False])
def test_folder_that_is_gone_is_named(tmp_path: Path, moved: bool) -> None:
    found = PlainPath(tmp_path / "a=1")
    if moved:
        (tmp_path / "a=1").rename(tmp_path / "elsewhere")
    else:
        (tmp_path / "a=1").rmdir()
    with pytest.raises(UserError, match="elsewhere" if moved else "deleted"):
        found.check()
    found.close()


def test_closed_ones_leave_nothing_open(tmp_path: Path) -> None:
    before = len(os.listdir("/dev/fd"))
    for number in range(20):
        PlainPath(tmp_path / f"a={number}").close()
    assert len(os.listdir("/dev/fd")) == before


def test_links_end_with_the_process_and_nothing_else(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from train.common import plain;"
        "plain._OPENED = Path('/nothing/of/that/name');"
        "path = plain.plain_path(Path(sys.argv[1])).path;"
        "(path / 'kept').touch(); print(path)"
    )
    folder = tmp_path / "[a]"
    done = subprocess.run(
        [sys.executable, "-c", code, folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    link = Path(done.stdout.strip())
    assert link != folder and not link.parent.exists()
    assert (folder / "kept").exists()

"""Archives whose heads make a reader fail in ways of its own: one message each."""

import io
import os
import struct
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from train.common.errors import UserError
from train.data.convert import archives
from train.data.convert.archives import open_archive

from .test_archives import ENDINGS, head, read, write
from .voc_downloads import write_tar


def tar_with(headers: dict[str, str]) -> bytes:
    """Returns a tar of one member with headers of the newer kind."""
    info = tarfile.TarInfo("folder/a.txt")
    info.size, info.pax_headers = 5, headers
    return info.tobuf(tarfile.PAX_FORMAT) + b"first".ljust(512, b"\0") + bytes(1024)


def zip_with(mark: bytes, at: int, value: bytes) -> bytes:
    """Returns a zip in whose last head of a kind some bytes are others."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("folder/é.txt", b"first")
    content = bytearray(file.getvalue())
    place = content.rfind(mark) + at
    content[place : place + len(value)] = value
    return bytes(content)


LYING = {
    "sparse map.tar": tar_with({"GNU.sparse.map": "0,zz"}),
    "sparse without map.tar": tar_with(
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
    ),
    "long names.tar": head("name", 0, tarfile.GNUTYPE_LONGNAME) * 5000 + bytes(1024),
    "headers.tar": head("name", 0, tarfile.XHDTYPE) * 5000 + bytes(1024),
    "offset.zip": zip_with(b"PK\1\2", 42, struct.pack("<I", 2**31)),
    "directory.zip": zip_with(b"PK\5\6", 16, struct.pack("<I", 2**31)),
    "name.zip": zip_with(b"PK\1\2", 46, b"\xff\xff"),
}


@pytest.mark.parametrize("name", LYING)
def test_whatever_a_reader_fails_of_is_one_message(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(LYING[name])
    own = "" if path.suffix == ".zip" else ".*with tar --format=ustar."
    said = f"^{path} is damaged or cut short .*Download it again.{own}$"
    with pytest.raises(UserError, match=said) as raised:
        read(path)
    assert len(str(raised.value)) < 600


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_raised_elsewhere_stays_as_it_is(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"archive{ending}")
    with pytest.raises(OSError, match="disk is full"), open_archive(path) as members:
        next(members)
        raise OSError(28, "disk is full")


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_pipe_is_not_waited_for(tmp_path: Path, ending: str) -> None:
    os.mkfifo(tmp_path / f"archive{ending}")
    with pytest.raises(UserError, match="is a pipe, and is not read"):
        read(tmp_path / f"archive{ending}")


@pytest.mark.parametrize("ending", ENDINGS)
def test_errors_of_the_disk_are_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    path = write(tmp_path / f"archive{ending}")
    monkeypatch.setattr(archives, "tar_members", fail)
    monkeypatch.setattr(zipfile.ZipExtFile, "read", fail)
    with pytest.raises(UserError, match=rf"^{path} cannot be read \(Input/output"):
        read(path)


@pytest.mark.parametrize("ending", [".tar", ".tgz"])
def test_what_is_passed_over_takes_no_memory(tmp_path: Path, ending: str) -> None:
    size = 48 * 2**20
    files = {"folder/large.bin": bytes(size), "folder/a.txt": b"first"}
    path = write_tar(tmp_path / f"archive{ending}", files)
    tracemalloc.start()
    with open_archive(path) as members:
        found = [m.read() for m in members if m.name == "folder/a.txt"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [b"first"] and peak < size / 8

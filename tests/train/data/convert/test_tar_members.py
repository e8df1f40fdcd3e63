"""Tars of every form, and heads that say what those of data do not."""

import gzip
import io
import tarfile
import time
import tracemalloc
from pathlib import Path

import pytest

from train.common.errors import UserError
from train.data.convert.archives import open_archive

from .test_archives import read

LONG = f"folder/{'long' * 20}/{'name' * 20}.txt"
FILES = {"folder/a.txt": b"first", LONG: bytes(range(256)) * 9, "é.txt": b""}
END = bytes(1024)


@pytest.mark.parametrize("form", ["USTAR", "GNU", "PAX"])
def test_names_of_every_form(tmp_path: Path, form: str) -> None:
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w", format=getattr(tarfile, f"{form}_FORMAT")) as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = (
            tarfile.SYMTYPE,
            "a" * (100 if form[0] == "U" else 150),
        )
        archive.addfile(link)
        for name, content in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mtime = 1.5 if form == "PAX" else 1
            archive.addfile(info, io.BytesIO(content))
    assert read(path) == FILES


def head(kind: bytes, size: int = 0, name: str = "folder/a.txt") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def before(kind: bytes, content: bytes) -> bytes:
    """Returns what comes before a head, with a name of 100 bytes for example."""
    return head(kind, len(content)) + content + bytes(-len(content) % 512)


FILE = head(b"0")
RECORD = b"16 path=other/a\n"
PATH = before(b"x", RECORD)
STRANGE = {
    "a negative size": (head(b"0", -512), "for an octal number"),
    "a size of no digits": (head(b"0", 2**40), "for an octal number"),
    "a name of gigabytes": (head(b"L", 2**32), "too long"),
    "a long name": (before(b"L", b"a" * (2**16 + 1)), "too long"),
    "long records": (before(b"x", RECORD * 5000), "too long"),
    "long names without end": (before(b"L", b"a") * 5000, "is there twice"),
    "records without end": (PATH * 5000, "is there twice"),
    "many records": (before(b"x", b"7 a=bc\n" * 101), "too many"),
    "a record of digits": (before(b"x", b"1" * 60_000), "damaged"),
    "records in records": (before(b"x", b"2 " * 30_000 + b"=\n"), "another length"),
    "a record that is cut": (before(b"x", b"99 path=b\n"), "another length"),
    "a record without an end": (before(b"x", b"9 path=bc"), "another length"),
    "a record of nothing": (before(b"x", b"0 path=b\n"), "another length"),
    "another size": (before(b"x", b"9 size=1\n"), "a record of b'size'"),
    "a sparse file": (before(b"x", b"20 GNU.sparse.map=0\n"), "b'GNU.sparse.map'"),
    "a sparse file of GNU": (head(b"S"), "of kind b'S'"),
    "records of all": (before(b"g", RECORD), "of kind b'g'"),
    "a folder with content": (head(b"5", 512), "of kind b'5', 512 bytes"),
    "two names": (PATH + before(b"L", b"a"), "has 2 names"),
    "two paths": (before(b"x", RECORD * 2), "has 2 names"),
}


@pytest.mark.parametrize("what", STRANGE)
def test_heads_that_are_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / "archive.tgz"
    content, why = STRANGE[what]
    path.write_bytes(gzip.compress(content + FILE + END))
    started = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=f"^{path} is damaged .*{why}") as said:
            with open_archive(path) as members:
                list(members)
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < 1 and len(str(said.value)) < 600


def test_a_name_that_comes_before(tmp_path: Path) -> None:
    path = tmp_path / "archive.tar"
    path.write_bytes(PATH + FILE + before(b"L", b"long\0") + FILE + FILE + END)
    with open_archive(path) as members:
        assert [it.name for it in members] == ["other/a", "long", "folder/a.txt"]


def test_a_folder_that_says_to_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "archive.tar"
    path.write_bytes(head(b"0", name="folder.txt/") + END)
    with pytest.raises(UserError, match="folder.txt/ is no regular file"):
        read(path)

"""Archives that lie, are cut short or were made to do harm; nothing leaves them."""

import gzip
import os
import pickle
import stat
import tarfile
import tracemalloc
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from train.common.errors import UserError
from train.data.convert import archives
from train.data.convert.archives import open_archive

from .voc_downloads import write_folder, write_tar, write_zip

FILES = {"folder/a.txt": b"first", "folder/b.txt": bytes(range(256)) * 9}
ENDINGS = (".tar", ".tar.gz", ".tgz", ".zip")


def write(path: Path) -> Path:
    return (write_zip if path.suffix == ".zip" else write_tar)(path, FILES)


def read(path: Path) -> dict[str, bytes]:
    """Reads every file of an archive."""
    with open_archive(path) as members:
        return {member.name: member.read() for member in members if "." in member.name}


@pytest.mark.parametrize("ending", ENDINGS)
def test_members_by_name(tmp_path: Path, ending: str) -> None:
    assert read(write(tmp_path / f"archive{ending}")) == FILES


def test_a_folder_is_read_as_an_archive_of_it(tmp_path: Path) -> None:
    write_folder(tmp_path, FILES)
    assert read(tmp_path / "folder") == FILES


def test_members_may_be_read_later_and_in_any_order(tmp_path: Path) -> None:
    for ending in ENDINGS:
        with open_archive(write(tmp_path / f"archive{ending}")) as members:
            found = {member.name: member for member in members}
            assert found["folder/b.txt"].read() == FILES["folder/b.txt"]
            assert found["folder/a.txt"].read() == FILES["folder/a.txt"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.6, 0.95])
def test_archives_that_are_cut_short(tmp_path: Path, ending: str, kept: float) -> None:
    path = write(tmp_path / f"archive{ending}")
    content = path.read_bytes()
    whole = content.rstrip(b"\0") if ending == ".tar" else content
    path.write_bytes(content[: int(kept * len(whole))])
    with pytest.raises(
        UserError, match=f"{path} is damaged or cut short.* Download it"
    ):
        read(path)


def test_a_tar_that_is_cut_between_two_members(tmp_path: Path) -> None:
    path = write(tmp_path / "archive.tar")
    path.write_bytes(path.read_bytes()[: 512 + 1024])  # the folder, and a.txt
    with pytest.raises(UserError, match="cut short .it has no end"):
        read(path)


def test_a_tar_that_is_cut_within_a_member(tmp_path: Path) -> None:
    path = write(tmp_path / "archive.tar")
    path.write_bytes(path.read_bytes()[: 512 + 1024 + 1024])
    with pytest.raises(UserError, match="cut short .it ends too early"):
        read(path)


def test_a_tar_with_a_damaged_head(tmp_path: Path) -> None:
    path = write(tmp_path / "archive.tar")
    content = bytearray(path.read_bytes())
    content[512 + 1024 + 10] ^= 1  # in the name of b.txt
    path.write_bytes(content)
    with pytest.raises(UserError, match="head at byte 1536 has another checksum"):
        read(path)


@pytest.mark.parametrize("ending", [".tar.gz", ".zip"])
def test_a_changed_byte_is_found_by_checksums(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"archive{ending}")
    content = bytearray(path.read_bytes())
    at = len(content) - 5 if ending == ".tar.gz" else content.find(b"first") + 1
    if ending == ".zip":
        with zipfile.ZipFile(path, "w") as archive:  # stored, to be found
            archive.writestr("folder/a.txt", b"first")
        content = bytearray(path.read_bytes())
        at = content.find(b"first")
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="is damaged or cut short"):
        read(path)


def test_a_tar_is_not_compressed_and_one_that_is_need_not_be(tmp_path: Path) -> None:
    packed = write(tmp_path / "archive.tgz").read_bytes()
    path = tmp_path / "archive.tar"
    path.write_bytes(packed)
    with pytest.raises(
        UserError, match=f"{path} is compressed, .* Unpack it with gzip"
    ):
        read(path)
    (tmp_path / "archive.tgz").write_bytes(gzip.decompress(packed))
    assert read(tmp_path / "archive.tgz") == FILES


@pytest.mark.parametrize("content", [b"", b"<html>", b"x" * 4096, bytes(4096)])
@pytest.mark.parametrize("ending", ENDINGS)
def test_files_that_are_no_archives(
    tmp_path: Path, ending: str, content: bytes
) -> None:
    path = tmp_path / f"archive{ending}"
    path.write_bytes(content)
    if ending != ".zip" and content == bytes(4096):
        assert read(path) == {}  # an empty tar
    else:
        with pytest.raises(UserError, match=f"{path} is damaged or cut short"):
            read(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_names_longer_than_paths(tmp_path: Path, ending: str) -> None:
    """Which pack to a thousandth, and take long to be split into folders."""
    path = tmp_path / f"archive{ending}"
    writes = write_zip if ending == ".zip" else write_tar
    longest = "é/" * 1363 + "abc.txt"
    writes(path, {longest: b""})
    assert read(path) == {longest: b""}
    writes(path, {longest + "x": b""})
    with pytest.raises(UserError, match=f"^{path} has a member .* 4096 .* Download it"):
        read(path)


NAMES = ("../up.txt", "folder/../../up.txt", "/tmp/up.txt", "folder/..")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ending", [".tar", ".tgz", ".zip"])
def test_names_that_lead_out(tmp_path: Path, ending: str, name: str) -> None:
    path = tmp_path / "in" / f"archive{ending}"
    path.parent.mkdir()
    (write_zip if ending == ".zip" else write_tar)(path, {**FILES, name: b"up"})
    with pytest.raises(UserError, match=r"'.*\.\.?.*', which leads out of its folder"):
        read(path)
    assert os.listdir(tmp_path) == ["in"] and os.listdir(tmp_path / "in") == [path.name]


KINDS = {
    "symbolic link": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "character device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE,
    "pipe": tarfile.FIFOTYPE,
    "folder": tarfile.DIRTYPE,
}


def special(kind: str, name: str = "folder/special.txt") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = KINDS[kind], "/etc/passwd"
    info.devmajor, info.devminor = 1, 5  # zeros without end
    return info


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_regular_file_is_not_read(tmp_path: Path, kind: str) -> None:
    path = write_tar(tmp_path / "archive.tar", FILES, [special(kind)])
    with pytest.raises(UserError, match="folder/special.txt/? is no regular file"):
        read(path)
    with open_archive(path) as members:  # nor is it in the way of others
        found = {member.name: member for member in members}
        assert found["folder/a.txt"].read() == b"first"


def test_a_link_within_a_zip_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    info = zipfile.ZipInfo("folder/special.txt")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match="special.txt is no regular file"):
        read(path)


def head(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """Returns a tar's header that claims a size."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("ending", [".tar", ".tgz"])
@pytest.mark.parametrize("size", [archives.MEMBER_LIMIT + 1, 2**32])
def test_a_size_that_is_claimed(tmp_path: Path, ending: str, size: int) -> None:
    path = tmp_path / f"archive{ending}"
    content = head("folder/a.txt", size) + bytes(2048)
    path.write_bytes(content if ending == ".tar" else gzip.compress(content))
    with pytest.raises(UserError, match=f"a.txt claims {size} bytes, more than"):
        read(path)
    with pytest.raises(UserError, match="cut short|unpacks to more than"):
        with open_archive(path) as members:  # passed over
            list(members)


def test_more_than_any_archive_unpacks_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tar(tmp_path / "archive.tgz", {"zeros.bin": bytes(2**20)})
    assert path.stat().st_size < 5000
    monkeypatch.setattr(archives, "TOTAL_LIMIT", 2**19)
    with pytest.raises(UserError, match=f"{path} unpacks to more than {2**19}"):
        with open_archive(path) as members:
            list(members)


def test_more_members_than_any_archive_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "COUNT_LIMIT", 2)
    for ending in (".tar", ".zip"):
        path = tmp_path / f"archive{ending}"
        files = {f"{index}.txt": b"" for index in range(3)}
        (write_zip if ending == ".zip" else write_tar)(path, files)
        with pytest.raises(UserError, match="more than 2 members"):
            read(path)


def test_a_size_that_a_zip_claims(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_zip(tmp_path / "archive.zip", {"zeros.bin": bytes(2**20)})
    monkeypatch.setattr(archives, "MEMBER_LIMIT", 2**19)
    with pytest.raises(UserError, match=f"zeros.bin claims {2**20} bytes"):
        read(path)


@pytest.mark.parametrize("size", [2**20, 2**26])
def test_a_zip_that_unpacks_to_more_than_it_claims(tmp_path: Path, size: int) -> None:
    path = write_zip(tmp_path / "archive.zip", {"zeros.bin": bytes(size)})
    content = path.read_bytes()
    claimed, less = (size.to_bytes(4, "little") for size in (size, 100))
    path.write_bytes(content.replace(claimed, less))
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match="damaged or cut short"):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_zip_with_a_password(tmp_path: Path) -> None:
    path = write(tmp_path / "archive.zip")
    content = bytearray(path.read_bytes())
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.find(mark) + at] |= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="folder/a.txt is encrypted, or .*Unpack"):
        read(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_of_another_method(tmp_path: Path, method: int) -> None:
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("folder/a.txt", b"first")
    with pytest.raises(UserError, match="a.txt .* by another method than deflate"):
        read(path)


def test_a_pickle_is_not_loaded(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, Sequence[object]]:
            return os.mkdir, (str(tmp_path / "harm"),)

    for ending in ENDINGS:
        path = tmp_path / f"archive{ending}"
        path.write_bytes(pickle.dumps(Harm()))
        with pytest.raises(UserError, match="damaged or cut short"):
            read(path)
    assert not (tmp_path / "harm").exists()

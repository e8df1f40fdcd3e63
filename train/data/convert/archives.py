"""Archives, read member by member; nothing in them decides where anything is written.

What is not asked for is never read, and what is read is a regular file of a size that
fits into memory: what an archive claims of itself costs neither memory nor disk.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import gzip
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from tqdm import tqdm

from train.common.errors import UserError, unreadable
from train.common.regular import open_regular, read_regular
from train.common.text import shown
from train.data.convert.tar_members import Read, TarMember, tar_members
from train.data.inside import below

MEMBER_LIMIT = 64 * 2**20  # bytes of a member that is read
TOTAL_LIMIT = 32 * 2**30  # bytes of an archive, unpacked; the published ones have 3
COUNT_LIMIT = 500_000  # members; the published ones have 40,000
NAME_LIMIT = 4096  # bytes of a member's name, as many as paths may have

_ENCRYPTED = 1  # a zip's flag of a member
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others unpack without limit
_AGAIN = "Download it again."


class Member(NamedTuple):
    """A file of an archive, which may be read as long as that is open."""

    name: str  # with slashes, from the archive's top
    read: Callable[[], bytes]


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[Iterator[Member]]:
    """Opens a tar or zip file, or a folder as if it were one, and gives its members.

    A bar shows how much of them is passed. Members of a compressed tar should be read
    as they come: going back unpacks it once more.

    Raises:
      UserError: the archive is damaged, cut short or made to do harm; also where that
        is found within the block.
    """
    with contextlib.ExitStack() as stack:
        with _blaming(path):
            members = _opened(path, stack)
        yield _guarded(path, members)


def _opened(path: Path, stack: contextlib.ExitStack) -> Iterator[Member]:
    """Returns the members of what the stack closes."""
    if path.is_dir():
        return _of_folder(path)
    if path.suffix.lower() == ".zip":
        file = stack.enter_context(open_regular(path))
        return _of_zip(path, stack.enter_context(zipfile.ZipFile(file)))
    return _of_tar(path, stack.enter_context(_open_tar(path)))


def _guarded(path: Path, members: Iterator[Member]) -> Iterator[Member]:
    """Yields members of which whatever is raised becomes the refusal of the archive."""
    with _blaming(path):
        for member in members:
            read = functools.partial(_read_guarded, path, member.read)
            yield member._replace(read=read)


def _read_guarded(path: Path, read: Callable[[], bytes]) -> bytes:
    with _blaming(path):
        return read()


@contextlib.contextmanager
def _blaming(path: Path) -> Iterator[None]:
    """Makes whatever is raised within the block the refusal of an archive.

    Heads that lie make readers fail in many ways: they seek before the file, or unpack
    what is not packed.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise unreadable(path, error) from error
        known = isinstance(error, (ValueError, zipfile.BadZipFile, EOFError))
        text = shown(str(error)[:200]) or "it ends too early"
        own = " If you have packed it yourself, do so with tar --format=ustar."
        raise UserError(
            f"{path} is damaged or cut short "
            f"({text if known else f'{type(error).__name__}: {text}'}). {_AGAIN}"
            f"{own if path.suffix != '.zip' else ''}"
        ) from error


@contextlib.contextmanager
def _open_tar(path: Path) -> Iterator[Read]:
    """Opens a tar, compressed by gzip where its name says so; yields what reads it."""
    bar = tqdm(
        desc=f"reading {path.name}",
        total=path.stat().st_size,
        unit="B",
        unit_scale=True,
        delay=1,
        dynamic_ncols=True,
    )
    with open_regular(path) as raw, bar:
        packed = raw.read(2) == b"\x1f\x8b"
        if packed and path.suffix == ".tar":
            raise _packed(path)
        raw.seek(0)
        file = gzip.GzipFile(fileobj=raw) if packed else raw

        def read(at: int, size: int) -> bytes:
            if at + size > TOTAL_LIMIT:
                raise _too_much(path)
            file.seek(at)
            bar.update(max(0, raw.tell() - bar.n))
            return file.read(size)

        yield read


def _of_tar(path: Path, read: Read) -> Iterator[Member]:
    for count, member in enumerate(tar_members(read)):
        name = _checked_name(path, member.name, count)
        yield Member(name, functools.partial(_read_tar, path, read, member))


def _read_tar(path: Path, read: Read, member: TarMember) -> bytes:
    if not member.is_file:
        raise _no_file(path, member.name)
    if member.size > MEMBER_LIMIT:
        raise _too_large(path, member.name, member.size)
    content = read(member.at, member.size)
    if len(content) < member.size:
        raise EOFError
    return content


def _of_zip(path: Path, archive: zipfile.ZipFile) -> Iterator[Member]:
    infos = archive.infolist()
    bar = tqdm(infos, f"reading {path.name}", unit="file", delay=1, dynamic_ncols=True)
    for count, info in enumerate(bar):
        name = _checked_name(path, info.filename, count)
        yield Member(name, functools.partial(_read_zip, path, archive, info))


def _read_zip(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.is_dir() or stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        raise _no_file(path, info.filename)
    if info.file_size > MEMBER_LIMIT:
        raise _too_large(path, info.filename, info.file_size)
    if info.flag_bits & _ENCRYPTED or info.compress_type not in _METHODS:
        raise UserError(
            f"{path}: {info.filename} is encrypted, or compressed by another method "
            "than deflate, which the published archive is not. Unpack the archive and "
            "put the folder in its place."
        )
    with archive.open(info) as file:
        return file.read(info.file_size + 1)  # unpacked as far as that, not whole


def files_unpacked(path: Path) -> list[Path]:
    """Returns the files of an archive that is unpacked to a folder.

    Raises:
      UserError: one is a link out of the folder.
    """
    files = sorted(filter(Path.is_file, below(path)))
    whole = path.resolve()
    for file in filter(Path.is_symlink, files):
        if not file.resolve().is_relative_to(whole):
            raise _no_file(path, file.relative_to(path.parent).as_posix())
    return files


def _of_folder(path: Path) -> Iterator[Member]:
    files = files_unpacked(path)
    bar = tqdm(files, f"reading {path.name}", unit="file", delay=1, dynamic_ncols=True)
    for file in bar:
        name = file.relative_to(path.parent).as_posix()
        yield Member(name, functools.partial(_read_file, file))


def _read_file(path: Path) -> bytes:
    if (size := path.stat().st_size) > MEMBER_LIMIT:
        raise _too_large(path.parent, path.name, size)
    return read_regular(path)


def _checked_name(path: Path, name: str, count: int) -> str:
    """Returns the one spelling of a member's name.

    Raises:
      UserError: it is one that no published archive has, whether it is read or not.
    """
    if (size := len(name.encode(errors="surrogateescape"))) > NAME_LIMIT:
        raise UserError(
            f"{path} has a member with a name of {size} bytes, {name[:100]!r}…, more "
            f"than the {NAME_LIMIT} that a path may have. {_AGAIN}"
        )
    inner = PurePosixPath(name)
    if inner.is_absolute() or ".." in inner.parts:
        raise UserError(
            f"{path} has the member {name[:200]!r}, which leads out of its folder: it "
            f"was made to do harm. {_AGAIN}"
        )
    if count >= COUNT_LIMIT:
        raise UserError(
            f"{path} has more than {COUNT_LIMIT} members, so it is not the published "
            f"archive. {_AGAIN}"
        )
    return inner.as_posix()


def _no_file(path: Path, name: str) -> UserError:
    return UserError(
        f"{path}: {name} is no regular file but a link, a device or the like, which "
        f"the published archive does not have. {_AGAIN}"
    )


def _too_large(path: Path, name: str, size: int) -> UserError:
    return UserError(
        f"{path}: {name} claims {size} bytes, more than the {MEMBER_LIMIT} that a file "
        f"of the published archive could have. {_AGAIN}"
    )


def _packed(path: Path) -> UserError:
    return UserError(
        f"{path} is compressed, as a .tar is not: its files are read in any order, and "
        "each would be unpacked with all before it. Unpack it with gzip -dc, and give "
        "the result this name, or download it again."
    )


def _too_much(path: Path) -> UserError:
    return UserError(
        f"{path} unpacks to more than {TOTAL_LIMIT} bytes, so it is not the published "
        f"archive. {_AGAIN}"
    )

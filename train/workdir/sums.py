"""SHA256SUMS: the checksums of the files beside it, as `sha256sum -c` reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from train.common.files import replace_text
from train.common.regular import read_regular
from train.data.fingerprint import digest_of

SUMS = "SHA256SUMS"
MARK = "# Written by lal-jax, which may replace what is listed here"  # its first line
_MOST = 2**20  # bytes of it


def write_sums(folder: Path, names: Sequence[str]) -> None:
    """Writes the checksums of files of a folder."""
    _write(folder, _sums(folder, names))


def add_sums(folder: Path, waiting: Path, names: Sequence[str]) -> None:
    """Adds the checksums of files that are about to take their places in a folder.

    Until `write_sums` both are there, so that a stop leaves none of another.
    """
    _write(folder, [*(_listed(folder) or ()), *_sums(waiting, names)])


def _sums(folder: Path, names: Sequence[str]) -> list[str]:
    return [f"{digest_of(folder / name)}  {name}" for name in names]


def _write(folder: Path, lines: Sequence[str]) -> None:
    replace_text(folder / SUMS, "".join(f"{line}\n" for line in (MARK, *lines)))


def _listed(folder: Path) -> list[str] | None:
    """Returns the lines of a folder's checksums, None where there are none of ours."""
    sums = folder / SUMS
    return own_lines(read_regular(sums, _MOST)) if sums.is_file() else None


def own_lines(text: bytes) -> list[str] | None:
    """Returns the lines below the mark, None where there is no mark."""
    first, *lines = text.decode(errors="replace").splitlines() or [""]
    return lines if first == MARK else None


def not_ours(folder: Path, names: Sequence[str]) -> list[str]:
    """Returns which files of a folder are not as its checksums say, `SUMS` included.

    That file is another's where it tells of files other than these, or has no mark:
    checksums alone, anybody may have written of files of their own.
    """
    found = _listed(folder)
    listed = found or []
    others = [
        name
        for name in names
        if (folder / name).exists()
        and f"{digest_of(folder / name)}  {name}" not in listed
    ]
    foreign = found is None and (folder / SUMS).exists()
    foreign |= any(line.partition("  ")[2] not in names for line in listed)
    return [*others, SUMS] if foreign else others

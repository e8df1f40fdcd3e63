"""SHA256SUMS: the checksums of the files beside it, as `sha256sum -c` reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from train.common.files import replace_text
from train.data.fingerprint import digest_of

SUMS = "SHA256SUMS"


def write_sums(folder: Path, names: Sequence[str]) -> None:
    """Writes the checksums of files of a folder."""
    lines = (f"{digest_of(folder / name)}  {name}\n" for name in names)
    replace_text(folder / SUMS, "".join(lines))


def unlisted(folder: Path, names: Sequence[str]) -> list[str]:
    """Returns which files of a folder are there, but not as its checksums say."""
    sums = folder / SUMS
    listed = sums.read_text(errors="replace") if sums.is_file() else ""
    return [
        name
        for name in names
        if (folder / name).exists()
        and f"{digest_of(folder / name)}  {name}" not in listed.splitlines()
    ]

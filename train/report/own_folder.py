"""A folder that a program fills and, as long as nothing in it was changed, refills."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from models.files import PARTIAL
from train.common.errors import UserError
from train.common.files import append_text, replace_bytes, replace_text
from train.common.locks import held
from train.common.regular import read_regular
from train.data.fingerprint import digest_of
from train.workdir.sums import MARK, SUMS, own_lines

_MOST = 2**27  # bytes of the checksums


@contextlib.contextmanager
def own_folder(folder: Path, names: re.Pattern[str]) -> Iterator[OwnFolder]:
    """Opens such a folder for one process at a time.

    Raises:
      UserError: another process fills it, or as `OwnFolder`.
    """
    next(_files(folder), None)  # refuses what is no folder
    way_out = "Wait for that one, stop it, or choose another --out."
    with held(folder, f"{folder} is being written", way_out):
        yield OwnFolder(folder, names)


class OwnFolder:
    """Files in a folder with their checksums, by which a later call knows its own.

    Checksums are written before their files, so a folder is known after a kill as well;
    those without the mark of this program are another's.

    Args:
      folder: made if need be; it may be a link, what is in it may not.
      names: matches the paths, within the folder, of all that is ever written there.

    Raises:
      UserError: it holds anything else, or a file that was changed since.
    """

    def __init__(self, folder: Path, names: re.Pattern[str]):
        self.path, self._names = folder, names
        self._check()

    def clear(self) -> None:
        """Takes away what an earlier call wrote."""
        earlier = [place for place in _files(self.path) if self._is_ours(place)]
        for place in earlier:
            place.unlink()
        (self.path / SUMS).unlink(missing_ok=True)

    def write(self, name: str, content: bytes) -> Path:
        """Writes a file, and its checksum; returns its path.

        Raises:
          OSError: it cannot be written; it is then not there.
        """
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(content).hexdigest()
        if not (self.path / SUMS).exists():
            replace_text(self.path / SUMS, f"{MARK}\n")
        append_text(self.path / SUMS, f"{digest}  {name}\n")
        replace_bytes(path, content)
        return path

    def _check(self) -> None:
        listed = self._listed()
        for place in _files(self.path):
            name = str(place.relative_to(self.path))
            if place.suffix == PARTIAL or (name == SUMS and listed is not None):
                continue
            ours = self._is_ours(place) and not place.is_symlink()
            if not (ours and f"{digest_of(place)}  {name}" in (listed or ())):
                raise UserError(
                    f"{place} is there already, and it is not as this program wrote "
                    "it. Choose another --out, or take what is in that folder away."
                )

    def _is_ours(self, place: Path) -> bool:
        return bool(self._names.fullmatch(str(place.relative_to(self.path))))

    def _listed(self) -> set[str] | None:
        """Returns the lines of the checksums, None where there are none of ours."""
        sums = self.path / SUMS
        if sums.is_symlink() or not sums.is_file():
            return None
        lines = own_lines(read_regular(sums, _MOST))
        return None if lines is None else set(lines)


def _files(folder: Path) -> Iterator[Path]:
    """Yields all in a folder that is no folder, and links to folders, one by one.

    Raises:
      UserError: the folder is something else.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise UserError(f"{folder} is no folder. Choose another --out.")
    for root, folders, files in os.walk(folder):
        links = (name for name in folders if os.path.islink(os.path.join(root, name)))
        yield from (Path(root, name) for name in (*files, *links))

"""Paths of folders that any library takes as they are."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import tempfile
from pathlib import Path

from train.common.errors import UserError
from train.common.files import place_of

# What every library takes literally; others read [, \ and gs:/ in a path as their own.
_PLAIN = re.compile(r"[A-Za-z0-9_./ -]{1,1024}")
_OPENED = Path("/proc/self/fd")  # of Linux: the files that this process has open


class PlainPath:
    """A path of a folder that any library takes as it is, until it is closed.

    That is its own, or one of the folder as this process has it open, or (on macOS) a
    link in the folder for temporary files: some libraries take brackets and backslashes
    in a path for a pattern, and some pass on UTF-8 alone. The folder is made for the
    last two.

    Attributes:
      folder: its own path.
      path: the plain one; of this process alone.
    """

    def __init__(self, folder: Path):
        self.folder = self.path = folder.resolve()
        self._descriptor: int | None = None
        if _PLAIN.fullmatch(str(self.folder)):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if _OPENED.is_dir():  # nobody can clean that away, as a link can be
            self._descriptor = os.open(self.folder, os.O_PATH | os.O_DIRECTORY)
            self.path = _OPENED / str(self._descriptor)
        else:
            self.path = _new_link(self.folder)

    def check(self) -> None:
        """Sees that the path still leads to the folder; makes a lost link again.

        Raises:
          UserError: it does not, and what lies at both stays as it is.
        """
        is_link = self._descriptor is None and self.path != self.folder
        if is_link and not os.path.lexists(self.path):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.symlink_to(self.folder)
        if not self.leads():
            raise UserError(
                f"{self.folder} is no longer the folder that it was: it has been "
                "moved, deleted or replaced. What was written last may lie in "
                f"{os.path.realpath(self.path)}. Put that in its place; then the same "
                "command goes on."
            )

    def leads(self) -> bool:
        """Returns whether the path leads to the folder now."""
        if self.path == self.folder:
            return True
        place = place_of(self.folder)
        return place is not None and place == place_of(self.path)

    def close(self) -> None:
        """Lets go of the folder; whatever uses the path has ended."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor, self.path = None, self.folder
        elif self.path != self.folder:
            _remove_link(self.path)
            self.path = self.folder


_kept: dict[Path, PlainPath] = {}  # by their folders


def plain_path(folder: Path) -> PlainPath:
    """Returns the plain path of a folder for as long as this process lives."""
    folder = folder.resolve()
    kept = _kept.get(folder)
    if kept is None or not kept.leads():
        kept = _kept[folder] = PlainPath(folder)
    return kept


_links: list[Path] = []  # that this process has made


def _new_link(folder: Path) -> Path:
    """Makes a link in a folder of its own; it ends with the process at the latest."""
    if not _links:
        atexit.register(_remove_links)
    link = Path(tempfile.mkdtemp(prefix="links_")) / "0"
    link.symlink_to(folder)
    _links.append(link)
    return link


def _remove_links() -> None:
    for link in _links:
        _remove_link(link)


def _remove_link(link: Path) -> None:
    """Removes a link and its folder, but nothing that has come into their places."""
    with contextlib.suppress(OSError):
        if link.is_symlink():
            link.unlink()
        link.parent.rmdir()

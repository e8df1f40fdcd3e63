"""Which files belong to a folder of data, however lists and links lead to them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from models.text import shortened
from train.common.errors import UserError
from train.common.files import identity
from train.common.regular import check_kind

_DEEPEST = 64  # folders within folders


def within(name: str) -> str | None:
    """Returns the one spelling of a path in a folder, None if it leads out.

    >>> within("./a"), within("x/../a"), within("../a"), within("/a")
    ('a', 'a', None, None)
    """
    inner = os.path.normpath(name)
    return None if os.path.isabs(name) or inner.split("/")[0] == ".." else inner


def below(folder: Path) -> Iterator[Path]:
    """Yields all that is in a folder and in those in it; links are not followed.

    Raises:
      UserError: folders are within one another deeper than any data are.
    """
    waiting = [(folder, 0)] if folder.is_dir() else []
    while waiting:
        place, depth = waiting.pop()
        if depth > _DEEPEST:
            raise UserError(
                f"{folder} has folders within folders, more than {_DEEPEST} deep, such "
                f"as {shortened(str(place), 300)}. Move them elsewhere."
            )
        # Not to be entered, or gone meanwhile.
        passed = contextlib.suppress(PermissionError, FileNotFoundError)
        with passed, os.scandir(place) as entries:
            for entry in entries:
                yield place / entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((place / entry.name, depth + 1))


def files_below(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Returns the files in a folder and those in it that have one of the suffixes.

    Hidden ones are left out: some systems keep their own beside those of the user.

    Raises:
      UserError: a link leads to nothing: whether to a file cannot be told.
    """
    found = []
    for path in below(folder):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        if path.suffix.lower() in suffixes and path.is_file():
            found.append(path)
        else:
            check_links([path])
    return sorted(found)


def folders_once(folder: Path) -> list[Path]:
    """Returns the folders in a folder, each once, whatever links lead to it.

    One to the folder itself is none of them.
    """
    if not folder.is_dir():
        return []
    there = [path for path in folder.iterdir() if path.is_dir()]
    first = {identity(folder): folder}
    for path in sorted(there, key=lambda path: (path.is_symlink(), path)):
        first.setdefault(identity(path), path)
    return sorted(path for path in first.values() if path != folder)


def check_links(paths: Iterable[Path]) -> None:
    """Refuses links to what is not there, which would pass for nothing at all.

    Raises:
      UserError: it names the first, and where it leads to.
    """
    for path in paths:
        if os.path.islink(path) and not os.path.exists(path):
            raise UserError(
                f"{path} is a link to what is not there ({os.readlink(path)}). Put the "
                "file or folder itself in its place; or take the link away, if the "
                "data are meant to be read as if there were none."
            )


def check_links_in(folder: Path) -> None:
    """Refuses links to nothing directly in a folder, which need not be there.

    Raises:
      UserError: as `check_links`.
    """
    if folder.is_dir():
        with os.scandir(folder) as entries:  # which tells links without asking
            links = sorted(entry.name for entry in entries if entry.is_symlink())
        check_links(folder / name for name in links)


def check_spelling(folder: Path, names: Collection[str]) -> None:
    """Refuses what has one of these names in other letters, small or capital.

    Systems differ in whether it would be read.

    Args:
      folder: which need not be there.
      names: of what is read there.

    Raises:
      UserError: it names the file or folder, and how it is to be called.
    """
    meant = {name.lower(): name for name in names}
    for found in sorted(os.listdir(folder)) if folder.is_dir() else ():
        name = meant.get(found.lower())
        if name and found not in names and not os.path.lexists(folder / name):
            raise other_letters(folder / found, name)


def other_letters(path: Path, name: str) -> UserError:
    """Returns the refusal of what is called as something else but for its letters."""
    return UserError(
        f"{path} is read only where it is called {name}, in these small and capital "
        "letters. Rename it."
    )


def check_kinds_below(folder: Path) -> None:
    """Refuses what a library that reads a folder would wait for, or leave it by.

    Raises:
      UserError: a pipe, a device, a socket or a link is in it.
    """
    for path in below(folder):
        with contextlib.suppress(FileNotFoundError):
            if path.is_symlink():
                raise UserError(
                    f"{path} is a link, to {os.readlink(path)}, and is not followed. "
                    "Put what it leads to in its place."
                )
            check_kind(path)


class Inside:
    """The folders in which files of data lie, wherever those may be themselves.

    Args:
      root: the folder of the data.
      folders: those in it that hold images and masks; each may be a link.
      links: whether files elsewhere may be linked to, as --links says.
    """

    def __init__(self, root: Path, folders: Sequence[Path] = (), *, links: bool):
        self.root, self._links = root, links
        self._real = {folder.resolve() for folder in (root, *folders)}

    def checked(self, path: Path) -> Path:
        """Returns a path of a file.

        Raises:
          UserError: a link leads out of the folders.
        """
        if self._links:
            return path
        real = path.resolve()
        if not self._real.isdisjoint((real, *real.parents)):  # of any number
            return path
        raise UserError(
            f"{path} leads out of {self.root}, by a link to {real}. Put the file "
            "itself there, or add --links if files elsewhere are meant."
        )

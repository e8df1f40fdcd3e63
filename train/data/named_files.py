"""Files of a folder by their names, whose endings may be in any letters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from train.common.files import identity
from train.data.inside import check_links, check_spelling


class NamedFiles:
    """The files below a folder; each folder in it is listed once, linked or not.

    Args:
      root: the folder.
    """

    def __init__(self, root: Path):
        self._root = root
        self._listed: dict[tuple[int, int], dict[str, list[str]]] = {}
        self._absent = set[Path]()

    def find(self, folder: str, name: str, suffixes: Sequence[str]) -> list[Path]:
        """Returns the files `folder/name` with any of the suffixes, in any case.

        Links to nothing are among them.

        Raises:
          UserError: a folder on the way is a link to nothing, or is there in other
            small and capital letters.
        """
        place = self._root / folder / name
        found = (it for suffix in suffixes for it in self.alike(place, suffix))
        return [path for path in found if path.name.startswith(place.name)]

    def alike(self, place: Path, suffix: str) -> list[Path]:
        """Returns the files that only small and capital letters may tell from one."""
        folder = place.parent
        if not folder.is_dir():
            self._check_absent(folder)
            return []
        known = identity(folder)  # links give a folder any number of names
        if (listed := self._listed.get(known)) is None:
            listed = self._listed[known] = _by_letters(folder)
        return [folder / it for it in listed.get((place.name + suffix).lower(), ())]

    def _check_absent(self, folder: Path) -> None:
        """Refuses what could be meant by a folder that is not there."""
        while not folder.parent.is_dir():
            folder = folder.parent
        if folder not in self._absent:
            check_links([folder])
            check_spelling(folder.parent, [folder.name])
            self._absent.add(folder)


def _by_letters(folder: Path) -> dict[str, list[str]]:
    """Returns the names of what is no folder, by the same in small letters."""
    found: dict[str, list[str]] = {}
    for path in sorted(it for it in folder.iterdir() if not it.is_dir()):
        found.setdefault(path.name.lower(), []).append(path.name)
    return found

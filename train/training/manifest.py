"""The manifest of a checkpoint: which files it has, and a checksum of each.

Orbax reads some flipped bits as if they had been saved.
"""

from __future__ import annotations

from pathlib import Path

from models.checksums import checksum_of_rest
from train.common.errors import UserError
from train.common.sealed import read_sealed, write_sealed
from train.data.inside import below

MANIFEST = "manifest.json"


def write_manifest(folder: Path) -> None:
    """Writes down what is in a folder."""
    write_sealed(folder / MANIFEST, {"files": _files(folder)})


def damage(folder: Path) -> str:
    """Returns what is not as its manifest says, "" if all is, or there is none."""
    if not (folder / MANIFEST).is_file():
        return ""
    try:
        wanted = read_sealed(folder / MANIFEST, always=lambda content: True)["files"]
        found = _files(folder)
        differing = sorted(
            name
            for name in wanted.keys() | found.keys()
            if wanted.get(name) != found.get(name)
        )
    except (
        OSError,
        ValueError,
        AttributeError,
        KeyError,
        TypeError,
        UserError,
    ) as error:
        return f"{MANIFEST}: {error}"
    return ", ".join(differing)


def _files(folder: Path) -> dict[str, str]:
    """Returns the checksum of each file of a folder, by its place in it."""
    return {
        path.relative_to(folder).as_posix(): _checksum(path)
        for path in sorted(below(folder))
        if path.is_file() and path != folder / MANIFEST
    }


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return checksum_of_rest(file)

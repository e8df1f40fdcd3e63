"""Where data are: in a folder, or under a name that is the same on every machine."""

from __future__ import annotations

import os
from pathlib import Path

from train.common.errors import UserError

TFDS = "tfds:"  # a folder that begins so is ./tfds:…

_BUILDERS = ("voc_layout", "builtin_scenes")  # folders that TFDS names after them
_WRITTEN = (*_BUILDERS, "converted", "digests", "downloads")  # all in --prepared


def is_name(data: str) -> bool:
    """Returns whether it is a name, not the path of a folder."""
    return data.startswith(TFDS)


def resolved(data: str) -> str:
    """Returns a folder by its absolute path; names stay, and so does none."""
    return data if is_name(data) or not data else str(Path(data).resolve())


def anywhere(data: str) -> str:
    """Returns what stands for data where the machine is another: `DIR`, or the name."""
    return data if is_name(data) or not data else "DIR"


def holds_records(folder: str) -> bool:
    """Returns whether a folder is one that records have been prepared in."""
    return any((Path(folder) / name).is_dir() for name in _BUILDERS)


def short(data: str) -> str:
    """Returns a folder's own name, or the name; none stays none."""
    return data if is_name(data) or not data else Path(data).resolve().name


def check_prepared(folder: Path) -> None:
    """Refuses a folder of everything prepared that others are linked into.

    A downloaded folder may have one, or a run name it, and it is written to.

    Raises:
      UserError: it names the link.
    """
    for name in _WRITTEN:
        check_no_link(folder / name)


def check_no_link(path: Path) -> None:
    """Refuses a link in place of a folder that is written to.

    Raises:
      UserError: it is one.
    """
    if path.is_symlink():
        raise UserError(
            f"{path} is a link, to {os.readlink(path)}, and nothing is written through "
            "it. Move what it leads to into its place, or choose another folder; a "
            "folder that is named on the command line may itself be a link."
        )

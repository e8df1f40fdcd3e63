"""Links of a converted folder: which originals they stand for, and where those lie.

An original may be a link itself, or in a folder that is one. Where it leads to is part
of what the folder is known by, and looked at again whenever the folder is found.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from train.common.errors import UserError
from train.common.regular import read_regular
from train.data.inside import Inside, below, within
from train.data.voc_files import READ_SUFFIXES

ORIGINALS = "originals.json"  # of a converted folder; its links, and what they are of


def file_places(root: Path, paths: Iterable[Path]) -> tuple[str, ...]:
    """Returns the names of files, and where links lead to from there, for a key."""
    of_folder = functools.cache(os.path.realpath)
    places = []
    for path in paths:
        if path.is_symlink():
            leads_to = os.path.realpath(path)
        else:  # without asking for each of its folders again
            leads_to = os.path.join(of_folder(path.parent), path.name)
        places.append(f"{path.relative_to(root).as_posix()}\0{leads_to}")
    return tuple(places)


def image_places(
    root: Path, folders: Collection[Path], prepared: Path
) -> tuple[str, ...]:
    """Returns `file_places` of `images_in` some folders."""
    return file_places(root, images_in(root, folders, prepared))


def images_in(root: Path, folders: Collection[Path], prepared: Path) -> list[Path]:
    """Returns the images in some folders, and links to folders there.

    Args:
      root: the folder of the data.
      folders: in it, those that hold images; each may be a link.
      prepared: folder of everything prepared. What was converted before is no image of
        the data, wherever it is.
    """
    made = os.path.realpath(prepared / "converted") + os.sep
    found = set[Path]()
    for folder in folders:
        real = Path(os.path.realpath(folder))  # below it no links are followed
        own = os.path.realpath(root) / folder.relative_to(root)
        if folder != root and root in folders and real == own:
            continue  # a part of the whole
        for path in below(folder):
            if path.suffix.lower() not in READ_SUFFIXES and not path.is_symlink():
                continue
            inner = path.relative_to(folder)
            hidden = any(part.startswith(".") for part in inner.parts)
            if not hidden and not str(real / inner).startswith(made):
                found.add(path)
    return sorted(found)


def same_named(folders: Iterable[Path], images: Sequence[Path]) -> list[Path]:
    """Returns those files that have one name in two of some folders.

    Args:
      folders: of the data; a name is a place in one of them.
      images: of the data, see `images_in`.
    """
    there = [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
    names = [str(path) for path in images]  # whole: relative ones take long to make
    found = set[Path]()
    for folder in there:
        others = [other for other in there if other != folder]
        start = str(folder / "_")[:-1]  # of the current folder it is nothing
        for path, name in zip(images, names, strict=True):
            if not name.startswith(start):
                continue
            for other in (f"{it}/{name.removeprefix(start)}" for it in others):
                both = os.path.isfile(other) and os.path.isfile(path)
                if both and not os.path.samefile(other, path):
                    found |= {path, Path(other)}
    return sorted(found)


def originals_text(originals: Mapping[str, str]) -> bytes:
    """Returns the content of ORIGINALS: paths in the data by those of the links."""
    return msgspec.json.encode(originals)


def check_links(folder: Path, inside: Inside) -> None:
    """Refuses a folder unless each link in it leads to where its original lies now.

    Raises:
      UserError: one leads elsewhere, or its original out of the data.
    """
    originals = _read_originals(folder / ORIGINALS)
    for path in below(folder):
        if not path.is_symlink():
            continue
        name = within(originals.get(path.relative_to(folder).as_posix(), ".."))
        if name is None:
            raise _others(path, "is of no file of the data", folder)
        original, leads_to = inside.root / name, os.readlink(path)
        inside.checked(original)
        if os.path.realpath(original) != leads_to or not original.is_file():
            raise _others(path, f"{original} is not that file now", folder)


def _read_originals(table: Path) -> dict[str, str]:
    """Returns what a table holds, nothing where it is damaged or missing."""
    try:
        return msgspec.json.decode(read_regular(table), type=dict[str, str])
    except (OSError, UserError, ValueError, RecursionError):
        return {}


def _others(link: Path, why: str, folder: Path) -> UserError:
    return UserError(
        f"{link} is a link to {os.readlink(link)}, and {why}. Move {folder} elsewhere; "
        "the next run writes it again."
    )

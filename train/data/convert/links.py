"""What a converted folder holds: files, and links, with where their originals lie.

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

ORIGINALS = "originals.json"  # of a converted folder; what it holds, and links are of


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
    return file_places(root, images_in(folders, prepared))


def images_in(folders: Collection[Path], prepared: Path) -> list[Path]:
    """Returns the images in some folders, and links to folders there, each once.

    Args:
      folders: those of the data that hold images; each may be a link.
      prepared: folder of everything prepared. What was converted before is no image of
        the data, wherever it is.
    """
    made = os.path.realpath(prepared / "converted") + os.sep
    found, walked = set[Path](), set[Path]()
    # Below a folder no links are followed. Outer ones come before those in them.
    for real, folder in sorted((Path(os.path.realpath(it)), it) for it in folders):
        if folder.is_symlink():
            found.add(folder)
        outer = next((it for it in (real, *real.parents) if it in walked), None)
        if outer and not _is_hidden(str(real).removeprefix(str(outer))):
            continue  # its images are found already, by whichever name
        walked.add(real)
        for path in below(folder):
            if path.suffix.lower() not in READ_SUFFIXES and not path.is_symlink():
                continue
            inner = path.relative_to(folder).as_posix()
            if not _is_hidden(inner) and not str(real / inner).startswith(made):
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


def originals_text(originals: Mapping[str, str | None]) -> bytes:
    """Returns the content of ORIGINALS: paths in the data by those of the links.

    Args:
      originals: of each place in the folder, None of a file that was written there.
    """
    return msgspec.json.encode({ORIGINALS: None, **originals})


def check_whole(folder: Path, inside: Inside) -> None:
    """Refuses a folder unless it holds what was written there, and nothing else.

    Links must lead to where their originals lie now. A link that became a file, as
    programs make of it that copy a folder, would stay as its original was.

    Raises:
      UserError: a file is missing, or was not there; or a link leads elsewhere, or its
        original out of the data.
    """
    table, seen = folder / ORIGINALS, set[str]()
    expected = _read_originals(table)
    if not expected:
        raise _others(table, "is missing or damaged", folder)
    for path in below(folder):
        name = path.relative_to(folder).as_posix()
        original = expected.get(name)
        if path.is_symlink():
            _check_link(path, original, inside, folder)
        elif original is not None:
            raise _others(path, f"is no link to {original} any more", folder)
        elif path.is_dir():
            continue
        elif name not in expected and not _is_hidden(name):
            raise _others(path, "was not written there", folder)
        seen.add(name)
    if missing := sorted(expected.keys() - seen):
        raise _others(folder / missing[0], "is missing", folder)


def _check_link(path: Path, original: str | None, inside: Inside, folder: Path) -> None:
    leads_to = os.readlink(path)
    is_link = f"is a link to {leads_to}, and"
    name = within(original or "..")
    if name is None:
        raise _others(path, f"{is_link} is of no file of the data", folder)
    file = inside.checked(inside.root / name)
    if os.path.realpath(file) != leads_to or not file.is_file():
        raise _others(path, f"{is_link} {file} is not that file now", folder)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _read_originals(table: Path) -> dict[str, str | None]:
    """Returns what a table holds, nothing where it is damaged or missing."""
    try:
        return msgspec.json.decode(read_regular(table), type=dict[str, str | None])
    except (OSError, UserError, ValueError, RecursionError):
        return {}


def _others(path: Path, why: str, folder: Path) -> UserError:
    return UserError(
        f"{path} {why}. Move {folder} elsewhere; the next run writes it again."
    )

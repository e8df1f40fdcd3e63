"""Input images: the files a command line names, and where their masks go."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from train.common.errors import UserError
from train.data.unread import PICTURE_SUFFIXES

IMAGE_SUFFIXES = frozenset(
    ".bmp .dib .jfif .jpe .jpeg .jpg .png .tif .tiff .webp".split()
)
# Those that are found: others to be refused by name, lest they be passed over.
_FOUND = IMAGE_SUFFIXES.union(PICTURE_SUFFIXES)


def find_images(named: Sequence[Path]) -> list[Path]:
    """Returns the files that paths, folders and patterns stand for, each once.

    Args:
      named: a file, which need not exist; a folder, for the images directly in it by
        suffix; or a pattern of `glob`, for the files that match.

    Raises:
      UserError: nothing is named, a folder has no image, or nothing matches a pattern.
    """
    if not named:
        raise UserError(
            "no image named. Usage: train/predict.py MODEL IMAGE... --out DIR"
        )
    found: dict[Path, None] = {}
    for path in named:
        found.update(dict.fromkeys(_expanded(path)))
    return list(found)


def _expanded(path: Path) -> list[Path]:
    if os.path.isdir(path):  # which asks no more than that, whatever is there
        images = [
            file
            for file in sorted(path.iterdir())
            if file.suffix.lower() in _FOUND
            and not file.name.startswith(".")
            and not os.path.isdir(file)  # a bad link is named where it is read
        ]
        if not images:
            listed = ", ".join(sorted(IMAGE_SUFFIXES))
            raise UserError(f"{path} has no image directly in it ({listed}).")
        return images
    if os.path.exists(path) or not glob.has_magic(str(path)):
        return [path]
    matches = map(Path, sorted(set(_matches(path.parts))))
    files = [match for match in matches if not os.path.isdir(match)]
    if not files:
        hint = " A bracket that is meant is written [[]." if "[" in str(path) else ""
        raise UserError(f"{path} matches no file.{hint}")
    return files


def _matches(parts: Sequence[str]) -> Iterator[str]:
    """Yields what matches the parts of a pattern, some of it more than once.

    As `glob.glob`, but `**` follows no links, which can lead round in circles.
    """
    if "**" not in parts:
        yield from glob.glob(str(Path(*parts)))
        return
    place = parts.index("**")
    rest = parts[place + 1 :] or ("*",)
    for root in glob.glob(str(Path(*parts[:place]))):
        for folder in _folders(root):
            yield from _matches((glob.escape(folder), *rest))


def _folders(root: str) -> Iterator[str]:
    """Yields a folder and those in it, to any depth, hidden ones and links left out."""
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        yield folder
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            waiting += [
                entry.path
                for entry in entries
                if entry.is_dir(follow_symlinks=False)
                and not entry.name.startswith(".")
            ]


_OVERLAY = "_overlay"  # ends the names of overlays
# Bytes of a name; file systems take 255, of which endings need some.
_LONGEST = 200


class MaskFiles(NamedTuple):
    """Where the pictures of an image go."""

    mask: Path
    overlay: Path

    @property
    def probabilities(self) -> Path:
        """Where its probabilities go if they are asked for; no mask has that name."""
        return self.mask.with_name(f"{self.mask.stem}_probabilities.npz")


def name_outputs(images: Sequence[Path], out: Path) -> dict[Path, MaskFiles]:
    """Returns where each image's mask and overlay go.

    An image's are named as it is. Where that would be one name for several, as file
    systems compare names, they carry their folders too (`a_001` and `b_001`), then
    their suffixes, and the later ones at last a digest. What is too long for a file
    system ends in a digest of the whole, and what ends as overlays do, in `_image`.

    Raises:
      UserError: an input would be overwritten.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file. Name a folder.")
    outputs: dict[Path, MaskFiles] = {}
    taken: set[str] = set()
    for path, whole in _distinct_names(images).items():
        name = _shortened(whole)
        if name.endswith(_OVERLAY):
            name += "_image"
        if path.parent.resolve() == out.resolve() or _is_one(path.parent, out):
            raise UserError(
                f"--out {out} is the folder of {path}, where files could be "
                "overwritten. Choose another."
            )
        outputs[path] = _mask_files(out, name)
        if not taken.isdisjoint(_keys(outputs[path])):
            outputs[path] = _mask_files(out, f"{name}_{_digest(str(path))}")
        taken |= _keys(outputs[path])
        for output in outputs[path]:
            if _is_one(path, output):
                raise UserError(
                    f"{output} is the image {path} itself, by a link. Choose another "
                    "--out."
                )
    return outputs


def _mask_files(out: Path, name: str) -> MaskFiles:
    return MaskFiles(out / f"{name}.png", out / f"{name}{_OVERLAY}.png")


def _keys(files: MaskFiles) -> set[str]:
    return {_compared(file.name) for file in files}


def _is_one(path: Path, other: Path) -> bool:
    """Returns whether two paths lead to one place, by links or in another case."""
    try:
        return os.path.samefile(path, other)
    except OSError:  # one is not there
        return False


def _shortened(name: str) -> str:
    """Returns a name whose endings leave it within what file systems take."""
    if len(os.fsencode(name)) <= _LONGEST:
        return name
    digest = _digest(name)
    while len(os.fsencode(name)) > _LONGEST - 17:
        name = name[:-1]
    return f"{name}_{digest}"


def _digest(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:16]


def _distinct_names(images: Sequence[Path]) -> dict[Path, str]:
    places = {path: Path(os.path.abspath(path)) for path in images}
    root = os.path.commonpath([place.parent for place in places.values()])

    def folders(path: Path) -> str:
        return "_".join(places[path].relative_to(root).with_suffix("").parts)

    def suffix(path: Path) -> str:
        return "_".join(places[path].relative_to(root).parts)

    stages: tuple[Callable[[Path], str], ...] = (
        lambda path: path.stem,
        folders,
        suffix,
    )
    names = dict.fromkeys(images, "")
    for name in stages:
        counts = Counter(map(_compared, names.values()))
        names = {
            path: old if old and counts[_compared(old)] == 1 else name(path)
            for path, old in names.items()
        }
    return names


def _compared(name: str) -> str:
    """Returns what a name is compared by, on file systems that ignore case as well."""
    return unicodedata.normalize("NFC", name).casefold()

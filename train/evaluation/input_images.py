"""Input images: the files a command line names, and where their masks go."""

from __future__ import annotations

import glob
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from train.common.errors import UserError

IMAGE_SUFFIXES = frozenset(
    ".avif .bmp .gif .jp2 .jpeg .jpg .pgm .png .ppm .tif .tiff .webp".split()
)


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
    if path.is_dir():
        images = [
            file
            for file in sorted(path.iterdir())
            if file.suffix.lower() in IMAGE_SUFFIXES
            and not file.name.startswith(".")
            and file.is_file()
        ]
        if not images:
            listed = ", ".join(sorted(IMAGE_SUFFIXES))
            raise UserError(f"{path} has no image directly in it ({listed}).")
        return images
    if path.exists() or not glob.has_magic(str(path)):
        return [path]
    matches = map(Path, sorted(glob.glob(str(path), recursive=True)))
    files = [match for match in matches if match.is_file()]
    if not files:
        hint = " A bracket that is meant is written [[]." if "[" in str(path) else ""
        raise UserError(f"{path} matches no file.{hint}")
    return files


# Bytes of a name; file systems take 255, of which endings need some.
_LONGEST = 200


class MaskFiles(NamedTuple):
    """Where the pictures of an image go."""

    mask: Path
    overlay: Path


def name_outputs(images: Sequence[Path], out: Path) -> dict[Path, MaskFiles]:
    """Returns where each image's mask and overlay go.

    An image's are named as it is. Where that would be one name for several, they carry
    their folders too (`a_001` and `b_001`), then their suffixes. What is too long for a
    file system ends in a digest of the whole.

    Raises:
      UserError: an input, or one output by another, would be overwritten.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file. Name a folder.")
    outputs: dict[Path, MaskFiles] = {}
    taken: dict[Path, Path] = {}
    for path, whole in _distinct_names(images).items():
        name = _shortened(whole)
        if path.parent.resolve() == out.resolve():
            raise UserError(
                f"--out {out} is the folder of {path}, where files could be "
                "overwritten. Choose another."
            )
        outputs[path] = MaskFiles(out / f"{name}.png", out / f"{name}_overlay.png")
        for output in outputs[path]:
            if output in taken:
                raise UserError(
                    f"{taken[output]} and {path} would both be written to {output}. "
                    "Predict them into two folders."
                )
            taken[output] = path
    return outputs


def _shortened(name: str) -> str:
    """Returns a name whose endings leave it within what file systems take."""
    if len(os.fsencode(name)) <= _LONGEST:
        return name
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    while len(os.fsencode(name)) > _LONGEST - 17:
        name = name[:-1]
    return f"{name}_{digest}"


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
        counts = Counter(names.values())
        names = {
            path: old if old and counts[old] == 1 else name(path)
            for path, old in names.items()
        }
    return names

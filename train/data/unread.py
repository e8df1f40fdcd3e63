"""What lies in a folder of data and is not read as an image or a mask, and why."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from train.data.inside import below

# Pictures that not all programs here read; a user may take them for those that are.
PICTURE_SUFFIXES = tuple(
    ".avif .bmp .dib .gif .heic .heif .jfif .jp2 .jpe .pbm .pfm .pgm .pnm .ppm .tif "
    ".tiff .webp".split()
)
_MOST = 3  # that a message names


def of_unread(folder: Path, read: Sequence[str], name: str = "") -> str:
    """Returns a sentence on pictures that are not read, "" without any.

    Args:
      folder: where they are, or below.
      read: endings of those that are.
      name: the path in the folder, without its ending, of the only one that is meant.
    """
    suffixes = [it for it in PICTURE_SUFFIXES if it not in read]
    paths = _called(folder / name, suffixes) if name else below(folder)
    others = [
        path
        for path in sorted(paths)
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    ]
    return f"Not read, save it as {' or '.join(read)}: {_few(others)}." * bool(others)


def _called(path: Path, suffixes: Sequence[str]) -> list[Path]:
    """Returns what is there of a path with an ending, in small or capital letters.

    Asked for one by one: a list may have any number of names, and a folder of files.
    """
    spelled = (
        (f"{path}{suffix}", f"{path}{suffix.upper()}")
        for suffix in dict.fromkeys(suffixes)
    )
    found = (next(filter(os.path.lexists, of), None) for of in spelled)
    return [Path(it) for it in found if it]


def _few(paths: Sequence[Path]) -> str:
    more = f", … ({len(paths)} in all)" * (len(paths) > _MOST)
    return ", ".join(map(str, paths[:_MOST])) + more

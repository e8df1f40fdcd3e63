"""Lists of a folder: the image and the mask that each line names.

A line is a name, whole, if there is such an image; a name and VOC's column of 1, 0 or
−1 where every line of the list has that; or the paths of an image and its mask.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from train.common.errors import UserError
from train.common.regular import open_regular
from train.data.inside import within
from train.data.unread import of_unread
from train.data.voc_files import (
    READ_SUFFIXES,
    Files,
    Pair,
    counted_once,
    raise_error,
)

_TWO_PATHS = re.compile(r"/.*\s+.*/")
_COLUMN = re.compile(r"\s+-?[01]$")


class _Line(NamedTuple):
    """A line of a list that is not blank."""

    whole: str
    place: str  # for messages

    @property
    def text(self) -> str:
        """Without the spaces around it."""
        return self.whole.strip()


def read_list(
    path: Path, files: Files, refuse: Callable[[UserError], None] = raise_error
) -> list[Pair]:
    """Returns the images and masks of a list, in its order.

    Args:
      path: of the list.
      files: of the folder.
      refuse: is told of each line whose image or mask is missing or outside of the
        folder, and raises it, or leaves the line out.

    Raises:
      UserError: the list is empty, or an image or a mask is missing, or outside.
    """
    lines = [
        _Line(whole, f"{path}, line {number}")
        for number, whole in enumerate(_whole_lines(path), start=1)
        if whole.strip()
    ]
    if not lines:
        raise UserError(f"{path} is empty. Write one image name a line.")
    column = all(_COLUMN.search(line.text) for line in lines)
    pairs = []
    for line in lines:
        try:
            pairs.append(_pair(files, line, column=column))
        except UserError as error:
            refuse(error)
    return counted_once(pairs, path, refuse)


def read_lines(path: Path) -> list[str]:
    """Returns the stripped lines, blank ones too, so that line numbers are right."""
    return [line.strip() for line in _whole_lines(path)]


def _whole_lines(path: Path) -> list[str]:
    """Returns the lines as they are; names may have what else Unicode ends lines by."""
    try:
        # Windows may begin with a mark.
        with io.TextIOWrapper(open_regular(path), encoding="utf-8-sig") as file:
            text = file.read()
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text ({error}). Save it as that."
        ) from error
    return text.split("\n")


def _pair(files: Files, line: _Line, *, column: bool) -> Pair:
    """Returns the files of a line.

    Args:
      files: of the folder.
      line: of the list.
      column: whether the list has a column after the names.
    """
    names = [line.text, *([_COLUMN.sub("", line.text)] if column else [])]
    for name in filter(None, map(within, (line.whole, *names))):
        with _at(line):
            image = files.image(name)
        if image:
            return Pair(name, image, _mask(files, name, line))
    if two := _two_paths(files, line):
        return two
    of_two = _TWO_PATHS.search(line.text)
    if not (of_two and _leads_out(line)) and (name := _name_within(files, line)):
        raise UserError(
            f"{line.place}: {line.text!r} is no name of an image. Write `{name}`: "
            "names in a list are without their ending, and without folders above "
            f"{files.root / files.images}."
        )
    if _leads_out(line):
        raise UserError(
            f"{line.place}: {line.text!r} leads out of {files.root}. Write names of "
            f"images in {files.root / files.images}, or put the files there."
        )
    raise _missing_image(files, names, line)


def _leads_out(line: _Line) -> bool:
    """Returns whether a line, or one of its two paths, is of files elsewhere."""
    paths = [path.lstrip("/") for path in line.text.split()]
    of_two = _TWO_PATHS.search(line.text)
    return any(within(path) is None for path in (paths if of_two else [line.text]))


@contextlib.contextmanager
def _at(line: _Line) -> Iterator[None]:
    """Says first which line an error in the block is about."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{line.place}: {error}") from error


def _mask(files: Files, name: str, line: _Line) -> Path:
    """Returns the mask of an image.

    Raises:
      UserError: there is none, or of another format.
    """
    with _at(line):
        path = files.mask(name)
    if path:
        return path
    there = ", ".join(files.masks) if len(files.masks) > 1 else ""
    raise UserError(
        f"{files.root / files.masks[-1] / name}.png is missing: image {name!r} "
        f"has no mask{there and f' in {there}'}. Add the "
        f"mask or remove the name from its split ({line.place})."
    )


def _two_paths(files: Files, line: _Line) -> Pair | None:
    """Returns the files of a line `/JPEGImages/a.jpg /SegmentationClassAug/a.png`.

    Raises:
      UserError: the image is there and the mask is not, or a link leads out.
    """
    root = files.root
    for gap in re.finditer(r"\s+", line.text):
        first, second = line.text[: gap.start()], line.text[gap.end() :]
        inner = [within(path.lstrip("/")) for path in (first, second)]
        if None in inner:
            continue
        image, mask = (root / str(path) for path in inner)
        if "/" in first and "/" in second and image.is_file():
            if not mask.is_file():
                raise UserError(
                    f"{mask} is missing, the mask of {image} ({line.place}). Add it or "
                    "remove the line."
                )
            with _at(line):
                files.inside.checked(image)
                files.inside.checked(mask)
            name = image.relative_to(root).with_suffix("")
            if name.is_relative_to(files.images):
                name = name.relative_to(files.images)
            return Pair(name.as_posix(), image, mask)
    return None


def _name_within(files: Files, line: _Line) -> str:
    """Returns the name of the image that a path means, "" if there is none.

    It is the end of the path, or of its first where there are two, less its ending.
    """
    if not (re.search(r"[/\\]", line.text) or _has_ending(line.text)):
        return ""
    for text in (line.text, line.text.split()[0]):
        path = PurePosixPath(text.replace("\\", "/"))
        parts = (path.with_suffix("") if _has_ending(text) else path).parts
        for first, part in enumerate(parts):
            name = "/".join(parts[first:])
            if part not in ("/", "..") and files.image(name):
                return name
    return ""


def _has_ending(text: str) -> bool:
    return text.lower().endswith(READ_SUFFIXES)


def _missing_image(files: Files, names: Sequence[str], line: _Line) -> UserError:
    """Returns the refusal of a line that names no image."""
    folder, text = files.root / files.images, line.text
    if _TWO_PATHS.search(text):
        first = text.split()[0].lstrip("/")
        return UserError(
            f"{files.root / first} is missing ({line.place}: {text!r}). Add the image "
            "or remove the line."
        )
    remedy = "Add the image (.jpg, .jpeg or .png) or remove the line."
    if _has_ending(text):
        remedy = "Write the names in the list without their ending."
    elif len(names) == 1 and _COLUMN.search(text):
        remedy += " A last column of 1, 0 or −1 is read where every line has it."
    for name in names:
        if why := of_unread(folder, READ_SUFFIXES, name):
            return UserError(f"{line.place}: {why}")
    missing = " and ".join(f"{folder / name}.jpg" for name in names)
    are = "is" if len(names) == 1 else "are"
    return UserError(
        f"{missing} {are} missing, but a split lists {text!r} ({line.place}). {remedy}"
    )

"""Lists of a folder: the image and the mask that each line names.

A line is a name, whole, if there is such an image; a name and VOC's column of 1, 0 or
−1 where every line of the list has that; or the paths of an image and its mask.
"""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from models.text import shortened
from train.common.errors import UserError
from train.common.files import identity
from train.common.regular import read_text
from train.data.inside import within
from train.data.unread import of_unread
from train.data.voc_files import Files, Pair, counted_once, raise_error

_COLUMN = re.compile(r"(?<!\s)\s+-?[01]$")

_LARGEST = 2**24  # bytes of a list, of classes a sixteenth
_LONGEST = 2 * 4096  # characters of a line: two paths, as long as Linux takes them
_USELESS = 10_000  # lines that name nothing, or nothing else
_DEEPEST = 64  # folders in a folder; and gaps of a line that may be between two paths


class _Line(NamedTuple):
    """A line of a list that is not blank."""

    whole: str
    path: Path
    number: int

    @property
    def place(self) -> str:
        """The list and the line, for messages."""
        return f"{self.path}, line {self.number}"

    @property
    def quoted(self) -> str:
        """The line for messages."""
        return repr(shortened(self.text, 200))

    @property
    def of_two_paths(self) -> bool:
        """Whether it has slashes on both sides of a gap."""
        text = self.text
        return bool(re.search(r"\s", text[text.find("/") : text.rfind("/") + 1]))

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
      UserError: the list is empty, or an image or a mask is missing, or outside, or two
        images would have one name.
    """
    numbers, repeats = _numbered(list_text(path, files))
    if not numbers:
        raise UserError(f"{path} is empty. Write one image name a line.")
    column = all(_COLUMN.search(whole.strip()[-_LONGEST:]) for whole in numbers)
    pairs: list[Pair] = []
    again: list[str] = []
    images: dict[str, Path] = {}
    different = set[tuple[int, int]]()  # by links one has any number of names
    for done, (whole, number) in enumerate(numbers.items(), start=1):
        line = _Line(whole, path, number)
        try:
            with _not_too_long(line):
                pair = _pair(files, line, column=column)
            if (known := images.setdefault(pair.name, pair.image)) != pair.image:
                raise UserError(
                    f"{line.place}: {pair.image} would be called {pair.name!r}, as "
                    f"{known} is. Rename one of them, or its folder."
                )
            pairs.append(pair)
            different.add(identity(pair.image))
            again += [pair.name] * repeats[whole]
        except UserError as error:
            refuse(error)
        if done > len(different) + _USELESS:
            raise UserError(
                f"{path} has more than {_USELESS} lines that name no image, or one "
                "again in another form. Mend those, or write the list anew."
            )
    return counted_once(pairs, path, refuse, again)


def _numbered(text: str) -> tuple[dict[str, int], Counter[str]]:
    """Returns each line that is not blank with its number, and how often it repeats.

    So millions of lines that say the same take no longer than one.
    """
    numbers: dict[str, int] = {}
    repeats: Counter[str] = Counter()
    for number, line in enumerate(io.StringIO(text, newline="\n"), start=1):
        whole = line.removesuffix("\n")
        if whole.strip() and numbers.setdefault(whole, number) != number:
            repeats[whole] += 1
    return numbers, repeats


def read_lines(path: Path) -> list[str]:
    """Returns the stripped lines of a list of classes, blank ones too."""
    return [line.strip() for line in read_text(path, _LARGEST // 16).split("\n")]


def list_text(path: Path, files: Files) -> str:
    """Returns the text of a list of images.

    Raises:
      UserError: it is no text, too large, or a link that leads out of the folder.
    """
    return read_text(files.inside.checked(path), _LARGEST)


@contextlib.contextmanager
def _not_too_long(line: _Line) -> Iterator[None]:
    """Refuses a line that is longer than names and paths of files can be."""
    refusal = UserError(
        f"{line.place}: {line.quoted} has {len(line.whole)} characters, more than the "
        "name of a file may have. Write one image name a line."
    )
    if len(line.whole) > _LONGEST:
        raise refusal
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise refusal from error


def _pair(files: Files, line: _Line, *, column: bool) -> Pair:
    """Returns the files of a line.

    Args:
      files: of the folder.
      line: of the list.
      column: whether the list has a column after the names.
    """
    names = [line.text, *([_COLUMN.sub("", line.text)] if column else [])]
    for name in filter(None, map(within, (line.whole, *names))):
        if name == ".":  # which is a folder
            continue
        with _at(line):
            image = files.image(name)
        if image:
            return Pair(name, image, _mask(files, name, line))
    if two := _two_paths(files, line):
        return two
    outside = _leads_out(line)
    if not (outside and line.of_two_paths) and (name := _name_within(files, line)):
        raise UserError(
            f"{line.place}: {line.quoted} is no name of an image. Write `{name}`: "
            "names in a list are without their ending, and without folders above "
            f"{files.root / files.images}."
        )
    if outside:
        raise UserError(
            f"{line.place}: {line.quoted} leads out of {files.root}. Write names of "
            f"images in {files.root / files.images}, or put the files there."
        )
    raise _missing_image(files, names, line)


def _leads_out(line: _Line) -> bool:
    """Returns whether a line, or one of its two paths, is of files elsewhere."""
    paths = [path.lstrip("/") for path in line.text.split()]
    names = paths if line.of_two_paths else [line.text]
    return any(within(name) is None for name in names)


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
    for gap in itertools.islice(re.finditer(r"\s+", line.text), _DEEPEST):
        first, second = line.text[: gap.start()], line.text[gap.end() :]
        if "/" not in first or "/" not in second:
            continue
        of_image = within(first.lstrip("/"))
        if of_image is None or not (image := root / of_image).is_file():
            continue
        if of_mask := within(second.lstrip("/")):
            mask = root / of_mask
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
    if not (re.search(r"[/\\]", line.text) or _has_ending(line.text, files)):
        return ""
    for text in (line.text, line.text.split()[0]):
        path = PurePosixPath(text.replace("\\", "/"))
        parts = (path.with_suffix("") if _has_ending(text, files) else path).parts
        for first, part in enumerate(parts if len(parts) <= _DEEPEST else ()):
            name = "/".join(parts[first:])
            if part not in ("/", "..") and files.image(name):
                return name
    return ""


def _has_ending(text: str, files: Files) -> bool:
    return text.lower().endswith(files.read)


def _missing_image(files: Files, names: Sequence[str], line: _Line) -> UserError:
    """Returns the refusal of a line that names no image."""
    folder, text = files.root / files.images, line.text
    if line.of_two_paths:
        first = files.root / shortened(text.split()[0].lstrip("/"), 200)
        return UserError(
            f"{first} is missing ({line.place}: {line.quoted}). Add the image or "
            "remove the line."
        )
    remedy = "Add the image (.jpg, .jpeg or .png) or remove the line."
    if _has_ending(text, files):
        remedy = "Write the names in the list without their ending."
    elif len(names) == 1 and _COLUMN.search(text):
        remedy += " A last column of 1, 0 or −1 is read where every line has it."
    for name in names:
        if why := of_unread(folder, files.read, name):
            return UserError(f"{line.place}: {why}")
    briefly = [shortened(name, 200) for name in names]
    missing = " and ".join(f"{folder / name}.jpg" for name in briefly)
    are = "is" if len(names) == 1 else "are"
    return UserError(
        f"{missing} {are} missing, but a split lists {line.quoted} ({line.place}). "
        f"{remedy}"
    )

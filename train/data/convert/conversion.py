"""Conversions: data of other forms, written once as a folder in VOC layout.

Each form that an annotation tool or an archive has is read by one file beside this one.
The folder is below `--prepared`, where its masks can be looked at; originals stay.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, NamedTuple, TypeVar

import msgspec
import numpy as np

from train.common.errors import UserError
from train.common.files import naming
from train.common.regular import read_regular
from train.data.convert.links import ORIGINALS, check_whole, originals_text
from train.data.fingerprint import Digests, changed, memory_of
from train.data.inside import Inside
from train.data.palette import mask_png, voc_colormap
from train.data.places import resolved
from train.data.voc_classes import check_names
from train.data.voc_files import IMAGES, LISTS, READ_SUFFIXES

_MASKS = "SegmentationClass"
_NO_LINE = re.compile("[\r\n]|^\ufeff")  # ends a line, or begins a file
_VERSION = "6"  # raise it whenever the same data give another folder

_T = TypeVar("_T")

# A whole number of a JSON file. Larger ones do not fit into arrays.
Number = Annotated[int, msgspec.Meta(ge=-(2**62), lt=2**62)]


def key_of(id: int | str) -> str:
    """Returns an id as the key of a dictionary.

    The hash of an integer is the integer, so that a file could choose some that take
    hours to tell apart; those of strings differ from process to process.
    """
    return repr(id)


class Conversion(NamedTuple):
    """Data of another form, found but not converted yet."""

    form: str  # as in "COCO annotations"
    # Looks at all that the folder is made from, files by their digests; what is linked
    # to, which is of the folder's own fingerprint, by names and where links lead to.
    key: Callable[[], Sequence[str]]
    write: Callable[[VocWriter], None]
    folders: Sequence[Path] = ()  # of its images and masks, which may be links
    read: Sequence[Path] = ()  # tables and masks, which may be links as well


def digests_of(root: Path, files: Sequence[Path], prepared: Path) -> tuple[str, ...]:
    """Returns the names and digests of files, for a key; they are remembered."""
    digests = Digests(memory_of(root, prepared))
    known = digests.of(files)
    digests.save()
    return tuple(f"{path.relative_to(root)} {known[path]}" for path in files)


def read_json(
    path: Path, form: type[_T], what: str, way_out: str, *, strict: bool = True
) -> _T:
    """Returns the content of a JSON file.

    Args:
      path: of the file.
      form: what it must be.
      what: its name, for messages.
      way_out: what to do where it is something else.
      strict: whether numbers in quotes are something else.

    Raises:
      UserError: it is no JSON, or not of that form.
    """
    try:
        text = read_regular(path).removeprefix(b"\xef\xbb\xbf")
        return msgspec.json.decode(text, type=form, strict=strict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(
            f"{path} cannot be read as {what}: {error}. {way_out}"
        ) from error


class VocWriter:
    """A folder in VOC layout while it is written.

    Args:
      root: the folder.
      original: path of the data, or their name, for messages.
      inside: where files of the data may be.
    """

    def __init__(self, root: Path, original: str, inside: Inside):
        self.root, self._original, self.inside = root, original, inside
        self._lists: dict[str, dict[str, None]] = {}
        self._written: dict[str, Path | None] = {}  # names, and files linked to
        self._masks: dict[str, str] = {}  # their digests, of links their files
        self._originals: dict[str, str | None] = {}  # of links, None of files

    def name_classes(self, class_names: Sequence[str]) -> None:
        """Writes the names of the classes, in the order of the masks' values.

        Raises:
          UserError: they are no names of classes; see `check_names`.
        """
        names = [name.strip() for name in class_names]
        check_names(names, self._original)
        self._put("class_names.txt", "".join(f"{name}\n" for name in names).encode())

    def add(
        self,
        split: str,
        name: str,
        image: Path | bytes,
        mask: Path | bytes | np.ndarray,
    ) -> None:
        """Adds an image to a list, and its files unless another list has it.

        Args:
          split: name of the list; "" lists it nowhere, for --split.
          name: of the image, without its ending; may have folders, as `street/1`.
          image: its file, which is linked to, or the content of one.
          mask: a PNG file, which is linked to, or the content of one, or class
            indices, uint8 `[height, width]`.

        Raises:
          UserError: the name or its ending is not read, another image has it, another
            list has another mask for it, or a link leads out of the data.
        """
        _check_name(name, image)
        listed = self._lists.setdefault(split, {})
        file = image if isinstance(image, Path) else None
        if (known := self._written.get(name, file)) != file:
            raise UserError(f"{known} and {file} are both called {name!r}. Rename one.")
        if name in listed:
            of = split and f" of {split}"
            raise UserError(f"two images{of} are called {name!r}. Rename one.")
        listed[name] = None
        its = str(mask) if isinstance(mask, Path) else _digest(bytes(mask))
        if self._masks.setdefault(name, its) != its:
            raise UserError(
                f"{self._original} has image {name!r} twice, with other objects in "
                f"{split or 'the second'!r}: which are meant is not said. Take it out "
                "of one, or move the file of those that you do not need, such as a "
                "test list without objects, elsewhere."
            )
        if name in self._written:
            return
        self._written[name] = file
        self._put(f"{IMAGES}/{name}{_suffix(image)}", image)
        if isinstance(mask, np.ndarray):
            mask = mask_png(mask, voc_colormap())
        self._put(f"{_MASKS}/{name}.png", mask)

    def finish(self) -> None:
        """Writes the lists, and what the folder holds.

        Raises:
          UserError: there are no images.
        """
        if not self._written:
            raise UserError(f"{self._original} has no images. Export it once more.")
        self._lists.pop("", None)
        for split, names in self._lists.items():
            lines = "".join(f"{name}\n" for name in names)
            self._put(f"{LISTS}/{split}.txt", lines.encode())
        _write(self.root / ORIGINALS, originals_text(self._originals))

    def _put(self, place: str, content: Path | bytes) -> None:
        path = self.root / place
        place = path.relative_to(self.root).as_posix()  # without `./` and `//`
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                _write(path, content)
                self._originals[place] = None
            else:
                os.symlink(self.inside.checked(content).resolve(), path)
                self._originals[place] = str(content.relative_to(self.inside.root))
        # By endings, or on a disk that takes a and A for one name.
        except (FileExistsError, NotADirectoryError) as error:
            raise UserError(
                f"{self._original}: {place} is there already: another image, or its "
                "folder, has a name that is the same there. Rename one, or choose "
                "another place for --prepared."
            ) from error


def _check_name(name: str, image: Path | bytes) -> None:
    """Refuses what leads out of the folder, what no list can hold or nobody reads."""
    parts = PurePosixPath(name).parts
    told = f"image {name!r}"
    if not name.strip() or _NO_LINE.search(name) or not _is_utf8(name):
        raise UserError(f"{told}: a list cannot hold this name. Rename it.")
    if name.startswith("/") or ".." in parts:
        raise UserError(f"{told} would lie outside of its folder. Rename it.")
    own = image.name if isinstance(image, Path) else ""  # `..jpg` without its ending
    if any(part.startswith(".") for part in (*parts, own)):
        raise UserError(f"{told} is hidden by its dot, and not read so. Rename it.")
    if (ending := _suffix(image)).lower() not in READ_SUFFIXES:
        raise UserError(
            f"{image!s} ends in {ending!r}, and images are read as "
            f"{', '.join(READ_SUFFIXES)}. Save it as one of those, there and in the "
            "annotations."
        )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _suffix(image: Path | bytes) -> str:
    if isinstance(image, Path):
        return image.suffix
    return ".png" if image.startswith(b"\x89PNG") else ".jpg"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path), path.open("xb") as file:
        file.write(content)


def converted(
    conversion: Conversion, original: str, prepared: Path, *, links: bool = False
) -> Path:
    """Returns the folder in VOC layout, which is written if it is not there.

    Args:
      conversion: what to do.
      original: path of the data, or their name.
      prepared: folder of everything prepared.
      links: whether files outside of the data may be linked to.

    Raises:
      UserError: the data are not sound.
    """
    inside = Inside(Path(original), conversion.folders, links=links)
    for path in conversion.read:  # also where it was converted before
        inside.checked(path)
    key = conversion.key()
    place = resolved(original)  # which links lead to
    parts = repr((_VERSION, conversion.form, place, *key)).encode()
    folder = prepared / "converted" / _digest(parts)[:16]
    if os.path.lexists(folder):  # also a file, or a link to nothing
        check_whole(folder, inside)
    else:
        print(f"{original} holds {conversion.form}: writing {folder}", file=sys.stderr)
        _write_whole(conversion, original, folder, inside, key)
    return folder


def _write_whole(
    conversion: Conversion,
    original: str,
    folder: Path,
    inside: Inside,
    key: Sequence[str],
) -> None:
    """Writes the folder under another name first, so that it is whole or not there.

    Raises:
      UserError: the data are not sound, or no longer of the key.
    """
    partial = folder.with_name(f"{folder.name}.{secrets.token_hex(8)}")
    try:
        partial.mkdir(parents=True)
        writer = VocWriter(partial, original, inside)
        conversion.write(writer)
        writer.finish()
        if conversion.key() != key:
            raise changed(original)
        try:
            partial.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another run was faster
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)

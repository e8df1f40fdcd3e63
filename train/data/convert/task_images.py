"""The images of Label Studio's tasks: files in images/ by what tasks call them.

A task has the address of its image, of which the last part is compared:

/data/upload/7/0123abcd-NAME.jpg     an upload; files need not have digits and dash
/data/local-files/?d=FOLDER/NAME.jpg `d` alone says which file of the server it is
s3://bucket/FOLDER/NAME.jpg          keys of clouds, as they are
https://host/FOLDER/NAME.jpg?…       all others, decoded, without their fields

The first two may have a host, or a folder, before them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from train.common.errors import UserError
from train.common.text import first_few, shown
from train.data.inside import files_below
from train.data.plain_pairs import IMAGE_FOLDERS
from train.data.voc_files import READ_SUFFIXES

_UPLOAD = re.compile(r"(?:.*/data/upload/[0-9]+|/data/upload)/[^/]+", re.DOTALL)
_DIGITS = re.compile(r"^[0-9a-f]{8}-")  # of an upload
_LOCAL = "/data/local-files"
_CLOUD = re.compile(r"(?!https?:|file:)[a-z][a-z0-9+.-]*://")
_FIELDS, _LONGEST = 100, 8192  # of an address: fields, characters


class TaskImages:
    """The files of the images.

    Args:
      root: the folder of the data.
      tasks: what each task says of its data, those without annotation too.
    """

    def __init__(self, root: Path, tasks: Sequence[Mapping[str, Any]]):
        self._own: dict[str, list[Path]] = {}
        self._uploads: dict[str, list[Path]] = {}
        for folder in IMAGE_FOLDERS:
            for path in files_below(root / folder, READ_SUFFIXES):
                self._own.setdefault(path.name, []).append(path)
                self._uploads.setdefault(_uploaded(path.name), []).append(path)
        self._places: dict[Path, set[str]] = {}  # of the images, by tasks
        self._elsewhere: list[str] = []
        for data in tasks:
            for name, address in _named(data).items():
                for path in self._called(name, address):
                    self._places.setdefault(path, set()).add(address)

    def file(self, data: Mapping[str, Any], task: str) -> Path:
        """Returns the file of a task's image.

        Args:
          data: what the task says.
          task: its table and its number, for messages.

        Raises:
          UserError: the task names none, or it is not there, or is there twice, or may
            be that of another task.
        """
        named = _named(data)
        if len(named) != 1:
            raise UserError(f"{task} names {len(named)} images in its data, not one.")
        ((name, address),) = named.items()
        found = self._called(name, address)
        if len(found) != 1:
            these = f" ({first_few([*map(str, found)])})" if found else ""
            raise UserError(
                f"{task} is of the image {name!r}, and images/ has {len(found)} of "
                f"that name{these}. Put it there, once, as it was annotated."
            )
        if len(places := self._places[found[0]]) > 1:
            raise UserError(
                f"{task}: {found[0]} may be the image of {len(places)} tasks, "
                f"{first_few(sorted(places), 2)}, since images are found by the names "
                "of their files. Rename that of one, there and in its task."
            )
        folder, known = found[0].parent.name, _path(address).split("/")[-2:-1]
        if not _is_upload(address) and folder not in (*IMAGE_FOLDERS, *known):
            self._elsewhere.append(f"{address} as {found[0]}")
        return found[0]

    def said(self) -> str:
        """Returns what is to be said of images in other folders, "" if nothing."""
        if not self._elsewhere:
            return ""
        return (
            f"{len(self._elsewhere)} images were found by the names of their files "
            f"alone, in folders of other names: {shown(first_few(self._elsewhere, 2))}"
        )

    def _called(self, name: str, address: str) -> list[Path]:
        """Returns the files that may be meant."""
        found = self._own.get(name, [])
        if found or not _is_upload(address):
            return found
        short = _DIGITS.sub("", name)
        return self._uploads.get(short) or self._own.get(short, [])


def _uploaded(name: str) -> str:
    """Returns what Label Studio calls an upload, after the eight digits."""
    return re.sub(r"[^-\w.]", "", name.replace(" ", "_"))


def _named(data: Mapping[str, Any]) -> dict[str, str]:
    """Returns the images that a task may be of: names, and the longest address."""
    found: dict[str, str] = {}
    for text in sorted((it for it in data.values() if isinstance(it, str)), key=len):
        name = _path(text).rpartition("/")[2]
        if name.lower().endswith(READ_SUFFIXES):
            found[name] = text
    return found


def _is_upload(address: str) -> bool:
    path = address.partition("?")[0]
    return bool(_UPLOAD.fullmatch(path)) and not _CLOUD.match(address)


def _path(address: str) -> str:
    """Returns the path of an address, nothing of what is none."""
    if _CLOUD.match(address):
        return address
    if len(address) > _LONGEST:  # a text; of hosts accents are put in one form
        return ""
    try:
        parts = urlsplit(address)
        path = unquote(parts.path)
        if path.rstrip("/").endswith(_LOCAL):
            fields = parse_qs(parts.query, max_num_fields=_FIELDS)
            path = fields.get("d", [""])[-1]  # as Label Studio's server reads it
    except ValueError:
        return ""
    return path.replace("\\", "/")

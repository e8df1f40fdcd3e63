"""The origin of a prepared record: its folder, and what a record there may hold.

Whoever shares a folder of prepared records may have written anything into them, so
each is checked where it is decoded, and refused by its folder.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from train.common.errors import UserError
from train.common.text import is_shown, shown
from train.data.forms import Form, form_of
from train.data.masks import IGNORED

ORIGIN = "origin"  # of a record, beside its image, label and name


class Origin(NamedTuple):
    """Where a record is from, and what it may hold."""

    folder: Path
    split: str
    classes: Collection[int]  # that its mask may have, beside `IGNORED`
    form: Form  # of its image


@contextlib.contextmanager
def blaming_records(
    folder: Path, split: str, *, but: type[Exception] = UserError
) -> Iterator[None]:
    """Makes what is raised within the block the refusal of prepared records.

    Args:
      folder: of the records.
      split: theirs.
      but: passes as it is, beside a lack of memory.
    """
    try:
        yield
    except (but, MemoryError):
        raise
    except Exception as error:  # array_record and decoders raise various ones
        raise UserError(
            f"{folder}: the prepared records of split {split!r} cannot be read "
            f"({error!s:.300}). Move that folder elsewhere; the next run writes it "
            "again."
        ) from error


@contextlib.contextmanager
def checking(record: Mapping[str, Any]) -> Iterator[Origin | None]:
    """Gives the origin of a record, and blames it for what is raised in the block.

    A record without one, as those of tests, is blamed for nothing.
    """
    origin = record.get(ORIGIN)
    if origin is None:
        yield None
        return
    with blaming_records(origin.folder, origin.split, but=MemoryError):
        yield origin


def check_label(label: np.ndarray, origin: Origin | None) -> None:
    """Refuses a mask that has a value which is neither a class nor ignored.

    Raises:
      ValueError: it names the value.
    """
    if origin is None:
        return
    strange = np.ones(256, bool)
    strange[[*origin.classes, IGNORED]] = False
    if (found := strange[label]).any():
        raise ValueError(f"a mask has the value {label[found][0]}, which is no class")


def check_fits(image: np.ndarray, label: np.ndarray, origin: Origin | None) -> None:
    """Refuses an image of another size than its mask, or of another form.

    Raises:
      ValueError: it names both.
    """
    (height, width), (tall, wide) = image.shape[:2], label.shape
    if (height, width) != (tall, wide):
        raise ValueError(f"an image is {width}×{height}, but its mask is {wide}×{tall}")
    if origin and form_of(image) != origin.form:
        raise ValueError(f"an image has {form_of(image)}, not {origin.form}")


def name_in(record: Mapping[str, Any], origin: Origin | None) -> str:
    """Returns the name of the image of a record.

    Raises:
      ValueError: it is no text of one line.
    """
    name = record["name"].decode()
    if origin and not is_shown(name):
        raise ValueError(f"the name {shown(name)} has control characters")
    return name


def name_of(record: Mapping[str, Any]) -> str:
    """Returns the name of the image of a record.

    Raises:
      UserError: it is no text of one line.
    """
    with checking(record) as origin:
        return name_in(record, origin)

"""Sets of TensorFlow Datasets that have masks: `tfds:NAME[/CONFIG][:VERSION]`.

`,mask=FEATURE,image=FEATURE,shift=N,void=N` after the name say what is read of a set
and how; for the sets of `tfds_masks.py` it is known. Reading them takes no TensorFlow,
whichever format they are prepared in; preparing them does.
"""

from __future__ import annotations

import contextlib
import functools
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from models.text import shortened
from train.common.errors import UserError
from train.common.files import identity
from train.common.regular import open_regular
from train.data.convert.conversion import Conversion, VocWriter, digests_of
from train.data.convert.tfds_files import (
    ARRAY_RECORD,
    TFRECORD,
    ImageFeature,
    PreparedSet,
    PreparedSplit,
    base_name,
    find_prepared,
    how_to_build,
)
from train.data.convert.tfds_masks import KNOWN, Meaning
from train.data.images import orientation, read_mask, upright
from train.data.inside import Inside
from train.data.places import TFDS
from train.data.record_files import check_records
from train.data.record_values import named_values

_RECORD_LIMIT = 2**30  # bytes
# Of a set's files, what its images may take that are written; and bytes that any may.
# They are packed already, and hardly shrink once more.
_MOST_TIMES, _ANY = 100, 2**26
_PICTURES = ("uint8", "uint16")  # of float32, TFDS keeps the bytes of each number


def find_tfds_set(
    data: str, splits: Sequence[str], prepared: Path, *, links: bool = False
) -> Conversion:
    """Returns how to convert a set.

    Args:
      data: `tfds:NAME`, and what is to be read of it.
      splits: those that are asked for; all are converted.
      prepared: folder of everything prepared.
      links: whether its files may be links to others elsewhere.

    Raises:
      UserError: the set is not prepared, or lacks a split or a feature.
    """
    name, *words = data.removeprefix(TFDS).split(",")
    found = find_prepared(name)
    if found.form not in (ARRAY_RECORD, TFRECORD):
        raise UserError(
            f"{found.folder} has the format {found.form!r}, which is not read. "
            f"{how_to_build(name)} Add --file_format=array_record."
        )
    meaning = _meaning(data, name, words, found.images)
    _check_splits(data, splits, found.splits)
    files = [file for split in found.splits.values() for file in split.files]
    if missing := [file for file in files if not file.is_file()]:
        raise UserError(f"{missing[0]} is missing. {how_to_build(name)}")
    _check_distinct(files)
    inside = Inside(found.folder, links=links)
    for file in files:
        inside.checked(file)
    # What the set says of itself, as it was read, and not as it may have become since.
    said = {split: (total, len(of)) for split, (total, of) in found.splits.items()}

    def key() -> tuple[str, ...]:
        return (repr((meaning, said)), *digests_of(found.folder, files, prepared))

    form = f"the TFDS set {found.full_name}"
    return Conversion(form, key, lambda writer: _write(writer, found, meaning))


def _meaning(
    data: str, name: str, words: Sequence[str], images: Mapping[str, ImageFeature]
) -> Meaning:
    """Returns what is read of a set, as it is told or, where nothing is, known.

    Raises:
      UserError: it is neither told nor known, or the set lacks a feature, or has
        other numbers than those of pictures there.
    """
    told = _told(data, words)
    known = KNOWN.get(base_name(name))
    meaning = Meaning(**told) if "mask" in told else None if told else known
    if meaning is None:
        raise UserError(
            f"--data {data}: say which feature has the masks, as in {TFDS}{name},"
            f"mask=FEATURE. {_listed(images)}"
        )
    for feature in (meaning.image, meaning.mask):
        if feature not in images:
            raise UserError(
                f"--data {data}: the set has no images {feature!r}. {_listed(images)}"
            )
        if (dtype := images[feature].dtype) not in _PICTURES:
            raise UserError(
                f"--data {data}: the set's feature {feature!r} has numbers of type "
                f"{shortened(dtype, 40)!r}, and pictures of {' or '.join(_PICTURES)} "
                "are read. Name another feature, or prepare the set with one of those."
            )
    return meaning


def _told(data: str, words: Sequence[str]) -> dict[str, Any]:
    """Returns what the words after a set's name say."""
    told: dict[str, Any] = {}
    for word in words:
        key, _, value = word.partition("=")
        if key in told:
            raise UserError(f"--data {data} says {key}= twice. Leave one of them out.")
        if key in ("image", "mask") and value:
            told[key] = value
        elif key == "shift" and re.fullmatch("-?[0-9]{1,3}", value):
            told[key] = int(value)
        elif key == "void" and re.fullmatch("[0-9]{1,3}", value) and int(value) < 256:
            told[key] = int(value)
        else:
            raise UserError(
                f"--data {data}: {word!r} is not understood. After the name may follow "
                "mask=FEATURE, image=FEATURE, shift=NUMBER and void=NUMBER (0 to 255), "
                "with commas and no spaces between."
            )
    return told


def _listed(images: Mapping[str, ImageFeature]) -> str:
    found = []
    for name, (channels, dtype) in sorted(images.items()):
        numbers = f" of {shortened(dtype, 40)!r}" if dtype not in _PICTURES else ""
        found.append(f"{name} ({channels} channels{numbers})")
    return f"Its images are: {', '.join(found) or 'none'}."


def _check_splits(
    data: str, asked: Sequence[str], splits: Mapping[str, PreparedSplit]
) -> None:
    """Refuses splits that the set does not have."""
    if missing := [split for split in asked if split not in splits]:
        there = ", ".join(
            f"{name} ({split.total} images)" for name, split in splits.items()
        )
        raise UserError(
            f"{data} has no split {missing[0]!r} but: {there}. Choose by --train-split "
            "and --val-split, or evaluate on a part of what is trained on, as by "
            "--val-split train --holdout 0.2."
        )


def _check_distinct(files: Sequence[Path]) -> None:
    """Refuses a set that reads one file again and again, under however many names."""
    known: dict[tuple[int, int], Path] = {}
    for file in files:
        if (first := known.setdefault(identity(file), file)) is not file:
            raise UserError(
                f"{first} and {file.name} are one file, and each part of a set is one "
                "of its own. Prepare the set again."
            )


def _write(writer: VocWriter, found: PreparedSet, meaning: Meaning) -> None:
    """Writes images, masks and lists of all splits."""
    if meaning.names:
        writer.name_classes(meaning.names)
    left = room = _room(found)
    for split, (total, files) in found.splits.items():
        records = _records(found.form, files, (meaning.image, meaning.mask), room)
        bar = tqdm(
            records, f"writing {split}", total=total, unit="image", dynamic_ncols=True
        )
        count = 0
        for count, record in enumerate(bar, start=1):
            name = f"{found.folder}: {split}, record {count}"
            image, content = record[meaning.image], record[meaning.mask]
            if (left := left - len(image) - len(content)) < 0:
                raise UserError(
                    f"{name}: with those before it takes more than {_MOST_TIMES} times "
                    "the bytes of the set's files, which were made to fill a disk or "
                    "are damaged. Prepare the set again from its source."
                )
            mask = read_mask(content, red=meaning.red, name=name)
            mask = meaning.classes(_as_image(mask, content, image, name), name)
            writer.add(split, f"{split}_{count:06d}", image, mask)
        if count != total:
            raise UserError(
                f"{found.folder} has {count} records of split {split!r}, not {total}. "
                f"{how_to_build(found.full_name.partition('/')[0])}"
            )


def _room(found: PreparedSet) -> int:
    """Returns how many bytes the images and masks of a set may have together."""
    files = (file for split in found.splits.values() for file in split.files)
    return _MOST_TIMES * sum(file.stat().st_size for file in files) + _ANY


def _as_image(mask: np.ndarray, content: bytes, image: bytes, name: str) -> np.ndarray:
    """Returns a mask turned as its image is, whatever its own EXIF says.

    In a set they fit as they are stored: TFDS passes EXIF over.

    Args:
      mask: as it is seen.
      content: of its file.
      image: likewise.
      name: of the record, for messages.

    Raises:
      UserError: the image cannot be read.
    """
    own, wanted = orientation(content, name), orientation(image, name)
    back = {6: 8, 8: 6}.get(own, own)  # of the others each undoes itself
    return mask if own == wanted else upright(upright(mask, back), wanted)


def _records(
    form: str, files: Sequence[Path], images: Sequence[str], room: int
) -> Iterator[Mapping[str, bytes]]:
    """Yields the images of the records of some files, as they are encoded.

    Args:
      form: of the files.
      files: of a split.
      images: features.
      room: bytes that a record may take, unpacked.

    Raises:
      UserError: a file is damaged, or a record has not those images.
    """
    array_records = functools.partial(_array_records, room=room)
    read = array_records if form == ARRAY_RECORD else _tfrecords
    for file in files:
        with _telling(file):
            for record in read(file):
                yield named_values(record, images)


@contextlib.contextmanager
def _telling(file: Path) -> Iterator[None]:
    """Makes whatever is raised of a file's records the refusal of that file."""
    try:
        yield
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:  # array_record and TFDS raise various ones
        raise UserError(
            f"{file} cannot be read as records ({type(error).__name__}: "
            f"{str(error)[:200]}). Prepare the set again."
        ) from error


def _array_records(path: Path, room: int) -> Iterator[bytes]:
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    check_records(path, room)
    source = ArrayRecordDataSource(str(path))
    for index in range(len(source)):
        yield source[index]


def _tfrecords(path: Path) -> Iterator[bytes]:
    """Yields the records of a file: length, checksum, content, checksum.

    Raises:
      UserError: it is cut short.
    """
    with open_regular(path) as file:
        while head := file.read(12):
            size = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else 0
            content = file.read(size) if size <= _RECORD_LIMIT else b""
            if len(content) < size or len(file.read(4)) < 4:
                raise UserError(f"{path} is damaged or cut short. Prepare it again.")
            yield content

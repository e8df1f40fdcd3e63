"""Sets of TensorFlow Datasets that have masks: `tfds:NAME[/CONFIG][:VERSION]`.

`,mask=FEATURE,image=FEATURE,shift=N,void=N` after the name say what is read of a set
and how; for the sets of `tfds_masks.py` it is known. Reading them takes no TensorFlow,
whichever format they are prepared in; preparing them does.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from train.common.errors import UserError
from train.common.regular import open_regular
from train.data.convert.conversion import Conversion, VocWriter, digests_of
from train.data.convert.tfds_masks import KNOWN, Meaning
from train.data.images import read_image, read_mask
from train.data.places import TFDS

_ARRAY_RECORD = tfds.core.FileFormat.ARRAY_RECORD
_TFRECORD = tfds.core.FileFormat.TFRECORD
_RECORD_LIMIT = 2**30  # bytes


def find_tfds_set(data: str, splits: Sequence[str], prepared: Path) -> Conversion:
    """Returns how to convert a set.

    Args:
      data: `tfds:NAME`, and what is to be read of it.
      splits: those that are asked for; all are converted.
      prepared: folder of everything prepared.

    Raises:
      UserError: the set is not prepared, or lacks a split or a feature.
    """
    name, *words = data.removeprefix(TFDS).split(",")
    builder = _open(name)
    meaning = _meaning(data, name, words, dict(builder.info.features.items()))
    _check_splits(data, splits, builder.info.splits)
    root = Path(builder.data_dir)
    files = [
        Path(file) for info in builder.info.splits.values() for file in info.filepaths
    ]
    if missing := [file for file in files if not file.is_file()]:
        raise UserError(f"{missing[0]} is missing. {_build(name)}")
    key = (repr(meaning), *digests_of(root, [*files, root / "features.json"], prepared))
    form = f"the TFDS set {builder.info.full_name}"
    return Conversion(form, key, lambda writer: _write(writer, builder, meaning))


def _open(name: str) -> tfds.core.DatasetBuilder:
    """Returns a prepared set; the code that prepares it is not loaded.

    Raises:
      UserError: it is not prepared, or not in a format that is read.
    """
    try:
        builder = tfds.core.read_only_builder.builder_from_files(name)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        places = ", ".join(map(str, tfds.core.utils.file_utils.list_data_dirs()))
        raise UserError(
            f"--data {TFDS}{name}: no such set is prepared in {places}. "
            f"{_build(name)} TFDS_DATA_DIR names another folder."
        ) from error
    held = builder.info.file_format
    if held not in (_ARRAY_RECORD, _TFRECORD):
        raise UserError(
            f"{builder.data_dir} has the format {held and held.value}, which is not "
            f"read. {_build(name)} Add --file_format=array_record."
        )
    return builder


def _build(name: str) -> str:
    return (
        f"Prepare it with: tfds build {name} (which needs pip install tensorflow; to "
        "read what is prepared nothing more is needed)."
    )


def _meaning(
    data: str, name: str, words: Sequence[str], features: Mapping[str, Any]
) -> Meaning:
    """Returns what is read of a set, as it is told or, where nothing is, known.

    Raises:
      UserError: it is neither told nor known, or the set lacks a feature.
    """
    told = _told(data, words)
    known = KNOWN.get(name.partition(":")[0].partition("/")[0])
    meaning = Meaning(**told) if "mask" in told else None if told else known
    if meaning is None:
        raise UserError(
            f"--data {data}: say which feature has the masks, as in {TFDS}{name},"
            f"mask=FEATURE. {_images(features)}"
        )
    for feature in (meaning.image, meaning.mask):
        if not isinstance(features.get(feature), tfds.features.Image):
            raise UserError(
                f"--data {data}: the set has no images {feature!r}. {_images(features)}"
            )
    return meaning


def _told(data: str, words: Sequence[str]) -> dict[str, Any]:
    """Returns what the words after a set's name say."""
    told: dict[str, Any] = {}
    for word in words:
        key, _, value = word.partition("=")
        if key in ("image", "mask") and value:
            told[key] = value
        elif key == "shift" and re.fullmatch(r"-?\d{1,3}", value):
            told[key] = int(value)
        elif key == "void" and re.fullmatch(r"\d{1,3}", value) and int(value) < 256:
            told[key] = int(value)
        else:
            raise UserError(
                f"--data {data}: {word!r} is not understood. After the name may follow "
                "mask=FEATURE, image=FEATURE, shift=NUMBER and void=NUMBER (0 to 255), "
                "with commas and no spaces between."
            )
    return told


def _images(features: Mapping[str, Any]) -> str:
    found = [
        f"{name} ({feature.shape[-1]} channels)"
        for name, feature in features.items()
        if isinstance(feature, tfds.features.Image)
    ]
    return f"Its images are: {', '.join(sorted(found)) or 'none'}."


def _check_splits(data: str, asked: Sequence[str], splits: Mapping[str, Any]) -> None:
    """Refuses splits that the set does not have."""
    if missing := [split for split in asked if split not in splits]:
        there = ", ".join(
            f"{name} ({info.num_examples} images)" for name, info in splits.items()
        )
        raise UserError(
            f"{data} has no split {missing[0]!r} but: {there}. Choose by --train-split "
            "and --val-split, or evaluate on a part of what is trained on, as by "
            "--val-split train --holdout 0.2."
        )


def _write(
    writer: VocWriter, builder: tfds.core.DatasetBuilder, meaning: Meaning
) -> None:
    """Writes images, masks and lists of all splits."""
    if meaning.names:
        writer.name_classes(meaning.names)
    for split, info in builder.info.splits.items():
        records = _records(builder, split, (meaning.image, meaning.mask))
        bar = tqdm(
            records,
            f"writing {split}",
            total=info.num_examples,
            unit="image",
            dynamic_ncols=True,
        )
        count = 0
        for count, record in enumerate(bar, start=1):
            name = f"{split}_{count:06d}"
            mask = _read_mask(record[meaning.mask], meaning, f"{split}, record {count}")
            writer.add(split, name, record[meaning.image], mask)
        if count != info.num_examples:
            raise UserError(
                f"{builder.data_dir} has {count} records of split {split!r}, not "
                f"{info.num_examples}. {_build(builder.info.name)}"
            )


def _read_mask(content: bytes, meaning: Meaning, name: str) -> np.ndarray:
    """Returns the class indices of a record's mask."""
    try:
        stored = read_image(content)[..., 0] if meaning.red else read_mask(content)
    except UserError as error:
        raise UserError(f"{name}: {error}") from error
    return meaning.classes(stored, name)


def _records(
    builder: tfds.core.DatasetBuilder, split: str, images: Sequence[str]
) -> Iterator[Mapping[str, Any]]:
    """Yields the records of a split, with images as they are encoded."""
    skip = {name: tfds.decode.SkipDecoding() for name in images}
    kept = {name: builder.info.features[name] for name in images}
    features = tfds.features.FeaturesDict(kept)
    read = _array_records if builder.info.file_format == _ARRAY_RECORD else _tfrecords
    for file in builder.info.splits[split].filepaths:
        for record in read(Path(file)):
            yield features.deserialize_example_np(record, decoders=skip)


def _array_records(path: Path) -> Iterator[bytes]:
    from array_record.python.array_record_data_source import ArrayRecordDataSource

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

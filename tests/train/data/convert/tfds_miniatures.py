"""Miniatures of TFDS's own sets: their features, without their downloads."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_data_source import ArrayRecordDataSource

from train.config import Config
from train.data.images import encode

SIZE = (32, 40)
PET_COUNTS = {"train": 4, "test": 2}
Image = tfds.features.Image

PETS = {
    "image": Image(encoding_format="jpeg"),
    "label": tfds.features.ClassLabel(names=["Abyssinian", "beagle"]),
    "species": tfds.features.ClassLabel(names=["Cat", "Dog"]),
    "file_name": tfds.features.Text(),
    "segmentation_mask": Image(shape=(None, None, 1), use_colormap=True),
    "head_bbox": tfds.features.BBoxFeature(),
}
SCENES = {
    "image": Image(encoding_format="jpeg"),
    "annotation": Image(encoding_format="png"),
}
STREETS = {
    "image_id": tfds.features.Text(),
    "image_left": Image(shape=(*SIZE, 3), encoding_format="png"),
    "segmentation_label": Image(
        shape=(*SIZE, 1), encoding_format="png", use_colormap=True
    ),
}


def photo(index: int, form: str = "JPEG") -> io.BytesIO:
    return io.BytesIO(encode(np.full((*SIZE, 3), 40 * index, np.uint8), form))


def stripes(*values: int) -> np.ndarray:
    """A mask with the values in stripes, from the top."""
    rows = np.arange(SIZE[0]) * len(values) // SIZE[0]
    return np.array(values, np.uint8)[rows][:, None].repeat(SIZE[1], 1)


def png(mask: np.ndarray) -> io.BytesIO:
    return io.BytesIO(encode(mask, "PNG"))


def pet(index: int) -> dict[str, Any]:
    return {
        "image": photo(index),
        "label": 0,
        "species": 0,
        "file_name": f"Abyssinian_{index}.jpg",
        "segmentation_mask": png(stripes(2, 3, 1)),
        "head_bbox": tfds.features.BBox(0.0, 0.0, 1.0, 1.0),
    }


def scene(index: int) -> dict[str, Any]:
    """Red is the category, green counts the things."""
    mask = np.zeros((*SIZE, 3), np.uint8)
    mask[..., 0], mask[..., 1] = stripes(0, 1, 1, 100), stripes(0, 1, 2, 3)
    return {"image": photo(index), "annotation": png(mask)}


def street(index: int) -> dict[str, Any]:
    mask = stripes(0, 7, 26, 33, 18, 3)
    return {
        "image_id": f"bonn_{index:06d}_000019",
        "image_left": photo(index, "PNG"),
        "segmentation_label": png(mask),
    }


def prepare(
    place: Path,
    name: str,
    features: Mapping[str, Any],
    record: Callable[[int], dict[str, Any]],
    counts: Mapping[str, int],
    *,
    version: str = "1.0.0",
    config: str = "",
) -> Path:
    """Prepares a set as TFDS does, and returns its folder."""

    class Set(  # type: ignore[call-arg]
        tfds.core.GeneratorBasedBuilder, skip_registration=True
    ):
        VERSION = tfds.core.Version(version)
        BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=config)] if config else []

        def _info(self) -> tfds.core.DatasetInfo:
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(dict(features)),
                disable_shuffling=True,
            )

        def _split_generators(self, dl_manager: object) -> dict[str, Any]:
            return {s: self._generate_examples(n) for s, n in counts.items()}

        def _generate_examples(self, count: int) -> Iterator[Any]:
            for index in range(1, count + 1):
                yield index, record(index)

    Set.name = name
    builder = Set(data_dir=str(place), file_format="array_record")
    builder.download_and_prepare()
    return Path(builder.data_dir)


def as_tfrecord(folder: Path) -> Sequence[Path]:
    """Makes the files of a set those of its default format; returns them."""
    written = []
    for path in folder.glob("*.array_record*"):
        source = ArrayRecordDataSource(str(path))
        records = [source[index] for index in range(len(source))]
        written.append(path.with_name(path.name.replace("array_record", "tfrecord")))
        written[-1].write_bytes(b"".join(map(framed, records)))
        path.unlink()
    info = folder / "dataset_info.json"
    described = json.loads(info.read_text())
    info.write_text(
        json.dumps({**described, "fileFormat": "tfrecord"}).replace(
            "array_record", "tfrecord"
        )
    )
    return sorted(written)


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Makes a JSON file what a function makes of its content."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def framed(record: bytes) -> bytes:
    """A TFRecord; its checksums are not read."""
    return struct.pack("<QI", len(record), 0) + record + bytes(4)


def options(tmp_path: Path, data: str, train: str, val: str, **more: object) -> Config:
    return Config().replace(
        data=data,
        train_split=train,
        val_split=val,
        prepared=str(tmp_path / "prepared"),
        **more,
    )


def pets(place: Path) -> Path:
    return prepare(place, "oxford_iiit_pet", PETS, pet, PET_COUNTS, version="4.0.0")

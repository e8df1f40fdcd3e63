"""Prepared records: TFDS builders that write array_record, read without TensorFlow.

A record is `{"image": JPEG or PNG bytes, "label": PNG bytes, "name": str}`. The
builders are handed encoded bytes, and `images.py` decodes them.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from train.common.errors import UserError
from train.data import scenes
from train.data.images import Source, encode, rescale
from train.data.voc import VocFolder, read_pair

_T = TypeVar("_T")


class _SegmentationBuilder(tfds.core.GeneratorBasedBuilder):
    """What both builders share: the record, and array_record files in order."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, *, data_dir: str, **options: Any):
        options["file_format"] = "array_record"
        super().__init__(data_dir=data_dir, **options)

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "label": tfds.features.Image(shape=(None, None, 1)),
            "name": tfds.features.Text(),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            disable_shuffling=True,  # records keep the order of the split's list
        )


class VocLayout(_SegmentationBuilder):
    """A folder in VOC layout. Every image and mask is checked while it is written."""

    def __init__(self, *, folder: VocFolder, height: int, data_dir: str):
        self._folder, self._height = folder, height
        slug = re.sub(r"[^a-zA-Z0-9]+", "_", folder.root.resolve().name)
        name = f"{slug}_{folder.fingerprint}" + (f"_{height}" if height else "")
        config = tfds.core.BuilderConfig(name=name)
        super().__init__(data_dir=data_dir, config=config)

    def __reduce__(self) -> tuple[Any, ...]:
        return _make_voc_layout, (self._folder, self._height, self._data_dir_root)

    def _split_generators(self, dl_manager: object) -> dict[str, Iterator[Any]]:
        return {split: self._generate_examples(split) for split in self._folder.splits}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        classes = len(self._folder.class_names)
        files = self._folder.splits[split]
        for index, (name, image, mask) in enumerate(_progress(files, split)):
            example = read_pair(image, mask, classes)
            if self._height:
                example = rescale(example, self._height / len(example.label))
                encoded = encode(example.image, "PNG")
            else:
                encoded = image.read_bytes()
            yield index, _record(encoded, example.label, name)


def _make_voc_layout(folder: VocFolder, height: int, data_dir: str) -> VocLayout:
    """Recreates the builder in a data-loading process."""
    return VocLayout(folder=folder, height=height, data_dir=data_dir)


class BuiltinScenes(_SegmentationBuilder):
    """The generated scenes of `scenes.py`."""

    VERSION = tfds.core.Version(scenes.SCENES_VERSION)

    def _split_generators(self, dl_manager: object) -> dict[str, Iterator[Any]]:
        return {split: self._generate_examples(split) for split in scenes.SPLIT_SIZES}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for index in _progress(range(scenes.SPLIT_SIZES[split]), split):
            image, label = scenes.draw_scene(split, index)
            encoded = encode(image, "JPEG", quality=95, subsampling=0)
            yield index, _record(encoded, label, f"{split}_{index:04d}")


def _progress(items: Sequence[_T], split: str) -> Iterable[_T]:
    return tqdm(items, desc=f"preparing {split}", unit="image", dynamic_ncols=True)


def _record(image: bytes, label: np.ndarray, name: str) -> dict[str, Any]:
    encoded = encode(label, "PNG")
    return {"image": io.BytesIO(image), "label": io.BytesIO(encoded), "name": name}


def open_splits(
    builder: VocLayout | BuiltinScenes, splits: Sequence[str]
) -> dict[str, Source]:
    """Returns the records of the named splits, still encoded; writes them if need be.

    Raises:
      UserError: a file of the data set is not sound, or prepared records are damaged.
    """
    tfds.disable_progress_bar()  # for one of our own, with totals
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS's own messages
        try:
            builder.download_and_prepare()
        except FileExistsError:  # another run that began with this one was faster
            builder.download_and_prepare()
    return {split: _open(builder, split) for split in splits}


def _open(builder: VocLayout | BuiltinScenes, split: str) -> Source:
    raw = {key: tfds.decode.SkipDecoding() for key in ("image", "label")}
    try:
        source = builder.as_data_source(split, decoders=raw)
        source[len(source) - 1]
    except Exception as error:  # array_record raises various errors for a damaged file
        raise UserError(
            f"{builder.data_dir}: the prepared records of split {split!r} cannot be "
            f"read ({error}). Delete that folder; the next run writes it again."
        ) from error
    return source

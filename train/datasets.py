"""Data sets as TFDS builders: written once as array_record, read without TensorFlow.

A record is `{"image": JPEG or PNG bytes, "label": PNG bytes, "name": str}`. The
builders are handed encoded bytes, and `train.voc` decodes them, so that neither
TensorFlow nor OpenCV has a say in what a pixel is.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from tqdm import tqdm

from train import scenes
from train.config import Config
from train.data import Example, Part, Source, resize
from train.errors import UserError
from train.losses import check_classes
from train.pictures import voc_colormap
from train.voc import VocFolder, check_pair, read_image, read_voc_folder

T = TypeVar("T")


class Dataset(NamedTuple):
    """A data set that is ready to read."""

    name: str
    class_names: tuple[str, ...]
    colors: np.ndarray  # uint8 [classes, 3]
    fingerprint: str
    train: Source
    val: Source


def load_dataset(config: Config) -> Dataset:
    """Returns the data set a run asks for, preparing it at first use.

    Raises:
      UserError: the folder is not in VOC layout, or a file in it is not sound.
    """
    splits = (config.train_split, config.val_split)
    builder: VocLayout | BuiltinScenes
    if config.data:
        folder = read_voc_folder(Path(config.data), splits, config.classes)
        height = config.image_height
        builder = VocLayout(folder=folder, height=height, data_dir=config.prepared)
        name, names, colors = str(config.data), folder.class_names, folder.colors
        fingerprint = folder.fingerprint
    else:
        _check_builtin(splits)
        builder = BuiltinScenes(data_dir=config.prepared)
        name, names = "built-in scenes", scenes.CLASS_NAMES
        colors, fingerprint = voc_colormap()[: len(names)], scenes.VERSION
    check_classes(config, len(names))  # before anything is written
    tfds.disable_progress_bar()  # for one of our own, with totals
    with contextlib.redirect_stdout(io.StringIO()):  # its talk of downloads
        try:
            builder.download_and_prepare()
        except FileExistsError:  # another run that began with this one was faster
            builder.download_and_prepare()
    train, val = (_open(builder, split) for split in splits)
    if config.holdout:
        train, val = _hold_out(train, config)
    if config.steps and len(train) < config.batch_size:
        raise UserError(
            f"--batch-size {config.batch_size} is more than the {len(train)} images of "
            f"split {config.train_split!r}. Choose {len(train)} or less."
        )
    return Dataset(name, names, colors, fingerprint, train, val)


def _hold_out(source: Source, config: Config) -> tuple[Source, Source]:
    """Parts the training records into what is trained on and what is held out."""
    count = len(source)
    kept, held = held_out(count, config.holdout)
    if not kept or not held:
        raise UserError(
            f"--holdout {config.holdout:g} leaves one side without any of the {count} "
            f"images of split {config.train_split!r}. Choose another share."
        )
    return Part(source, kept), Part(source, held)


def held_out(count: int, share: float) -> tuple[list[int], list[int]]:
    """Returns which of a list's images are trained on, and which are held out.

    The list is cut into stretches, and the end of each is held out. Single images would
    have neighbours in training that may be the next frames of a film; the end of the
    whole list may be of one film, unlike the rest.

    Args:
      count: of images.
      share: to hold out, about; each stretch is rounded.
    """
    stretches = np.array_split(np.arange(count), max(1, min(10, round(share * count))))
    kept, held = [], []
    for stretch in stretches:
        end = len(stretch) - round(share * len(stretch))
        kept += stretch[:end].tolist()
        held += stretch[end:].tolist()
    return kept, held


def _open(builder: VocLayout | BuiltinScenes, split: str) -> Source:
    """Returns the records of a split, the images still encoded."""
    raw = {key: tfds.decode.SkipDecoding() for key in ("image", "label")}
    try:
        source = builder.as_data_source(split, decoders=raw)
        source[len(source) - 1]
    except Exception as error:  # whatever array_record makes of a damaged file
        raise UserError(
            f"{builder.data_dir}: the prepared records of split {split!r} cannot be "
            f"read ({error}). Delete that folder; the next run writes it again."
        ) from error
    return source


def _check_builtin(splits: tuple[str, ...]) -> None:
    for split in splits:
        if split not in scenes.SPLIT_SIZES:
            raise UserError(
                f"the built-in scenes have the splits {', '.join(scenes.SPLIT_SIZES)}, "
                f"not {split!r}. Name a folder with --data to use its own lists."
            )


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
            label = check_pair(image, mask, classes)
            encoded = image.read_bytes()
            if self._height:
                whole = Example(read_image(encoded), label)
                pixels, label = resize(whole, self._height / len(label))
                encoded = _encode(pixels, "PNG")
            yield index, _record(encoded, label, name)


def _make_voc_layout(folder: VocFolder, height: int, data_dir: str) -> VocLayout:
    """Makes the builder again in a process that loads data."""
    return VocLayout(folder=folder, height=height, data_dir=data_dir)


class BuiltinScenes(_SegmentationBuilder):
    """The generated scenes of `train.scenes`."""

    VERSION = tfds.core.Version(scenes.VERSION)

    def _split_generators(self, dl_manager: object) -> dict[str, Iterator[Any]]:
        return {split: self._generate_examples(split) for split in scenes.SPLIT_SIZES}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for index in _progress(range(scenes.SPLIT_SIZES[split]), split):
            image, label = scenes.draw_scene(split, index)
            encoded = _encode(image, "JPEG", quality=95, subsampling=0)
            yield index, _record(encoded, label, f"{split}_{index:04d}")


def _progress(items: Sequence[T], split: str) -> Iterable[T]:
    return tqdm(items, desc=f"preparing {split}", unit="image", dynamic_ncols=True)


def _record(image: bytes, label: np.ndarray, name: str) -> dict[str, Any]:
    encoded = _encode(label, "PNG")
    return {"image": io.BytesIO(image), "label": io.BytesIO(encoded), "name": name}


def _encode(pixels: np.ndarray, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()

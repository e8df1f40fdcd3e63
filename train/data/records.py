"""Prepared records: TFDS builders that write array_record, read without TensorFlow.

A record is `{"image": bytes, "label": PNG bytes, "name": str}`; an image is JPEG or
PNG, or an array (`channels.py`) where it is no RGB of 8 bits. The builders are handed
encoded bytes, and `images.py` decodes them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from errno import ENOTEMPTY
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.example_serializer import ExampleSerializer
from tqdm import tqdm

from train.common.errors import UserError, is_of_system
from train.common.plain import plain_path
from train.common.text import shown
from train.data.forms import RGB
from train.data.images import Source, encode
from train.data.inside import check_kinds_below
from train.data.origin import ORIGIN, Origin, blaming_records
from train.data.places import check_no_link
from train.data.record_files import check_record, check_records
from train.data.record_values import named_values
from train.data.shards import write_split

_T = TypeVar("_T")


class SegmentationBuilder(tfds.core.GeneratorBasedBuilder):
    """Base of the builders: the record, and array_record files in order.

    A kind of data has one beside its reader. It defines `_split_generators`, and in
    them yields an index and a `make_record` for each image of a split.
    """

    VERSION = tfds.core.Version("1.0.0")
    classes: Collection[int]  # values of the masks, beside those that are ignored
    form = RGB  # of the images

    def __init__(self, *, data_dir: str, **options: Any):
        options["file_format"] = "array_record"
        place, config = Path(data_dir, self.name), options.get("config")
        records = place / config.name if config else place
        check_no_link(records)
        check_kinds_below(records)
        self.plain = plain_path(Path(data_dir))
        try:  # which reads what has been written there
            super().__init__(data_dir=str(self.plain.path), **options)
        except Exception as error:  # TFDS raises various ones
            if is_of_system(error) or not place.is_dir():
                raise
            raise UserError(
                f"{place}: prepared records cannot be read ({error}). Move that folder "
                "elsewhere; the next run writes it again."
            ) from error

    def __reduce__(self) -> tuple[Any, ...]:
        """Recreates the builder in a data-loading process, by paths that it knows."""
        return functools.partial(type(self), data_dir=str(self.plain.folder)), ()

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

    def _download_and_prepare(
        self, dl_manager: object, download_config: object
    ) -> None:
        """Writes the splits, in place of TFDS's way, which keeps each in memory."""
        features, write = self.info.features, self._example_writer().write
        serializer = ExampleSerializer(features.get_serialized_info())
        splits = [
            write_split(
                (
                    serializer.serialize_example(features.encode_example(example))
                    for _, example in examples
                ),
                write,
                self._get_filename_template(split),
            )
            for split, examples in self._split_generators(dl_manager).items()
        ]
        self.info.set_splits(tfds.core.SplitDict(splits))


def progress(items: Sequence[_T], split: str) -> Iterable[_T]:
    """Yields the items of a split under a progress bar."""
    return tqdm(items, desc=f"preparing {split}", unit="image", dynamic_ncols=True)


def make_record(image: bytes, label: np.ndarray, name: str) -> dict[str, Any]:
    """Returns a record of an encoded image, its class indices and its name.

    Raises:
      UserError: it is larger than a record that is read.
    """
    encoded = encode(label, "PNG")
    check_record(len(image) + len(encoded) + 6 * len(name), name)
    return {
        "image": io.BytesIO(image),
        "label": io.BytesIO(encoded),
        # Of one line; file names may be no UTF-8.
        "name": recorded(name).encode(),
    }


def recorded(name: str) -> str:
    """Returns the name of an image as a record has it."""
    return shown(name).encode(errors="backslashreplace").decode()


def open_splits(
    builder: SegmentationBuilder, splits: Sequence[str]
) -> dict[str, Source]:
    """Returns the records of the named splits, still encoded; writes them if need be.

    Raises:
      UserError: a file of the data set is not sound, or prepared records are damaged.
    """
    tfds.disable_progress_bar()  # for one of our own, with totals
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS's own messages
        try:
            builder.download_and_prepare()
        except OSError as error:  # another run that began with this one was faster
            # TFDS's has no number, the system's has.
            if not (isinstance(error, FileExistsError) or error.errno == ENOTEMPTY):
                raise
            builder.download_and_prepare()
    builder.plain.check()
    return {split: _open(builder, split) for split in splits}


def _open(builder: SegmentationBuilder, split: str) -> Source:
    folder = Path(builder.data_dir).resolve()
    with blaming_records(folder, split):
        for path in map(Path, builder.info.splits[split].filepaths):
            if path.resolve().parent != folder:
                raise ValueError(f"they name a file elsewhere, {path}")
            check_records(path)
        origin = Origin(folder, split, builder.classes, builder.form)
        records = _Records.of(builder, origin)
        records.source[len(records) - 1]
    return records


@dataclasses.dataclass(frozen=True)
class _Records:
    """Records of which one that cannot be read is refused, with its folder."""

    source: Sequence[bytes]
    origin: Origin
    builder: SegmentationBuilder

    @classmethod
    def of(cls, builder: SegmentationBuilder, origin: Origin) -> _Records:
        raw = tfds.decode.DeserializeMethod.RAW_BYTES
        source = builder.as_data_source(origin.split, deserialize_method=raw)
        return cls(source, origin, builder)

    def __reduce__(self) -> tuple[Any, ...]:
        """Opens them anew in a data-loading process: paths may be of this one alone."""
        return self.of, (self.builder, self.origin)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        with blaming_records(self.origin.folder, self.origin.split):
            values = named_values(self.source[index], ("image", "label", "name"))
            return {**values, ORIGIN: self.origin}

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return map(self.__getitem__, range(len(self)))

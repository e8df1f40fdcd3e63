"""Values of records: those that TFDS wrote, without building what is not asked for."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core.example_serializer import ExampleSerializer
from tensorflow_datasets.proto import tf_example_pb2

from train.common.errors import UserError
from train.data import record_values
from train.data.dataset import load_dataset
from train.data.record_values import named_values

from ..conftest import MakeConfig
from .test_record_files import of_split, write

FEATURES = tfds.features.FeaturesDict(
    {
        "image": tfds.features.Image(),
        "mask": tfds.features.Image(shape=(None, None, 1)),
        "name": tfds.features.Text(),
        "boxes": tfds.features.Sequence(tfds.features.BBoxFeature()),
        "ids": tfds.features.Sequence(tfds.features.Scalar(np.int64)),
    }
)


def field(number: int, content: bytes) -> bytes:
    """A field of Protocol Buffers, with its length in as few bytes as there can be."""
    groups, size = [], len(content)
    while size > 127:
        groups.append(size & 127 | 128)
        size >>= 7
    return bytes([8 * number + 2, *groups, size]) + content


def feature(name: bytes, *values: bytes) -> bytes:
    of = field(1, b"".join(field(1, value) for value in values))
    return field(1, field(1, name) + field(2, of))


@pytest.mark.parametrize("size", [1, 127, 128, 16_383, 16_384, 3_000_000])
def test_values_are_those_that_tfds_wrote(size: int) -> None:
    drawn = np.random.default_rng(size).bytes(size)
    example = {
        "image": io.BytesIO(b"an image"),
        "mask": io.BytesIO(drawn[::-1]),
        "name": drawn,
        "boxes": [tfds.features.BBox(0.0, 0.0, 1.0, 1.0)] * 40,
        "ids": [*range(-3, 300)],
    }
    serializer = ExampleSerializer(FEATURES.get_serialized_info())
    record = serializer.serialize_example(FEATURES.encode_example(example))
    read = tf_example_pb2.Example.FromString(record).features.feature
    expected = {it: read[it].bytes_list.value[0] for it in ("image", "mask", "name")}
    assert named_values(record, tuple(expected)) == expected
    assert expected["name"] == drawn


def test_other_features_are_passed_over() -> None:
    record = field(1, feature(b"x", b"1") + feature(b"y") + feature(b"x/y", b"2"))
    assert named_values(record, ["x"]) == {"x": b"1"}


X = feature(b"x", b"1")


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (b"", "not one map of features"),
        (field(1, X) + field(1, X), "not one map of features"),
        (field(2, X), "not one map of features"),
        (field(1, feature(b"y", b"1")), "not one 'x'"),
        (field(1, feature(b"x")), "not one 'x'"),
        (field(1, feature(b"x", b"1", b"2")), "not one 'x'"),
        (field(1, X + X), "not one 'x'"),
        (field(1, field(1, field(1, b"x") + field(2, field(2, b"1")))), "not one 'x'"),
        (field(1, X + field(1, field(1, b"y"))), "a feature that is none"),
        (field(1, X + field(1, field(2, b"") + field(1, b"y"))), "a feature that is"),
        (field(1, X)[:-1], "cut short"),
        (field(1, X) + b"\x08\x01", "a part that TFDS does not write"),
        (field(1, X) + b"\x0a", "a part that TFDS does not write"),
        (field(1, X) + b"\x0a\xff\xff\xff\xff\xff\x01", "a part that TFDS does not"),
    ],
)
def test_records_that_tfds_does_not_write(record: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=f"a record (has|is) {said}"):
        named_values(record, ["x"])


@pytest.mark.parametrize("where", ["values", "features", "fields", "of another"])
def test_what_is_empty_by_the_million_is_not_built(where: str) -> None:
    """Protocol Buffers make 40 bytes of each two, and a file packs them all away."""
    many = field(1, b"") * 1_000_000
    record = {
        "values": field(1, field(1, field(1, b"x") + field(2, field(1, many)))),
        "features": field(1, X + feature(b"", b"") * 100_000),
        "fields": field(1, X + field(1, many)),
        "of another": field(1, X + field(1, field(1, b"y") + field(2, field(1, many)))),
    }[where]
    tracemalloc.start()
    try:
        if where == "of another":
            assert named_values(record, ["x"]) == {"x": b"1"}
        else:
            with pytest.raises(ValueError, match="a record has "):
                named_values(record, ["x"])
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_features_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    record = field(1, X + feature(b"y") * 4)
    monkeypatch.setattr(record_values, "_FEATURES", 5)
    assert named_values(record, ["x"]) == {"x": b"1"}
    monkeypatch.setattr(record_values, "_FEATURES", 4)
    with pytest.raises(ValueError, match="more than 4 features"):
        named_values(record, ["x"])


def test_prepared_records_are_read_so(make_config: MakeConfig) -> None:
    options = make_config().data
    known: Any = load_dataset(options).train
    path = of_split(options, "train", "*array_record*")
    values = [{**known[index]} for index in range(len(known))]
    names = ("image", "label", "name")
    written = [[feature(it.encode(), value[it]) for it in names] for value in values]

    def rewrite(*more: bytes) -> None:
        path.unlink()
        records = [field(1, b"".join([*parts, *more])) for parts in written]
        write(Path(path), records, "group_size:1")

    rewrite()
    found = load_dataset(options).train
    assert [found[index]["image"] for index in range(len(found))] == [
        value["image"] for value in values
    ]
    rewrite(feature(b"label", b"another"))
    with pytest.raises(UserError, match=f"{path.parent}: .*a record has not one 'lab"):
        load_dataset(options)

"""Records of TFDS's sets: read whole, from each file once, or refused."""

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image
from tensorflow_datasets.proto import tf_example_pb2

from train.common.errors import UserError
from train.data import record_files
from train.data.convert import tfds_sets
from train.data.dataset import find_dataset, load_dataset
from train.data.images import decode, read_mask

from ..png_files import write_png
from .tfds_miniatures import (
    PETS,
    SIZE,
    as_tfrecord,
    changed,
    framed,
    options,
    pet,
    pets,
    photo,
    png,
    prepare,
    stripes,
)


def find(tmp_path: Path, *splits: str) -> None:
    train, val = splits or ("train", "test")
    find_dataset(options(tmp_path, "tfds:oxford_iiit_pet", train, val).data)


@pytest.mark.parametrize("kept", [5, 14, -3])
def test_tfrecord_that_is_cut_short(tmp_path: Path, place: Path, kept: int) -> None:
    path = as_tfrecord(pets(place))[0]
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=f"{path} is damaged or cut short"):
        find(tmp_path)


def test_records_that_are_too_few(tmp_path: Path, place: Path) -> None:
    path = as_tfrecord(pets(place))[0]  # of test
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    path.write_bytes(content[: size + 16])
    with pytest.raises(UserError, match="has 1 records of split 'test', not 2"):
        find(tmp_path)


def test_files_that_are_missing(tmp_path: Path, place: Path) -> None:
    path = next(pets(place).glob("*train*"))
    path.unlink()
    with pytest.raises(UserError, match=f"{path} is missing. Prepare it with"):
        find(tmp_path)


def test_a_mask_that_is_broken_is_named(tmp_path: Path, place: Path) -> None:
    def record(index: int) -> dict[str, object]:
        return {**pet(index), "segmentation_mask": io.BytesIO(b"no mask")}

    prepare(place, "oxford_iiit_pet", PETS, record, {"train": 1}, version="4.0.0")
    with pytest.raises(UserError, match="4.0.0: train, record 1 cannot be decoded"):
        find(tmp_path, "train", "train")


def test_images_that_are_packed_once_more_fill_no_disk(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def record(index: int) -> dict[str, object]:
        image = io.BytesIO(photo(index).getvalue() + bytes(2**20))
        return {**pet(index), "image": image}

    prepare(place, "oxford_iiit_pet", PETS, record, {"train": 3}, version="4.0.0")
    find(tmp_path, "train", "train")  # so small ones may
    shutil.rmtree(tmp_path / "prepared" / "converted")
    monkeypatch.setattr(tfds_sets, "_ANY", 2**21 + 2**19)
    monkeypatch.setattr(tfds_sets, "_MOST_TIMES", 1)
    said = "4.0.0: train, record 3: with those before it takes more than 1 times"
    with pytest.raises(UserError, match=said):
        find(tmp_path, "train", "train")


@pytest.mark.parametrize("rows", [1, 31])
def test_masks_of_which_a_part_is_missing(
    tmp_path: Path, place: Path, rows: int
) -> None:
    """Pillow fills up a PNG of fewer rows than it says, with class 0."""
    whole, part = (
        write_png(tmp_path / "mask.png", stripes(1)[:count], depth=8).read_bytes()
        for count in (SIZE[0], rows)
    )
    head = 8 + 25  # of the signature and the size
    mask = whole[:head] + part[head:]

    def record(index: int) -> dict[str, Any]:
        return {**pet(index), "segmentation_mask": io.BytesIO(mask)}

    prepare(place, "oxford_iiit_pet", PETS, record, {"train": 1}, version="4.0.0")
    said = "4.0.0: train, record 1 cannot be decoded .*fewer pixels than it says"
    with pytest.raises(UserError, match=said):
        find(tmp_path, "train", "train")


def turned(pixels: np.ndarray, number: int, format: str) -> io.BytesIO:
    """A file whose EXIF has a number, and whose pixels are stored as they are."""
    exif, file = Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Orientation] = number
    Image.fromarray(pixels).save(file, format, exif=exif)
    file.seek(0)
    return file


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_masks_are_turned_as_their_images(
    tmp_path: Path, place: Path, form: str
) -> None:
    """TFDS passes EXIF over: in its reading, the pet is where the image is 0."""
    stored = stripes(2, 1, 1, 2, 2)
    stored[:, :9] = 2
    numbers = [(image, 1) for image in range(1, 9)]
    numbers += [(6, 6), (1, 3), (1, 6), (1, 8), (6, 8)]

    def record(index: int) -> dict[str, Any]:
        image, mask = numbers[index - 1]
        pixels = np.repeat((stored != 1)[..., None] * np.uint8(255), 3, axis=-1)
        return {
            **pet(1),
            "image": turned(pixels, image, form),
            "segmentation_mask": turned(stored, mask, "PNG"),
        }

    counts = {"train": len(numbers)}
    prepare(place, "oxford_iiit_pet", PETS, record, counts, version="4.0.0")
    read = options(tmp_path, "tfds:oxford_iiit_pet", "train", "train", holdout=0.1)
    dataset = load_dataset(read.data)
    for source in (dataset.train, dataset.val):
        for index in range(len(source)):
            image, label = decode(source[index])
            np.testing.assert_array_equal(image[..., 0] == 0, label == 0)
    assert len(dataset.train) + len(dataset.val) == len(numbers)


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        ({"mask": [1], "mask/ragged_flat_values": [2]}, ""),
        ({"mask/ragged_flat_values": [2]}, "a record has not one 'mask'"),
        ({"mask": []}, "a record has not one 'mask'"),
        ({"mask": [1, 2]}, "a record has not one 'mask'"),
    ],
)
def test_a_mask_is_what_its_very_feature_has(
    place: Path, masks: dict[str, list[int]], said: str
) -> None:
    """TFDS's reading takes one feature or the other, by chance of the process."""
    written = tf_example_pb2.Example()
    features = written.features.feature
    features["image"].bytes_list.value.append(photo(1).read())
    for name, values in masks.items():
        of = features[name].bytes_list.value
        of.extend(png(stripes(value)).read() for value in values)
    path = place / "a.tfrecord"
    path.write_bytes(framed(written.SerializeToString()))
    records = tfds_sets._records("tfrecord", [path], ("image", "mask"), 0)
    if said:
        with pytest.raises(UserError, match=f"{path} cannot be read .*{said}"):
            next(records)
    else:
        found = next(records)["mask"]
        np.testing.assert_array_equal(read_mask(found), stripes(1))


def test_records_are_looked_at_before_they_are_read(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pets(place)
    said = f"{place}.* has records that are unpacked together, to more than"
    with monkeypatch.context() as patch:
        patch.setattr(record_files, "_MOST", 50)
        with pytest.raises(UserError, match=f"{said} 50 bytes"):
            find(tmp_path)
    monkeypatch.setattr(tfds_sets, "_room", lambda found: 60)  # of the set's size
    with pytest.raises(UserError, match=f"{said} 60 bytes"):
        find(tmp_path)


@pytest.mark.parametrize("kind", ["of a split", "of two", "link", "hard link"])
def test_a_file_is_one_part_of_a_set(tmp_path: Path, place: Path, kind: str) -> None:
    """Each two bytes that name it again would write all of its images again."""
    folder = pets(place)
    file, other = next(folder.glob("*train*")), folder / "other"
    if kind == "link":
        other.symlink_to(file)
    elif kind == "hard link":
        other.hardlink_to(file)
    name = other.name if "link" in kind else file.name

    def change(content: dict[str, Any]) -> None:
        splits = {split["name"]: split for split in content["splits"]}
        again = splits["train" if kind == "of a split" else "test"]
        again["filepathTemplate"] = name
        again["shardLengths"] *= 2 if kind == "of a split" else 1

    changed(folder / "dataset_info.json", change)
    with pytest.raises(UserError, match="are one file, and each part of a set"):
        find(tmp_path)


@pytest.mark.parametrize("name", ["train", "test"])
def test_a_split_is_named_once(tmp_path: Path, place: Path, name: str) -> None:
    path = pets(place) / "dataset_info.json"
    shutil.copy(next(path.parent.glob("*-test*")), path.with_name("other"))

    def change(content: dict[str, Any]) -> None:
        of = {split["name"]: split for split in content["splits"]}
        again = {**of["test"], "name": name, "filepathTemplate": "other"}
        content["splits"].append(again)

    changed(path, change)
    with pytest.raises(UserError, match=f"{path} has split '{name}' twice. Prepare"):
        find(tmp_path)


@pytest.mark.parametrize("record", [b"", b"\x00", b"no record", b"\x0a\x00"])
def test_records_that_are_none(tmp_path: Path, place: Path, record: bytes) -> None:
    for path in as_tfrecord(pets(place)):
        path.write_bytes(4 * framed(record))
    with pytest.raises(UserError, match="tfrecord.* cannot be read as records"):
        find(tmp_path)


def test_array_records_that_are_none(tmp_path: Path, place: Path) -> None:
    for path in pets(place).glob("*array_record*"):
        path.write_bytes(b"no records" * 100)
    with pytest.raises(
        UserError, match="array_record.* does not begin as files of array_record"
    ):
        find(tmp_path)

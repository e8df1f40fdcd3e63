"""TFDS's own sets: what their masks mean, and what is said where one cannot be read."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from train.common.errors import UserError
from train.data.convert.tfds_masks import KNOWN, Meaning
from train.data.dataset import find_dataset, load_dataset
from train.data.images import decode

from . import tfds_miniatures as miniatures
from .tfds_miniatures import (
    PETS,
    SCENES,
    STREETS,
    as_tfrecord,
    options,
    pet,
    pets,
    photo,
    prepare,
    scene,
    street,
    stripes,
)


def streets(place: Path) -> Path:
    counts = {"train": 2, "validation": 1, "test": 1}
    config = "semantic_segmentation"
    return prepare(place, "cityscapes", STREETS, street, counts, config=config)


def test_pets(tmp_path: Path, place: Path) -> None:
    pets(place)
    config = options(tmp_path, "tfds:oxford_iiit_pet", "train", "test")
    dataset = load_dataset(config.data)
    assert dataset.name == "tfds:oxford_iiit_pet"
    assert dataset.class_names == ("pet", "background", "border")
    assert (len(dataset.train), len(dataset.val)) == (4, 2)
    record = dataset.train[0]
    assert record["image"] == photo(1).read()  # as it was
    np.testing.assert_array_equal(decode(record).label, stripes(1, 2, 0))


def test_scenes_have_the_category_in_red(tmp_path: Path, place: Path) -> None:
    prepare(place, "scene_parse150", SCENES, scene, {"train": 2, "test": 1})
    config = options(tmp_path, "tfds:scene_parse150", "train", "test")
    dataset = load_dataset(config.data)
    assert len(dataset.class_names) == 100
    assert (dataset.class_names[0], dataset.class_names[99]) == ("bed", "flag")
    label = decode(dataset.train[0]).label
    np.testing.assert_array_equal(label, stripes(255, 0, 0, 99))


@pytest.mark.parametrize(
    ("mode", "form", "said"),
    [("RGB", "JPEG", "holds JPEG"), ("L", "PNG", "no colors"), ("P", "PNG", "no col")]
    + [("RGBA", "PNG", "transparent")],
)
def test_masks_in_red_are_read_as_other_masks_are(
    tmp_path: Path, place: Path, mode: str, form: str, said: str
) -> None:
    mask = io.BytesIO()
    Image.new(mode, (8, 8)).save(mask, form)

    def drawn(index: int) -> dict[str, Any]:
        return scene(index) | {"annotation": mask.getvalue()}

    prepare(place, "scene_parse150", SCENES, drawn, {"train": 1, "test": 1})
    config = options(tmp_path, "tfds:scene_parse150", "train", "test")
    with pytest.raises(UserError, match=f"{place}.*: train, record 1 .*{said}"):
        load_dataset(config.data)


@pytest.mark.parametrize("config", ["", "/semantic_segmentation", ":1.0.0"])
def test_cityscapes_has_19_classes(tmp_path: Path, place: Path, config: str) -> None:
    streets(place)
    data = f"tfds:cityscapes{config}"
    dataset = load_dataset(options(tmp_path, data, "train", "validation").data)
    assert len(dataset.class_names) == 19
    label = decode(dataset.val[0]).label
    np.testing.assert_array_equal(label, stripes(255, 0, 13, 18, 255, 255))


def test_cityscapes_ids_are_those_that_are_evaluated() -> None:
    meaning = KNOWN["cityscapes"]
    ids = np.arange(256, dtype=np.uint8)
    classes = meaning.classes(ids, "all")
    assert np.flatnonzero(classes < 255).tolist() == list(meaning.values)
    by_name = dict(zip(meaning.names, meaning.values, strict=True))
    assert by_name["road"] == 7 and by_name["pole"] == 17 and by_name["train"] == 31
    assert classes[classes < 255].tolist() == list(range(19))


def test_any_set_is_told_what_to_read(tmp_path: Path, place: Path) -> None:
    def record(index: int) -> dict[str, object]:
        parts, depth = (miniatures.png(stripes(9, 0, 1, 2)) for _ in range(2))
        return {"picture": photo(index, "PNG"), "parts": parts, "depth": depth}

    one = tfds.features.Image(shape=(None, None, 1))
    features = {"picture": tfds.features.Image(), "parts": one, "depth": one}
    prepare(place, "my_set", features, record, {"train": 2, "val": 1})
    data = "tfds:my_set,mask=parts,image=picture,shift=-1,void=0"
    with pytest.raises(UserError, match="class_names.txt|no mask has"):
        find_dataset(options(tmp_path, data, "train", "val").data)
    named = options(tmp_path, data, "train", "val", classes=tuple("abcdefghi"))
    label = decode(load_dataset(named.data).train[1]).label
    np.testing.assert_array_equal(label, stripes(8, 255, 0, 1))
    data = "tfds:my_set,mask=parts,image=picture,void=9"
    dataset = load_dataset(options(tmp_path, data, "train", "val").data)
    assert dataset.class_names == ("0", "1", "2")  # counted
    np.testing.assert_array_equal(decode(dataset.train[0]).label, stripes(255, 0, 1, 2))


def test_what_is_told_replaces_what_is_known(tmp_path: Path, place: Path) -> None:
    pets(place)
    data = "tfds:oxford_iiit_pet,mask=segmentation_mask,shift=-1,void=3"
    dataset = load_dataset(options(tmp_path, data, "train", "test").data)
    assert dataset.class_names == ("0", "1")
    label = decode(dataset.train[0]).label
    np.testing.assert_array_equal(label, stripes(1, 255, 0))


def test_a_value_of_no_class(tmp_path: Path, place: Path) -> None:
    pets(place)
    data = "tfds:oxford_iiit_pet,mask=segmentation_mask,shift=-2"
    with pytest.raises(UserError, match="train, record 1 has the value 1.*void=1"):
        find_dataset(options(tmp_path, data, "train", "test").data)


@pytest.mark.parametrize("shift", [-255, -1, 0, 1, 300])
def test_no_shift_makes_a_class_of_void_or_void_of_a_class(shift: int) -> None:
    meaning = Meaning(mask="m", shift=shift, void=7)
    for value in range(256):
        mask = np.full((1, 1), value, np.uint8)
        if value in (7, 255):
            assert meaning.classes(mask, "m") == 255
        elif 0 <= value + shift < 255:
            assert meaning.classes(mask, "m") == value + shift
        else:
            with pytest.raises(UserError, match=f"has the value {value}"):
                meaning.classes(mask, "m")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (",shift=-1", "say which feature has the masks"),
        (",mask=nothing", r"no images 'nothing'.*image \(3 .*segmentation_mask \(1 "),
        (",mask=label", "no images 'label'"),
        (",mask=segmentation_mask,image=img", "no images 'img'"),
        (",mask=", "'mask=' is not understood"),
        (",mask=a,void=2,void=3", "says void= twice"),
        (",masks=a", "'masks=a' is not understood"),
        (",mask=a,shift=x", "'shift=x' is not understood"),
        (",mask=a,void=256", "'void=256' is not understood"),
        (",mask=a,void=-1", "'void=-1' is not understood"),
        (", mask=a", "' mask=a' is not understood.*no spaces"),
    ],
)
def test_words_that_cannot_be_meant(
    tmp_path: Path, place: Path, words: str, said: str
) -> None:
    pets(place)
    data = f"tfds:oxford_iiit_pet{words}"
    with pytest.raises(UserError, match=said):
        find_dataset(options(tmp_path, data, "train", "test").data)
    assert not (tmp_path / "prepared").exists()


@pytest.mark.parametrize("feature", ["image", "segmentation_mask"])
@pytest.mark.parametrize("dtype", ["float32", "int64", "\x1b[2J" + "x" * 999])
def test_numbers_that_are_no_picture(
    tmp_path: Path, place: Path, feature: str, dtype: str
) -> None:
    """TFDS keeps each float as the four bytes of a pixel."""
    path = pets(place) / "features.json"
    described = json.loads(path.read_text())
    described["featuresDict"]["features"][feature]["image"]["dtype"] = dtype
    path.write_text(json.dumps(described))
    data = "tfds:oxford_iiit_pet"
    said = rf"--data {data}: .*{feature!r} has numbers of type \S{{5,60}}, .* of uint8 "
    with pytest.raises(UserError, match=said) as refused:
        find_dataset(options(tmp_path, data, "train", "test").data)
    assert str(refused.value).isprintable()
    listed = f"{data},mask=nothing,image=nothing"
    with pytest.raises(UserError, match=rf"{feature} \(\d channels of \S{{5,60}}\)"):
        find_dataset(options(tmp_path, listed, "train", "test").data)


def test_deep_pictures_are_pictures(tmp_path: Path, place: Path) -> None:
    """Of uint16 there are pictures, which the options of data say how to read."""
    path = pets(place) / "features.json"
    path.write_text(path.read_text().replace('"uint8"', '"uint16"'))
    find_dataset(options(tmp_path, "tfds:oxford_iiit_pet", "train", "test").data)


def test_splits_are_listed_where_one_is_missing(tmp_path: Path, place: Path) -> None:
    pets(place)
    said = r"no split 'val' but: train \(4 images\), test \(2 images\)"
    with pytest.raises(UserError, match=said):
        find_dataset(options(tmp_path, "tfds:oxford_iiit_pet", "train", "val").data)
    held = options(tmp_path, "tfds:oxford_iiit_pet", "train", "train", holdout=0.5)
    dataset = load_dataset(held.data)  # as the message says
    assert (len(dataset.train), len(dataset.val)) == (2, 2)


@pytest.mark.parametrize("name", ["oxford_iiit_pet", "cityscapes", "nothing:9.9.9"])
def test_what_is_not_prepared_says_how(tmp_path: Path, place: Path, name: str) -> None:
    said = f"no such set is prepared in {place}.*tfds build {name}"
    with pytest.raises(UserError, match=said):
        find_dataset(options(tmp_path, f"tfds:{name}", "train", "test").data)


def test_tfrecord_is_read_as_well(tmp_path: Path, place: Path) -> None:
    folder = pets(place)
    config = options(tmp_path, "tfds:oxford_iiit_pet", "train", "test")
    first = load_dataset(config.data)
    as_tfrecord(folder)
    second = load_dataset(config.data)
    assert first.fingerprint == second.fingerprint
    for index in range(len(first.train)):
        assert first.train[index]["image"] == second.train[index]["image"]


def test_splits_go_by_their_own_names(tmp_path: Path, place: Path) -> None:
    counts = {"train": 1, "val": 2, "valid": 3, "validation": 4}
    prepare(place, "oxford_iiit_pet", PETS, pet, counts, version="4.0.0")
    for split, count in counts.items():
        config = options(tmp_path, "tfds:oxford_iiit_pet", "train", split)
        assert len(load_dataset(config.data).val) == count

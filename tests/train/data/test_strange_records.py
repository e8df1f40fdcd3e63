"""Prepared records that do not fit their data: refused by their folder, everywhere."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from train.common.errors import UserError
from train.data import voc_records
from train.data.channels import encode_array
from train.data.class_counts import class_counts
from train.data.dataset import load_dataset
from train.data.images import decode, encode, has_label
from train.data.origin import name_of
from train.data.records import make_record

from ..conftest import MakeConfig, make_folder
from ..programs import OPTIONS, call

Bend = Callable[[dict[str, Any], bytes, np.ndarray], dict[str, Any]]


def of_label(change: Callable[[np.ndarray], np.ndarray]) -> Bend:
    """Returns what makes a record of the same image and name with another mask."""
    return lambda made, image, label: {
        **make_record(image, change(label), "x"),
        "name": made["name"],
    }


def renamed(name: bytes) -> Bend:
    return lambda made, image, label: {**made, "name": name}


def four_channels(made: dict[str, Any], image: bytes, label: np.ndarray) -> Any:
    pixels = np.zeros((*label.shape, 4), np.uint8)
    return {**make_record(encode_array(pixels), label, "x"), "name": made["name"]}


def turned(made: dict[str, Any], image: bytes, label: np.ndarray) -> Any:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return {**made, "label": encode(label, "PNG", exif=exif)}


BENT: dict[str, tuple[Bend, str]] = {
    "size": (of_label(lambda label: label[:10]), "is 48×40, but its mask is 48×10"),
    "class": (of_label(lambda label: label + 200), "the value 200, which is no class"),
    "next": (of_label(lambda label: label * 0 + 3), "the value 3, which is no class"),
    "bytes": (renamed(b"\xff\xfe"), "'utf-8' codec can't decode byte 0xff"),
    "controls": (renamed(b"a\x1b[2J"), r"name a\\x1b\[2J has control characters"),
    "lines": (renamed(b"a\nb"), r"the name a\\nb has control characters"),
    "turned": (turned, "it is turned by its EXIF, as no prepared mask is"),
    "channels": (four_channels, "4 channels of 8 bits, not 3 channels of 8 bits"),
}


def bend(patch: pytest.MonkeyPatch, kind: str) -> str:
    """Has records prepared bent; returns what is to be said of them."""
    change, said = BENT[kind]

    def bent(image: bytes, label: np.ndarray, name: str) -> dict[str, Any]:
        return change(make_record(image, label, name), image, label)

    patch.setattr(voc_records, "make_record", bent)
    return f"prepared records of split '{{}}' cannot be read .*{said}"


@pytest.mark.parametrize("kind", BENT)
def test_record_that_does_not_fit_is_refused_where_it_is_decoded(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    said = bend(monkeypatch, kind).format("train")
    config = make_config()
    place = f"^{config.data.prepared}/voc_layout/train_.*"
    if kind in ("bytes", "controls", "lines"):  # of the first and the last at once
        with pytest.raises(UserError, match=place + said):
            load_dataset(config.data)
        monkeypatch.setattr(voc_records, "check_records_of", lambda *arguments: None)
    source = load_dataset(config.data).train
    with pytest.raises(UserError, match=place + said) as raised:
        decode(source[0])
    assert str(raised.value).endswith("elsewhere; the next run writes it again.")
    readers: dict[str, list[Callable[[], object]]] = {
        "class": [lambda: class_counts(source, 3), lambda: has_label(source[0])],
        "bytes": [lambda: name_of(source[0])],
        "lines": [lambda: name_of(source[0])],
    }
    for read in readers.get(kind, ()):
        with pytest.raises(UserError, match=place + said):
            read()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda items: items[:2], r"are 2, from a to b, and .* has 4 images, from a"),
        (lambda items: [items[0], items[-1]], "are 2, from a to d, and .* 4 images"),
        (lambda items: items[:1] * 4, "are 4, from a to a, and .*4 images, from a to "),
        (lambda items: items[::-1], "are 4, from . to a, and .* has 4 images, from a "),
    ],
)
def test_records_of_other_images_are_refused(
    make_config: MakeConfig,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Any], Any],
    said: str,
) -> None:
    config = make_config()
    with monkeypatch.context() as patch:
        patch.setattr(voc_records, "progress", lambda items, split: change(items))
        patch.setattr(voc_records, "check_records_of", lambda *arguments: None)
        load_dataset(config.data)
    place = f"^{config.data.prepared}/voc_layout/train_"
    said = f"{place}.*: the prepared records of split 'train' {said}.*Move that folder"
    with pytest.raises(UserError, match=said):
        load_dataset(config.data)


def test_void_classes_are_in_no_record(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(void=("1",))
    monkeypatch.setattr(voc_records, "without_void", lambda label, void: label)
    with pytest.raises(UserError, match="has the value 1, which is no class"):
        decode(load_dataset(config.data).train[0])


def test_damaged_image_of_a_record_is_named_by_its_folder(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voc_records, "read_regular", lambda path: b"no image")
    config = make_config()
    with pytest.raises(UserError, match=f"^{config.data.prepared}/voc_layout/train_"):
        decode(load_dataset(config.data).train[0])


def test_records_keep_names_on_one_line(folder: Path, make_config: MakeConfig) -> None:
    shutil.rmtree(folder / "ImageSets")
    for old, name in (("a", "two\nlines"), ("b", "two\\nlines")):
        for place, end in (("JPEGImages", ".jpg"), ("SegmentationClass", ".png")):
            (folder / place / f"{old}{end}").rename(folder / place / f"{name}{end}")
    data = load_dataset(make_config(split=0.2).data)
    records = [
        source[i] for source in (data.train, data.val) for i in range(len(source))
    ]
    for record in records:
        decode(record)
    assert {"two\\nlines", "two\\\\nlines"} < set(map(name_of, records))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny: str) -> Path:
    """A folder with data and a finished run."""
    place = tmp_path_factory.mktemp("strange")
    make_folder(place / "voc")
    done = call("main", *words(place, tiny, "prepared", "run"))
    assert done.returncode == 0, done.stderr
    return place


def words(place: Path, tiny: str, prepared: str, run: str) -> list[object]:
    paths = ["--data", place / "voc", "--prepared", place / prepared]
    rest = ["--backbone", tiny, "--steps", 2, "--evaluation-batch", 2, "--workdir"]
    return ["demo", *OPTIONS, *paths, *rest, place / run]


@pytest.mark.parametrize("kind", ["size", "class", "bytes", "controls"])
def test_every_program_ends_in_one_message(
    place: Path, tiny: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bend(monkeypatch, kind)
    prepared = ("--prepared", place / kind)
    few = "--images 2 --rounds 1 --weights 3 --position-stds 30 --color-stds 3".split()
    for program, given in (
        ("main", words(place, tiny, kind, f"run_{kind}")),
        ("evaluate", [place / "run", *prepared]),
        ("tune_crf", [place / "run", *few, *prepared]),
        ("browse", [place / "run", *prepared]),
    ):
        done = call(program, *given)
        assert done.returncode in (1, 2), (program, done)
        assert "Traceback" not in done.stderr and "defect" not in done.stderr
        assert f"{place / kind}/voc_layout/" in done.stderr, (program, done.stderr)
        assert "next run writes it again" in done.stderr
    assert not (place / "run" / "evaluation_val.json").exists()

"""Converted data: what they were refused by at first, they are refused by each time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from train.common.errors import UserError
from train.data.convert.conversion import VocWriter, converted
from train.data.convert.links import images_in, same_named
from train.data.convert.roboflow import find_roboflow
from train.data.convert.voc_archives import find_voc_archives
from train.data.dataset import load_dataset
from train.data.layouts import VOC_ARCHIVE

from ..exports import load, write_image
from . import test_label_studio, test_roboflow
from .coco_files import SIZE, content, write_alone, write_json
from .tfds_miniatures import options, pets
from .voc_downloads import (
    PUBLISHED,
    aug_files,
    sbd_files,
    voc_files,
    write_folder,
    write_tar,
)


def change_splits(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes what a set of TFDS says of its splits, whose files it names."""
    path = folder / "dataset_info.json"
    described = json.loads(path.read_text())
    for split in described["splits"]:
        file = f"oxford_iiit_pet-{split['name']}.array_record-00000-of-00001"
        split.setdefault("filepathTemplate", "")
        if "{" in split["filepathTemplate"] or not split["filepathTemplate"]:
            split["filepathTemplate"] = file
        change(split)
    path.write_text(json.dumps(described))


def test_splits_of_tfds_are_those_that_the_set_names_now(
    tmp_path: Path, place: Path
) -> None:
    folder = pets(place)
    config = options(tmp_path, "tfds:oxford_iiit_pet", "train", "test")
    change_splits(folder, lambda split: None)
    before = load_dataset(config.data)
    assert (len(before.train), len(before.val)) == (4, 2)
    other = {"train": "test", "test": "train"}
    change_splits(folder, lambda split: split.update(name=other[split["name"]]))
    after = load_dataset(config.data)
    assert (len(after.train), len(after.val)) == (2, 4)


def test_counts_of_tfds_are_compared_each_time(tmp_path: Path, place: Path) -> None:
    folder = pets(place)
    config = options(tmp_path, "tfds:oxford_iiit_pet", "train", "test")
    load_dataset(config.data)
    change_splits(folder, lambda split: split.update(shardLengths=["3"]))
    with pytest.raises(UserError, match="has 4 records of split 'train', not 3"):
        load_dataset(config.data)


def coco(root: Path, train: Sequence[str], val: Sequence[str]) -> None:
    """Writes annotations of images in train/ and val/."""
    for split, names, start in (("train", train, 0), ("val", val, len(train))):
        for index, name in enumerate(names):
            write_image(root / split / name, start + index, SIZE)
        path = root / "annotations" / f"instances_{split}.json"
        write_json(path, content(names, start))


@pytest.mark.parametrize("place", ["images", "images/val", "linked", "a link"])
def test_images_of_one_name_are_compared_each_time(tmp_path: Path, place: str) -> None:
    root = tmp_path / "coco"
    coco(root, ["day/1.jpg"], ["day/0.jpg"])
    first, other = root / "val" / "day" / "0.jpg", root / "images" / "day" / "0.jpg"
    if place == "linked":  # a folder within one of images
        (root / "images").mkdir()
        (root / "elsewhere").mkdir()
        (root / "images" / "day").symlink_to(root / "elsewhere")
    elif place == "a link":
        other.parent.mkdir(parents=True)
        other.symlink_to(root / "0.jpg")
    else:
        other = root / place / "day" / "0.jpg"
        other.parent.mkdir(parents=True)
    shutil.copy(first, other)
    before = load(root)
    assert load(root).fingerprint == before.fingerprint
    write_image(other, 9, SIZE)
    with pytest.raises(UserError, match=f"{first} and {other} may both be an image of"):
        load(root)
    shutil.copy(other, first)
    assert load(root).fingerprint != before.fingerprint


@pytest.mark.parametrize("root", ["", ".", "/"])
def test_names_are_places_in_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    monkeypatch.chdir(tmp_path)
    place = tmp_path if root == "/" else Path(root)
    for name in ("a.jpg", "b.jpg", "in/a.jpg", "in/c.jpg", "in/in/c.jpg"):
        write_image(place / name)
    (place / "in" / "b.jpg").hardlink_to(place / "b.jpg")  # one file, not two
    images = images_in([place], tmp_path / "prepared")
    alike = [place / "a.jpg", place / "in" / "a.jpg"]
    assert same_named([place, place / "in", place / "no"], images) == [
        *alike,
        *(place / "in" / name for name in ("c.jpg", "in/c.jpg")),
    ]
    assert same_named([place, place / "no"], images) == []


def test_images_that_nothing_is_compared_with_are_not_converted_again(
    tmp_path: Path,
) -> None:
    root = tmp_path / "coco"
    coco(root, ["0.jpg"], ["0.jpg"])
    load(root)
    write_image(root / "val" / "0.jpg", 9, SIZE)
    load(root)
    assert len(list((tmp_path / "prepared" / "converted").iterdir())) == 1


def test_pictures_that_no_annotation_could_mean_change_nothing(tmp_path: Path) -> None:
    root = tmp_path / "roboflow"
    for index, part in enumerate(("train", "valid")):
        write_image(root / part / "0.jpg", index, SIZE)
        write_json(root / part / "_annotations.coco.json", content(["0.jpg"], index))
    load(root)
    write_image(root / "predictions" / "0.jpg", 9, SIZE)
    load(root)
    assert len(list((tmp_path / "prepared" / "converted").iterdir())) == 1


@pytest.mark.parametrize("write", [write_alone, test_label_studio.write_export])
def test_images_of_another_size_are_refused_each_time(
    tmp_path: Path, write: Callable[[Path], object]
) -> None:
    root = tmp_path / "export"
    write(root)
    load(root, split=0.5)
    image = sorted((root / "images").glob("*.jpg"))[0]
    write_image(image, 0, (4, 4))
    with pytest.raises(UserError, match=rf"{image}\b.* 4×4|4×4.*{image}\b"):
        load(root, split=0.5)


def convert(root: Path, **more: Any) -> Path:
    """Returns what archives of Pascal VOC are converted to."""
    prepared = root.parent / "prepared"
    found = find_voc_archives(root, prepared, "train_aug", PUBLISHED)
    assert found
    return converted(found, str(root), prepared, **more)


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    root = tmp_path / "downloads"
    root.mkdir()
    write_tar(root / VOC_ARCHIVE, voc_files())
    return root


@pytest.mark.parametrize("name", [VOC_ARCHIVE, "benchmark.tgz"])
def test_archives_elsewhere_need_links_each_time(downloads: Path, name: str) -> None:
    write_tar(downloads / "benchmark.tgz", sbd_files())
    archive, elsewhere = downloads / name, downloads.parent / "elsewhere"
    archive.rename(elsewhere)
    archive.symlink_to(elsewhere)
    convert(downloads, links=True)
    with pytest.raises(UserError, match=f"^{archive} leads out of .* add --links"):
        convert(downloads)


@pytest.mark.parametrize("kind", ["benchmark_RELEASE", "SegmentationClassAug"])
def test_archives_may_be_unpacked_elsewhere(downloads: Path, kind: str) -> None:
    elsewhere = downloads.parent / "elsewhere"
    write_folder(elsewhere, sbd_files() if kind[0] == "b" else aug_files())
    (downloads / kind).symlink_to(elsewhere / kind)
    assert convert(downloads).is_dir()


@pytest.mark.parametrize("kind", ["benchmark_RELEASE", "SegmentationClassAug"])
def test_links_out_of_unpacked_archives_are_refused_each_time(
    tmp_path: Path, downloads: Path, kind: str
) -> None:
    root = downloads
    write_folder(root, sbd_files() if kind == "benchmark_RELEASE" else aug_files())
    before = convert(root)
    mask = next(path for path in (root / kind).rglob("2008_000004.*"))
    beside = mask.with_name("beside")
    mask.rename(beside)
    mask.symlink_to(beside)
    assert convert(root) == before
    beside.rename(tmp_path / "elsewhere")
    mask.unlink()
    mask.symlink_to(tmp_path / "elsewhere")
    for links in (False, True):  # as where they are read for the first time
        with pytest.raises(UserError, match=f"{mask.name} is no regular file but a li"):
            convert(root, links=links)


@pytest.fixture
def while_converted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Has a line added to a file when all else of a folder is converted."""
    finish = VocWriter.finish

    def change(path: Path) -> None:
        def late(writer: VocWriter) -> None:
            finish(writer)
            with path.open("ab") as file:
                file.write(b"\n")

        monkeypatch.setattr(VocWriter, "finish", late)

    return change


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (write_alone, "*.json"),
        (test_label_studio.write_export, "brush/*.png"),
        (test_roboflow.write_export, "train/*_mask.png"),
        (test_roboflow.write_export, "train/_classes.csv"),
    ],
)
def test_what_changes_while_it_is_converted_is_refused(
    tmp_path: Path,
    while_converted: Callable[[Path], None],
    write: Callable[[Path], object],
    name: str,
) -> None:
    root = tmp_path / "export"
    write(root)
    while_converted(next(root.glob(name)))
    with pytest.raises(UserError, match=f"^{root} has changed while .* command again"):
        load(root, **({"split": 0.5} if write != test_roboflow.write_export else {}))
    assert not [*(tmp_path / "prepared" / "converted").iterdir()]


def test_archives_that_change_while_they_are_converted_are_refused(
    downloads: Path, while_converted: Callable[[Path], None]
) -> None:
    write_folder(downloads, sbd_files())
    while_converted(downloads / "benchmark_RELEASE/dataset/cls/2008_000009.mat")  # new
    with pytest.raises(UserError, match=f"^{downloads} has changed while"):
        convert(downloads)


def test_tables_of_roboflow_are_read_after_they_were_identified(
    tmp_path: Path,
) -> None:
    root = tmp_path / "export"
    test_roboflow.write_export(root)
    found = find_roboflow(root, tmp_path)
    assert found
    for table in root.glob("*/_classes.csv"):
        table.write_text("Pixel Value, Class\n0, new\n1, b\n2, c\n")
    folder = converted(found, str(root), tmp_path)
    assert (folder / "class_names.txt").read_text().split()[0] == "new"

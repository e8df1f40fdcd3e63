"""Folders with several layouts, or with none: what is read, what is left, a way out."""

import os
import re
import shutil
from pathlib import Path

import pytest

from train.common.errors import UserError
from train.data.dataset import find_dataset
from train.data.kinds import DATA_KINDS
from train.data.layouts import what_is_left

from .convert.coco_files import content, write_alone, write_json
from .convert.test_roboflow import write_export
from .exports import labels, load, options, write_mask, write_pairs


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return write_pairs(tmp_path / "data", "images", "masks")


def said_of(root: Path, capsys: pytest.CaptureFixture[str], **more: object) -> str:
    """Returns the line on what is left aside, "" if there is none."""
    find_dataset(options(root, **{"split": 0.2, **more}))
    lines = [line for line in capsys.readouterr().err.splitlines() if "aside" in line]
    assert len(lines) < 2
    return "".join(lines)


def test_one_layout_has_nothing_left(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (pairs / "labels").mkdir()
    (pairs / "labels" / "photo 0.txt").write_text("0 0.5 0.5 1 1")  # of YOLO
    (pairs / "notes.json").write_text('{"by": "joe"}')
    assert said_of(pairs, capsys) == ""
    write_alone(tmp_path / "coco")
    assert said_of(tmp_path / "coco", capsys) == ""
    write_export(tmp_path / "roboflow")
    assert said_of(tmp_path / "roboflow", capsys, split=0.0) == ""


def test_voc_layout_goes_before_plain_pairs(
    pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pairs(pairs, "JPEGImages", "SegmentationClass")
    said = r"JPEGImages/ and SegmentationClass/ \(VOC layout\) will be read; left aside"
    assert re.search(rf"{said}: images/ and masks/\. If", said_of(pairs, capsys))


def test_annotations_beside_masks_are_named(
    pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_json(pairs / "export.json", content(["photo 0.jpg"]))
    said = (
        r"images/ and masks/ \(plain pairs\) will be read; left aside: export\.json\."
    )
    assert re.search(said, said_of(pairs, capsys))


def test_masks_beside_annotations_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "coco"
    write_alone(root)
    (root / "annotations").mkdir()
    (root / "export.json").rename(root / "annotations" / "instances_train.json")
    write_mask(root / "masks" / "0.png", labels()["photo 0"])
    said = (
        r"instances_train\.json \(COCO\) will be read; left aside: images/ and masks/"
    )
    assert re.search(said, said_of(root, capsys))


@pytest.mark.parametrize(("other", "kind"), [("labels", "masks"), ("imgs", "images")])
@pytest.mark.parametrize("above", ["", "train"])
def test_two_folders_of_the_same_are_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    other: str,
    kind: str,
    above: str,
) -> None:
    root = tmp_path / "data"
    write_pairs(root / above, "images", "masks", "_mask")
    more: dict[str, object] = {"val_split": "train", "split": 0.0} if above else {}
    place = root / above
    shutil.copytree(place / kind, place / other)
    for path in (place / other).iterdir():  # masks under the names of their images
        path.rename(path.with_stem(path.stem.removesuffix("_mask")))
    said = rf"{kind} and .*{other} both have {kind} for 10 names, such as 'photo 0'.*Mo"
    with pytest.raises(UserError, match=said):
        load(root, **{"split": 0.2, **more})
    for path in (place / other).iterdir():
        path.rename(path.with_stem(f"of another {path.stem}"))
    if not above:
        assert re.search(f"left aside: {other}/", said_of(root, capsys))


def test_a_link_to_the_same_folder_is_no_other(pairs: Path) -> None:
    (pairs / "labels").symlink_to(pairs / "masks")
    assert len(load(pairs, split=0.2).train) == 8


def test_kinds_are_those_that_are_found(tmp_path: Path) -> None:
    root = write_pairs(tmp_path / "data", "images", "masks")
    write_pairs(root, "JPEGImages", "SegmentationClass")
    write_export(root)
    write_json(root / "export.json", content(["a.jpg"]))
    write_mask(root / "task-1.png", labels()["photo 0"])
    told = [kind for kind in DATA_KINDS if what_is_left(root, kind)]
    assert len(told) == 5


@pytest.mark.parametrize("end", ["_mask", ""])
def test_a_flat_folder_is_told_where_to_move_files(tmp_path: Path, end: str) -> None:
    root = write_pairs(tmp_path / "flat", ".", ".", end)
    such = r", such as photo 0_mask\.png" if end else ", PNGs named as their images"
    said = rf"20 pictures itself: move images into .*flat/images, and masks{such}, into"
    with pytest.raises(UserError, match=said):
        load(root, split=0.2)


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_part_of_an_export_is_told_its_parent(tmp_path: Path, part: str) -> None:
    root = tmp_path / "export"
    write_export(root)
    with pytest.raises(UserError, match=f"It is a part of {root}: give --data {root}"):
        load(root / part, split=0.2)


@pytest.mark.parametrize("part", ["images", "masks"])
def test_a_folder_of_images_is_told_its_parent(pairs: Path, part: str) -> None:
    with pytest.raises(UserError, match=f"It is a part of {pairs}: give --data"):
        load(pairs / part, split=0.2)


def test_a_folder_around_the_data_is_told_so(pairs: Path) -> None:
    with pytest.raises(UserError, match=f"There are data in {pairs}: give --data"):
        load(pairs.parent, split=0.2)


def test_no_folder_is_told_where_all_layouts_are(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"no such folder.*images/ and masks/.*data\.md"
    ):
        load(tmp_path / "nowhere", split=0.2)


def test_pipes_and_folders_are_no_annotations(
    pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(pairs / "pipe.json")
    (pairs / "folder.json").mkdir()
    assert said_of(pairs, capsys) == ""

"""Folders with several layouts, or with none: what is read, what is left, a way out."""

import itertools
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


def test_folders_of_another_case_are_named(
    pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("images", "masks"):
        other = shutil.copytree(pairs / name, pairs / name.title())
        for path in other.iterdir():
            path.rename(path.with_stem(path.stem + "0"))
    assert "left aside: Images/; Masks/. If" in said_of(pairs, capsys)
    shutil.rmtree(pairs / "Images")
    (pairs / "Images").symlink_to("images")
    assert "left aside: Masks/. If" in said_of(pairs, capsys)


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


# Files of each layout, those of one kind in the order in which they are read.
_FILES = {
    "JPEGImages/ and SegmentationClass/": ("VOC layout", "a.jpg", "a.png"),
    "images/ and masks/": ("plain pairs", "a.tif", "a.png"),
    "train/imgs/ and train/labels/, Validation/images/ and Validation/masks/": (
        *("plain pairs", "a.jpg", "a.png", "b.jpg", "b.png"),
    ),
    "train/_classes.csv, valid/_classes.csv": ("Roboflow semantic masks", "", ""),
    "train/_annotations.coco.json, test/_annotations.coco.json": ("COCO", "", ""),
    "annotations/instances_train.json": ("COCO", ""),
    "export.json": ("COCO", ""),
    "annotations/export.json": ("COCO", ""),
    "masks/task-1.png": ("Label Studio brush masks", ""),
    "VOCtrainval_11-May-2012.tar, benchmark.tgz": (
        *("archives of Pascal VOC 2012", "", ""),
    ),
    "SegmentationClassAug.zip": ("archives of Pascal VOC 2012", ""),
}


@pytest.mark.parametrize(("first", "other"), list(itertools.combinations(_FILES, 2)))
def test_any_two_layouts_are_told(tmp_path: Path, first: str, other: str) -> None:
    for layout in (first, other):
        for place, name in zip(
            re.split(", | and ", layout), _FILES[layout][1:], strict=True
        ):
            path = tmp_path / place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text('{"images": []}')
    kinds = _FILES[first][0], _FILES[other][0]
    for kind, read, left in ((kinds[0], first, other), (kinds[1], other, first)):
        if kinds[0] == kinds[1]:
            read, left = first, other
        said = f"{tmp_path}: {read} ({kind}) will be read; left aside: {left}. If it"
        assert what_is_left(tmp_path, kind).startswith(said)


@pytest.mark.parametrize("place", [".", "ImageSets/Segmentation"])
def test_lists_that_are_not_read_are_named(
    tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in ("train", "val"):
        write_pairs(tmp_path / part, "images", "masks")
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    (tmp_path / place / "train.txt").write_text("photo 0")
    said = rf"left aside: {Path(place) / 'train.txt'}\. If it"
    options = {"split": 0.0, "shared_images": True}
    assert re.search(said, said_of(tmp_path, capsys, **options))
    pairs = tmp_path / "train"
    (pairs / place).mkdir(parents=True, exist_ok=True)
    for part in ("train", "val"):
        (pairs / place / f"{part}.txt").write_text(f"photo {len(part)}")
    assert "left aside" not in said_of(pairs, capsys, **options)


def test_folders_of_splits_beside_pairs_are_named(
    pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pairs(pairs / "train", "images", "masks")
    write_pairs(pairs / "val", "images", "masks")
    said = "left aside: train/images/ and train/masks/, val/images/ and val/masks/. If"
    assert said in said_of(pairs, capsys)
    shutil.rmtree(pairs / "masks")
    (pairs / "images").rename(pairs / "train" / "imgs")
    for path in (pairs / "train" / "imgs").iterdir():
        path.rename(path.with_stem(f"of another {path.stem}"))
    assert "left aside: train/imgs/. If" in said_of(pairs, capsys, split=0.0)


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


def test_folders_beside_those_of_splits_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    within, above = tmp_path / "within", tmp_path / "above"
    for part in ("train", "val", "day2"):
        write_pairs(within, f"images/{part}", f"masks/{part}")
        write_pairs(above / part, "images", "masks")
    shared = {"split": 0.0, "shared_images": True}
    read = "images/ and masks/ (plain pairs) will be read"
    left = "left aside: images/day2/ and masks/day2/. If"
    assert f"{read}; {left}" in said_of(within, capsys, **shared)
    left = "left aside: day2/images/ and day2/masks/. If"
    assert left in said_of(above, capsys, **shared)
    for root in (within, above):  # asked for, so read
        assert said_of(root, capsys, val_split="day2", **shared) == ""
    shutil.rmtree(within / "masks" / "day2")
    assert "aside: images/day2/. If" in said_of(within, capsys, **shared)
    for part in ("train", "val"):
        (within / f"{part}.txt").write_text("day2/photo 1")  # lists name any of them
    write_mask(within / "masks" / "day2" / "photo 1.png", labels()["photo 1"])
    assert said_of(within, capsys, **shared) == ""


def test_folders_in_those_of_splits_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    for part in ("train", "val", "train/more"):
        write_pairs(root / part, "images", "masks")
    (root / "again").symlink_to("train")
    (root / "locked" / "images").mkdir(parents=True)
    (root / "locked").chmod(0)
    try:
        said = said_of(root, capsys, split=0.0)
    finally:
        (root / "locked").chmod(0o700)
    assert "left aside: train/more/images/ and train/more/masks/. If" in said


def test_parts_of_other_names_are_named(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pairs(pairs / "part2", "images", "masks")
    assert "aside: part2/images/ and part2/masks/. If" in said_of(pairs, capsys)
    root = tmp_path / "export"
    write_export(root)
    shutil.copytree(root / "train", root / "day2")
    said = "left aside: day2/_classes.csv. If"
    assert said in said_of(root, capsys, split=0.0)
    (root / "day2" / "_classes.csv").rename(root / "day2" / "_annotations.coco.json")
    said = "left aside: day2/_annotations.coco.json. If"
    assert said in said_of(root, capsys, split=0.0)

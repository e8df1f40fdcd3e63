"""COCO annotations: layouts, segmentations, overlaps."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError

from ..exports import assert_same, load, records, together, write_image
from .coco_files import SIZE, change, content, drawn, write_alone, write_json


@pytest.mark.parametrize(
    "folders",
    [("train2017", "val2017"), ("images/train", "images/val"), ("images", "images")]
    + [("train", "val"), (".", ".")],
)
def test_cocos_own_layout_is_read(tmp_path: Path, folders: tuple[str, str]) -> None:
    root = tmp_path / "coco"
    expected = {}
    names = [["0.jpg", "a.b/1.jpg"], ["2.jpg"]]
    for split, folder, of, start in zip(
        ("train2017", "val2017"), folders, names, (0, 2), strict=True
    ):
        for index, name in enumerate(of):
            write_image(root / folder / name, start + index, SIZE)
            place = (Path(folder) / name).with_suffix("").as_posix()
            expected[place] = drawn(start + index)[1]
        write_json(root / "annotations" / f"instances_{split}.json", content(of, start))
        write_json(root / "annotations" / f"captions_{split}.json", {"images": []})
    found = load(root)
    assert found.class_names == ("background", "cat", "dog")
    assert len(found.train) == 2 and len(found.val) == 1
    assert_same(together(found), expected)


def test_objects_that_cover_nothing_are_said(
    alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load(alone, split=0.5, prepared=str(alone.parent / "first"))
    assert "cover no pixel" not in capsys.readouterr().err
    beside = [-9, -9, -4, -9, -4, -4]
    change(alone, segmentation=[beside], id="a\x1b[2J")
    load(alone, split=0.5)
    said = r"export.json: 1 objects cover no pixel: annotations a\x1b[2J" + "\n"
    assert said in capsys.readouterr().err


def test_images_in_two_files(tmp_path: Path) -> None:
    """Each may have its objects; where they differ, which are meant is not said."""
    root = tmp_path / "coco"
    for index in range(3):
        write_image(root / "images" / f"{index}.jpg", index, SIZE)
    place = root / "annotations"
    write_json(place / "instances_train.json", content(["0.jpg", "1.jpg"]))
    write_json(place / "instances_val.json", content(["2.jpg"], 2))
    write_json(place / "instances_test.json", content(["2.jpg"], 2))
    found = load(root)
    assert len(found.train) == 2 and len(found.val) == 1
    listed = content(["2.jpg"], 2) | {"annotations": []}
    write_json(place / "instances_test.json", listed)
    said = r"coco has image 'images/2' twice, with other objects in 'val'"
    with pytest.raises(UserError, match=said):
        load(root)


def test_roboflows_layout_is_read(tmp_path: Path) -> None:
    root = tmp_path / "roboflow"
    for number, part in enumerate(("train", "valid", "test")):
        write_image(root / part / "same.jpg", number, SIZE)  # in each, another image
        of = content(["same.jpg"], number)
        write_json(root / part / "_annotations.coco.json", of)
    found = records(load(root))
    assert_same(found["train"], {"train/same": drawn(0)[1]})
    assert_same(found["val"], {"valid/same": drawn(1)[1]})
    assert list(records(load(root, val_split="test"))["val"]) == ["test/same"]
    for name, other in (
        ("train", "Train"),
        ("train/_annotations.coco.json", "train/_Annotations.coco.json"),
    ):
        (root / name).rename(root / other)
        meant = Path(name).name
        with pytest.raises(UserError, match=f"is read only where it is called {meant}"):
            load(root, split=0.5)
        (root / other).rename(root / name)
    table = root / "valid" / "_annotations.coco.json"
    table.rename(tmp_path / "moved.json")
    table.symlink_to("gone")
    with pytest.raises(UserError, match=rf"{table} is a link to what is not there"):
        load(root, split=0.5)  # nor is all divided that is there


@pytest.mark.parametrize("folder", ["images", "."])
def test_one_file_is_divided(tmp_path: Path, folder: str) -> None:
    root = tmp_path / "export"
    write_alone(root, folder)
    with pytest.raises(
        UserError, match="has 4 images and no lists .*: add --split 0.2"
    ):
        load(root)
    names = (str(index) if folder == "." else f"images/{index}" for index in range(4))
    expected = {name: drawn(index)[1] for index, name in enumerate(names)}
    assert_same(together(load(root, split=0.5)), expected)


def test_cvats_file_is_divided(alone: Path) -> None:
    (alone / "images").rename(alone / "default")
    (alone / "images").mkdir()
    (alone / "default").rename(alone / "images" / "default")
    (alone / "annotations").mkdir()
    (alone / "export.json").rename(alone / "annotations" / "instances_default.json")
    assert together(load(alone, split=0.5)).keys() == {
        f"images/default/{index}" for index in range(4)
    }


def test_any_name_in_a_folder_of_annotations(alone: Path) -> None:
    (alone / "annotations").mkdir()
    (alone / "export.json").rename(alone / "annotations" / "result.json")
    assert len(together(load(alone, split=0.5))) == 4


@pytest.mark.parametrize("name", ["Background", " Background "])
def test_background_may_be_a_category(alone: Path, name: str) -> None:
    whole = json.loads((alone / "export.json").read_text())
    whole["categories"].append({"id": 5, "name": name})
    write_json(alone / "export.json", whole)
    change(alone, category_id=5)
    found = load(alone, split=0.5)
    assert found.class_names == ("Background", "cat", "dog")
    mask = drawn(0)[1]
    assert_same({"0": together(found)["images/0"]}, {"0": np.where(mask == 2, 0, mask)})


@pytest.mark.parametrize("ids", [(7,), (3, 7), ()])
def test_classes_of_crowds_alone_are_named(
    alone: Path, ids: tuple[int, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = json.loads((alone / "export.json").read_text())
    for annotation in whole["annotations"][::3]:  # of three an image
        annotation["category_id"] = 9
    whole["categories"].append({"id": 9, "name": "cow"})
    for annotation in whole["annotations"]:
        annotation["iscrowd"] = int(annotation["category_id"] in ids)
    whole["annotations"][1]["iscrowd"] = 1  # of a cat, as others are not
    write_json(alone / "export.json", whole)
    load(alone, split=0.5)
    names = ", ".join({7: "dog", 3: "cat"}[id] for id in sorted(ids, reverse=True))
    said = capsys.readouterr().err
    told = f"{alone}/export.json: all objects of {names} are crowds (iscrowd: 1), which"
    assert said.count("are crowds") == said.count(told) == bool(ids)
    load(alone, split=0.5)
    assert "crowds" not in capsys.readouterr().err


def test_image_without_objects_is_background(alone: Path) -> None:
    whole = json.loads((alone / "export.json").read_text())
    kept = [it for it in whole["annotations"] if it["image_id"] != 101]
    write_json(alone / "export.json", {**whole, "annotations": kept})
    assert not together(load(alone, split=0.5))["images/1"].any()


def test_images_are_as_they_are_seen(alone: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", SIZE).save(alone / "images" / "2.jpg", exif=exif)
    assert_same({"2": together(load(alone, split=0.5))["images/2"]}, {"2": drawn(2)[1]})


def test_file_beside_pairs_is_no_annotation(alone: Path) -> None:
    (alone / "export.json").rename(alone / "about.json")
    for index in range(4):
        path = alone / "masks" / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(drawn(index)[1]).save(path)
    assert together(load(alone, split=0.5)).keys() == {"0", "1", "2", "3"}

"""COCO annotations: layouts, segmentations, overlaps, and what cannot be read."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from train.common.errors import UserError

from ..exports import assert_same, load, records, together, write_image

SIZE = (20, 30)
CATEGORIES = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat", "supercategory": "x"}]
SQUARE = [[2, 2, 12, 2, 12, 12, 2, 12]]


def drawn(index: int) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Returns the annotations of an image, and the mask that they make.

    A large cat of two polygons, a small dog on it, listed first, in compressed lengths,
    a crowd of dogs below both in plain ones.
    """
    mask = np.zeros(SIZE, np.uint8)
    mask[10:19, 5:] = 255
    mask[2:12, 2:12] = mask[2:12, 20:25] = 1
    mask[4:8, 4 : 9 + index] = 2
    small = np.asfortranarray(mask == 2).astype(np.uint8)
    crowd = np.zeros(SIZE, np.uint8)
    crowd[10:19, 5:] = 1
    encoded = coco.encode(np.asfortranarray(small))
    size = list(SIZE)
    return [
        {
            "category_id": 7,
            "segmentation": {**encoded, "counts": encoded["counts"].decode()},
        },
        {"category_id": 3, "segmentation": [*SQUARE, [20, 2, 25, 2, 25, 12, 20, 12]]},
        {
            "category_id": 7,
            "segmentation": {"size": size, "counts": plain(crowd)},
            "iscrowd": 1,
        },
    ], mask


def plain(mask: np.ndarray) -> list[int]:
    changes = np.flatnonzero(np.diff(mask.T.ravel())) + 1
    return np.diff([0, *changes, mask.size]).tolist()


def content(names: Sequence[str], start: int = 0) -> dict[str, Any]:
    """Returns a file's content, as programs write it, of images by their names."""
    images = [
        {"id": 100 + i, "file_name": name, "height": 20, "width": 30, "license": 1}
        for i, name in enumerate(names)
    ]
    objects = [
        {"id": 10 * i + j, "image_id": 100 + i, "area": 1.5, "bbox": [0, 0, 1, 1], **it}
        for i in range(len(names))
        for j, it in enumerate(drawn(start + i)[0])
    ]
    info = {"description": "drawn", "year": 2024}
    return {
        "info": info,
        "licenses": [],
        "images": images,
        "annotations": objects,
        "categories": CATEGORIES,
    }


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def write_alone(root: Path, folder: str = "images") -> None:
    names = [f"{index}.jpg" for index in range(4)]
    for index, name in enumerate(names):
        write_image(root / folder / name, index, SIZE)
    write_json(root / "export.json", content(names))


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    write_alone(tmp_path / "export")
    return tmp_path / "export"


def change(root: Path, **more: object) -> None:
    """Changes the first of the annotations of `write_alone`."""
    whole = json.loads((root / "export.json").read_text())
    whole["annotations"][0] |= more
    write_json(root / "export.json", whole)


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


def test_background_may_be_a_category(alone: Path) -> None:
    whole = json.loads((alone / "export.json").read_text())
    whole["categories"].append({"id": 5, "name": "Background"})
    write_json(alone / "export.json", whole)
    change(alone, category_id=5)
    found = load(alone, split=0.5)
    assert found.class_names == ("Background", "cat", "dog")
    mask = drawn(0)[1]
    assert_same({"0": together(found)["images/0"]}, {"0": np.where(mask == 2, 0, mask)})


def test_image_without_objects_is_background(alone: Path) -> None:
    whole = json.loads((alone / "export.json").read_text())
    kept = [it for it in whole["annotations"] if it["image_id"] != 101]
    write_json(alone / "export.json", {**whole, "annotations": kept})
    assert not together(load(alone, split=0.5))["images/1"].any()


@pytest.mark.parametrize(
    ("segmentation", "said"),
    [
        ([], "no segmentation, a box at most"),
        (None, "no segmentation, a box at most"),
        ([[2, 2, 12, 2]], "a polygon has 4 numbers"),
        ([[2, 2, 12, 2, 12, 12, 2]], "a polygon has 7 numbers"),
        ([[2, 2, 12, 2, 1e12, 12]], "a polygon is far outside of 30×20 pixels"),
        ({"size": [30, 20], "counts": [600]}, r"of size \(30, 20\), not \(20, 30\)"),
        ({"size": [20, 30], "counts": [3, 5]}, "not of 20×30 = 600 pixels"),
        ({"size": [20, 30], "counts": "35"}, "not of 20×30 = 600 pixels"),
        ({"size": [20, 30], "counts": "zz"}, "no compressed run lengths"),
        ({"size": [20, 30]}, "cannot be read as COCO.*required field `counts`"),
        ("2,2,12,2", "cannot be read as COCO.*got `str`"),
    ],
)
def test_segmentations_that_cannot_be_right(
    alone: Path, segmentation: object, said: str
) -> None:
    change(alone, segmentation=segmentation)
    with pytest.raises(UserError, match=rf"export\.json.*{said}"):
        load(alone, split=0.5)
    assert not list((alone.parent / "prepared").glob("converted/*"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"image_id": 99}, "annotation 0 is of image 99 and category 7, and one of"),
        ({"category_id": 99}, "annotation 0 is of image 100 and category 99, and one"),
    ],
)
def test_unknown_ids_are_named(alone: Path, more: dict[str, int], said: str) -> None:
    change(alone, **more)
    with pytest.raises(UserError, match=said):
        load(alone, split=0.5)


@pytest.mark.parametrize(
    "name", ["../0.jpg", "/etc/0.jpg", "a/../../0.jpg", "..\\0.jpg", "C:/0.jpg"]
)
def test_names_that_lead_out_are_refused(alone: Path, name: str) -> None:
    write_image(alone.parent / "0.jpg", 0, SIZE)
    whole = json.loads((alone / "export.json").read_text())
    whole["images"][0]["file_name"] = name
    write_json(alone / "export.json", whole)
    with pytest.raises(UserError, match="is outside of its folder|1 of which are miss"):
        load(alone, split=0.5)


def test_missing_images_are_counted(alone: Path) -> None:
    for index in (1, 3):
        (alone / "images" / f"{index}.jpg").unlink()
    said = r"4 images, 2 of which are missing: 1\.jpg, 3\.jpg\. Put them in .*images or"
    with pytest.raises(UserError, match=said):
        load(alone, split=0.5)


def test_other_sizes_are_named(alone: Path) -> None:
    write_image(alone / "images" / "2.jpg", 2, (10, 15))
    with pytest.raises(
        UserError, match=r"2\.jpg is 15×10 .* but .*json has it as 30×20"
    ):
        load(alone, split=0.5)


def test_broken_images_are_named(alone: Path) -> None:
    (alone / "images" / "2.jpg").write_bytes(b"no image")
    with pytest.raises(
        UserError, match=r"2\.jpg cannot be decoded .* Replace the file"
    ):
        load(alone, split=0.5)


def test_huge_images_are_refused_before_they_take_memory(alone: Path) -> None:
    with pytest.raises(UserError, match=r"0\.jpg has 30×20 = 600 pixels, .*599 of --p"):
        load(alone, split=0.5, pixel_limit=599)


def test_images_are_as_they_are_seen(alone: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", SIZE).save(alone / "images" / "2.jpg", exif=exif)
    assert_same({"2": together(load(alone, split=0.5))["images/2"]}, {"2": drawn(2)[1]})


def test_files_must_have_the_same_categories(tmp_path: Path) -> None:
    root = tmp_path / "roboflow"
    for part in ("train", "valid"):
        write_image(root / part / "0.jpg", 0, SIZE)
        of = content(["0.jpg"])
        of["categories"] = [*CATEGORIES, {"id": 8, "name": part}]
        write_json(root / part / "_annotations.coco.json", of)
    with pytest.raises(
        UserError, match="valid.* and .*train.* have different categories"
    ):
        load(root)


@pytest.mark.parametrize(("table", "key"), [("images", "image"), ("categories", "cat")])
def test_ids_that_are_given_twice(alone: Path, table: str, key: str) -> None:
    whole = json.loads((alone / "export.json").read_text())
    whole[table].append({**whole[table][0], "name": "new", "file_name": "1.jpg"})
    write_json(alone / "export.json", whole)
    with pytest.raises(UserError, match=f"gives two {key}.* one id. Renumber"):
        load(alone, split=0.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"images": [', "Input data was truncated"),
        ('{"images": []}', "missing required field `annotations`"),
        ('{"shapes": [], "imagePath": "0.jpg"}', "missing required field `images`"),
        ('{"images": [{"id": 1}]}', r"missing required field `file_name` - at `\$.im"),
    ],
)
def test_what_is_no_coco_is_named(alone: Path, text: str, said: str) -> None:
    (alone / "export.json").write_text(text)
    with pytest.raises(
        UserError, match=rf"export\.json cannot be read as COCO.*{said}"
    ):
        load(alone, split=0.5)


def test_missing_package_is_one_message(
    alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(UserError, match="need pycocotools .*: pip install pycocotools"):
        load(alone, split=0.5)


def test_file_beside_pairs_is_no_annotation(alone: Path) -> None:
    (alone / "export.json").rename(alone / "about.json")
    for index in range(4):
        path = alone / "masks" / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(drawn(index)[1]).save(path)
    assert together(load(alone, split=0.5)).keys() == {"0", "1", "2", "3"}

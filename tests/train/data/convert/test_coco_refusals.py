"""COCO annotations that cannot be read, or not be right."""

import json
import sys
from pathlib import Path

import pytest

from train.common.errors import UserError
from train.data.convert import coco, drawn_pixels
from train.data.convert.conversion import key_of

from ..exports import load, write_image
from ..png_files import headed
from .coco_files import (
    CATEGORIES,
    SIZE,
    change,
    content,
    write_json,
)


@pytest.mark.parametrize(
    ("segmentation", "said"),
    [
        ([], "no segmentation, a box at most"),
        (None, "no segmentation, a box at most"),
        ([[2, 2, 12, 2]], "a polygon has 4 numbers"),
        ([[2, 2, 12, 2, 12, 12, 2]], "a polygon has 7 numbers"),
        ([[2, 2, 12, 2, 1e12, 12]], "a polygon is far outside of 30×20 pixels"),
        ([[0, 0, 30, 20] * 9000], "1 polygons .* more than 500037 pixels together"),
        ([[0, 0, 30, 20, 0, 9]] * 9000, "9000 polygons .* more than 500037 pixels"),
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


@pytest.mark.parametrize("key", ["id", "image_id"])
def test_ids_fit_into_messages(alone: Path, key: str) -> None:
    change(alone, **{key: 1001 * "x", "segmentation": []})
    said = (
        rf"^{alone}/export\.json cannot be read .*<= 1000 - at .*{key}`\. Export inst"
    )
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
        (f'{{"images": [{{"id": {2**61 - 1 << 9}}}]}}', "range|<= 4611686018427387903"),
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


@pytest.mark.parametrize(
    ("objects", "said"),
    [
        (0, r"/export\.json: all 12 objects are crowds \(iscrowd: 1\), which are"),
        (1, ", converted from COCO annotations: the masks come out with .*0 and 255"),
        (4, ""),
    ],
)
def test_crowds_alone_are_refused_by_the_file(
    alone: Path, objects: int, said: str
) -> None:
    whole = json.loads((alone / "export.json").read_text())
    for annotation in whole["annotations"]:  # the first of each image is an object
        number, later = divmod(annotation["id"], 10)
        annotation["iscrowd"] = int(bool(later) or number not in (0, 1, 2, 3)[:objects])
    write_json(alone / "export.json", whole)
    if not said:
        assert load(alone, split=0.5)
        return
    with pytest.raises(UserError, match=f"^{alone}{said}") as refused:
        load(alone, split=0.5)
    assert "prepared" not in str(refused.value)


@pytest.mark.parametrize("objects", ["none", "beside the image"])
def test_files_without_objects_are_refused_by_all_of_them(
    tmp_path: Path, objects: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside one that has some, they are a list of images as of a test."""
    root = tmp_path / "coco"
    paths = []
    for index, split in enumerate(("train", "val")):
        write_image(root / "images" / f"{index}.jpg", index, SIZE)
        paths.append(root / "annotations" / f"instances_{split}.json")
        whole = content([f"{index}.jpg"], index)
        if objects == "none":
            whole["annotations"] = []
        for annotation in whole["annotations"]:
            annotation |= {"segmentation": [[-9, -9, -4, -9, -4, -4]], "iscrowd": 0}
        write_json(paths[-1], whole)
    with monkeypatch.context() as nothing_drawn:
        if objects == "none":
            nothing_drawn.delattr(coco, "class_mask")
        said = f"{paths[0]}, {paths[1]}: no object covers a"
        with pytest.raises(UserError, match=said):
            load(root)
    write_json(paths[0], content(["0.jpg"]))
    assert load(root)


def test_heads_alone_have_no_masks(
    alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of a few bytes would take seconds, and a hundred kilobytes of disk."""
    monkeypatch.delattr(coco, "class_mask")  # nothing is drawn
    size = (20_000, 20_000)
    whole = json.loads((alone / "export.json").read_text())
    for image in whole["images"]:
        (alone / "images" / image["file_name"]).write_bytes(headed(size))
        image["height"], image["width"] = size
    write_json(alone / "export.json", whole)
    with pytest.raises(
        UserError, match=r"\.jpg and the images before it have 400000000 "
    ):
        load(alone, split=0.5)


ZIGZAG = [[float(it) for at in range(30) for it in (at, 20 * (at % 2))]]


@pytest.mark.parametrize("more", ["images", "annotations", ""])
def test_polygons_are_drawn_by_the_bytes_of_what_is_handed_over(
    alone: Path, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    """Not by what heads of images say; in order, until there are too many."""
    whole = json.loads((alone / "export.json").read_text())
    for annotation in whole["annotations"]:
        annotation |= {"segmentation": ZIGZAG, "iscrowd": 0}
    write_json(alone / "export.json", whole)
    images = sorted((alone / "images").iterdir())
    length = len(images) * 3 * (100 + 29 * 20 + 29)  # of 12 objects
    table = (alone / "export.json").stat().st_size
    bytes_ = table + sum(path.stat().st_size for path in images)
    monkeypatch.setattr(drawn_pixels, "_EDGES_A_BYTE", 1)
    monkeypatch.setattr(drawn_pixels, "_EDGES_ANYWAY", length - bytes_ - 1)
    if more == "images":
        images[0].write_bytes(images[0].read_bytes() + b"\0")
    elif more == "annotations":
        with (alone / "export.json").open("a") as file:
            file.write(" ")
    else:
        said = rf"polygons of {images[-1]} and of .* {length} pixels .* {bytes_} bytes"
        with pytest.raises(UserError, match=said):
            load(alone, split=0.5)
        return
    assert load(alone, split=0.5)


@pytest.mark.parametrize("id", [3, -(2**61), 2**61 - 1, "3"])
def test_the_hash_of_an_id_is_nothing_that_a_file_can_choose(id: int | str) -> None:
    """It could choose thousands that take hours to tell apart."""
    key = key_of(id)
    assert isinstance(key, str)
    assert key != key_of(str(id) if isinstance(id, int) else int(id))

"""Label Studio's brush masks: which image they are of, order, and what is missing."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError

from ..exports import SIZE, assert_same, load, together, write_image

ADDRESSES = (
    "/data/upload/7/0123abcd-photo_{}.jpg",
    "/data/local-files/?d=set/photo_{}.jpg",
    "s3://bucket/set/photo_{}.jpg",
    "https://example.org/set/photo%5F{}.jpg?signature=1",
)
LABELS = ("tree-top", "Car")  # index 2 and 1


def region(label: str, **more: object) -> dict[str, Any]:
    value = {"format": "rle", "rle": [0, 0, 1, 2], "brushlabels": [label]}
    place = {"from_name": "tag", "to_name": "image", "type": "brushlabels"}
    size = {"original_width": SIZE[1], "original_height": SIZE[0]}
    return {"id": "x", "value": value, "origin": "manual", **place, **size, **more}


def write_export(root: Path) -> dict[str, np.ndarray]:
    """Writes four tasks and returns the masks that they make.

    The first region of each lies below the second; both labels have two regions.
    """
    rng = np.random.default_rng(0)
    tasks, drawn = [], {}
    for index, address in enumerate(ADDRESSES):
        write_image(root / "images" / f"photo_{index}.jpg", index)
        mask = np.zeros(SIZE, np.uint8)
        counts = dict.fromkeys(LABELS, 0)
        result: list[dict[str, Any]] = [{"type": "relation", "from_id": "x"}]
        for label in (*LABELS, *LABELS[::-1]):
            pixels = rng.random(SIZE) < 0.3
            name = f"task-{index}-annotation-{index + 10}-by-1-tag-{label}"
            path = root / "brush" / f"{name}-{counts[label]}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8) * 255).save(path)
            counts[label] += 1
            result.append(region(label))
            mask[pixels] = 2 - LABELS.index(label)
        result.append({"type": "choices", "value": {"choices": ["sharp"]}})
        annotation = {"id": index + 10, "result": result, "was_cancelled": False}
        cancelled = {"id": index + 90, "result": [], "was_cancelled": True}
        data = {"image": address.format(index), "note": "any", "number": 3}
        tasks.append(
            {"id": index, "data": data, "annotations": [annotation, cancelled]}
        )
        drawn[f"images/photo_{index}"] = mask
    write_tasks(root, tasks)
    return drawn


def write_tasks(root: Path, tasks: object) -> None:
    (root / "project-1-at-2024-01-10.json").write_text(json.dumps(tasks))


def read_tasks(root: Path) -> list[dict[str, Any]]:
    return json.loads((root / "project-1-at-2024-01-10.json").read_text())


def test_regions_become_masks(tmp_path: Path) -> None:
    root = tmp_path / "export"
    drawn = write_export(root)
    (root / "._project-1-at-2024-01-10.json").write_bytes(b"\0\5\x16\7")  # macOS's
    found = load(root, split=0.5)
    assert found.class_names == ("background", "Car", "tree-top")
    assert_same(together(found), drawn)


def test_masks_may_lie_beside_the_table(tmp_path: Path) -> None:
    root = tmp_path / "export"
    drawn = write_export(root)
    for path in (root / "brush").iterdir():
        path.rename(root / path.name)
    assert_same(together(load(root, split=0.5)), drawn)


@pytest.mark.parametrize(
    ("own", "uploaded"),
    [
        ("my photo.jpg", "0123abcd-my_photo.jpg"),
        ("scan[3] (2).JPG", "0123abcd-scan3_2.JPG"),
        ("Straße & Baum, 1.png", "0123abcd-Straße__Baum_1.png"),
    ],
)
def test_images_are_found_by_the_names_of_their_uploads(
    export: Path, own: str, uploaded: str
) -> None:
    (export / "images" / "photo_0.jpg").rename(export / "images" / own)
    tasks = read_tasks(export)
    tasks[0]["data"]["image"] = f"/data/upload/7/{uploaded}"
    write_tasks(export, tasks)
    assert f"images/{Path(own).stem}" in together(load(export, split=0.5))
    write_image(export / "images" / uploaded[9:])  # which may be the one, too
    with pytest.raises(UserError, match="images/ has 2 of that name"):
        load(export, split=0.5)
    tasks[0]["data"]["image"] = f"/data/local-files/?d=images/{quote(own)}"
    write_tasks(export, tasks)
    assert f"images/{Path(own).stem}" in together(load(export, split=0.5))


@pytest.mark.parametrize(
    ("own", "stated"),
    [("a b.png", "a_b.png"), ("d(1).png", "d1.png"), ("e_f.png", "e f.png")],
)
def test_names_are_as_they_stand_where_nothing_was_uploaded(
    export: Path, own: str, stated: str
) -> None:
    (export / "images" / "photo_0.jpg").rename(export / "images" / own)
    tasks = read_tasks(export)
    tasks[0]["data"]["image"] = f"/data/local-files/?d=photos/{stated}"
    write_tasks(export, tasks)
    with pytest.raises(UserError, match=f"image '{stated}', and images/ has 0 of that"):
        load(export, split=0.5)
    (export / "images" / own).rename(export / "images" / stated)
    assert f"images/{Path(stated).stem}" in together(load(export, split=0.5))


@pytest.mark.parametrize("number", ["١", "1_0", "²"])
def test_masks_of_other_digits_are_none(export: Path, number: str) -> None:
    path = export / "brush" / "task-1-annotation-11-by-1-tag-Car-1.png"
    path.rename(path.with_name(path.name.replace("task-1", f"task-{number}")))
    with pytest.raises(UserError, match="region of 'Car' whose mask is missing"):
        load(export, split=0.5)


def test_one_image_of_two_tasks_is_named(export: Path) -> None:
    tasks = read_tasks(export)
    tasks[0]["annotations"] = [{"id": 1, "result": []}]
    tasks[1]["data"] = tasks[0]["data"]
    write_tasks(export, tasks)
    with pytest.raises(UserError, match=r"task 1 is of .*photo_0\.jpg, and so is an"):
        load(export, split=0.5)


def test_other_texts_of_a_task_are_no_images(export: Path) -> None:
    tasks = read_tasks(export)
    tasks[0]["data"] |= {"note": "http://[half an address.jpg", "source": "a\0b"}
    write_tasks(export, tasks)
    assert len(together(load(export, split=0.5))) == 4


def test_lists_are_needed_or_split(export: Path) -> None:
    with pytest.raises(
        UserError, match="has 4 images and no lists .*: add --split 0.2"
    ):
        load(export)


def test_task_without_annotation_is_left_out_and_said(
    export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = {"image": "/data/upload/7/photo_9.jpg"}
    write_tasks(
        export, [*read_tasks(export), {"id": 9, "data": data, "annotations": []}]
    )
    assert len(together(load(export, split=0.5))) == 4
    assert "json: 1 tasks without annotation left out." in capsys.readouterr().err


def test_annotation_without_regions_is_background(export: Path) -> None:
    write_image(export / "images" / "photo_9.jpg", 9)
    data = {"image": "/data/upload/7/photo_9.jpg"}
    task = {"id": 9, "data": data, "annotations": [{"id": 1, "result": []}]}
    write_tasks(export, [*read_tasks(export), task])
    assert not together(load(export, split=0.5))["images/photo_9"].any()


def test_ground_truth_goes_before_other_annotations(export: Path) -> None:
    tasks = read_tasks(export)
    tasks[0]["annotations"].insert(0, {"id": 99, "result": []})
    write_tasks(export, tasks)
    with pytest.raises(UserError, match="task 0 has 2 annotations. Mark one as ground"):
        load(export, split=0.5)
    tasks[0]["annotations"][1]["ground_truth"] = True
    write_tasks(export, tasks)
    name = "task-0-annotation-99-by-1-tag-Car-0.png"  # of the other one
    Image.new("L", SIZE[::-1]).save(export / "brush" / name)
    assert together(load(export, split=0.5))["images/photo_0"].any()


def test_mask_that_is_missing_is_named(export: Path) -> None:
    (export / "brush" / "task-2-annotation-12-by-1-tag-Car-1.png").unlink()
    said = r"annotation 12 of task 2 has a region of 'Car' .*…-tag-Car-1\.png"
    with pytest.raises(UserError, match=said):
        load(export, split=0.5)


def test_masks_of_other_exports_are_named(export: Path) -> None:
    name = "task-3-annotation-77-by-1-tag-Car-0.png"
    Image.new("L", SIZE[::-1]).save(export / "brush" / name)
    with pytest.raises(UserError, match=f"knows nothing of 1 masks: {name}"):
        load(export, split=0.5)


def test_image_that_is_missing_or_there_twice_is_named(export: Path) -> None:
    photo = export / "images" / "photo_0.jpg"
    photo.rename(export / "photo_0.jpg")
    with pytest.raises(
        UserError, match="0 is of the image '0123abcd-photo_0.jpg', .* 0"
    ):
        load(export, split=0.5)
    for folder in ("a", "b"):
        write_image(export / "images" / folder / "photo_0.jpg")
    with pytest.raises(UserError, match="images/ has 2 of that name"):
        load(export, split=0.5)


def test_image_of_another_size_is_named(export: Path) -> None:
    write_image(export / "images" / "photo_0.jpg", size=(3, 5))
    with pytest.raises(UserError, match=r"0\.png is 8×6, but its image .* is 5×3"):
        load(export, split=0.5)


def test_region_of_two_labels_is_named(export: Path) -> None:
    tasks = read_tasks(export)
    tasks[1]["annotations"][0]["result"][1]["value"]["brushlabels"].append("Car")
    write_tasks(export, tasks)
    with pytest.raises(UserError, match="of task 1 has a region with 2 labels. Give"):
        load(export, split=0.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[{",
            "cannot be read as Label Studio's export JSON: Input data was truncated",
        ),
        ('[{"id": 1, "image": "a.jpg"}]', "missing required field `data`.*JSON-MIN"),
        ('{"images": []}', "Expected `array`, got `object`"),
        ('[{"id": 1, "data": {}, "annotations": []}]', "knows nothing of 16 masks"),
        (
            '[{"id": 1, "data": {}, "annotations": [{"id": 1, "result": []}]}]',
            "task 1 names 0 images in its data, not one",
        ),
    ],
)
def test_bad_tables_are_named(export: Path, text: str, said: str) -> None:
    (export / "project-1-at-2024-01-10.json").write_text(text)
    with pytest.raises(UserError, match=said):
        load(export, split=0.5)


def test_table_that_is_missing_is_asked_for(export: Path) -> None:
    (export / "project-1-at-2024-01-10.json").unlink()
    with pytest.raises(UserError, match="16 brush masks of Label Studio and 0 .json"):
        load(export, split=0.5)

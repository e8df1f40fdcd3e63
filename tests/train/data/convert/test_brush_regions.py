"""Label Studio's results: regions of other tools are refused, remarks are none."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from train.common.errors import UserError
from train.data.convert.brush_regions import BrushResult
from train.data.convert.conversion import read_json

from ..exports import assert_same, load, together
from .test_label_studio import read_tasks, region, write_export, write_tasks

SIZED = {"original_width": 8, "original_height": 6, "image_rotation": 0}
BOX = {"x": 10, "y": 10, "width": 40, "height": 40, "rotation": 0}
CORNERS = [[0, 0], [50, 0], [50, 100]]


def add(root: Path, *results: dict[str, Any], first: bool = False) -> None:
    """Adds results to the annotation of the second task."""
    tasks = read_tasks(root)
    there = tasks[1]["annotations"][0]["result"]
    tasks[1]["annotations"][0]["result"] = (
        [*results, *there] if first else [*there, *results]
    )
    write_tasks(root, tasks)


def rename(root: Path, old: str, tag: str, label: str, files: str) -> None:
    """Renames a label and its tag, and the files of its masks."""
    tasks = read_tasks(root)
    for task in tasks:
        for result in task["annotations"][0]["result"]:
            if result.get("value", {}).get("brushlabels") == [old]:
                result["value"]["brushlabels"] = [label]
                result["from_name"] = tag
    write_tasks(root, tasks)
    for path in root.glob(f"brush/*-tag-{old}-*.png"):
        path.replace(path.with_name(path.name.replace(f"tag-{old}", files)))


@pytest.mark.parametrize(
    ("tag", "label", "files"),
    [
        ("tag", "tree/top", "tag-tree-top"),
        ("a/b", "tree\\top", "a-b-tree-top"),
        ("tag", "tree\\top", "tag-tree\\top"),  # as earlier versions wrote it
    ],
)
def test_slashes_of_labels_are_dashes_in_files(
    tmp_path: Path, tag: str, label: str, files: str
) -> None:
    root = tmp_path / "export"
    drawn = write_export(root)
    rename(root, "tree-top", tag, label, files)
    found = load(root, split=0.5)
    assert found.class_names == ("background", "Car", label)
    assert_same(together(found), drawn)


def test_background_may_be_a_label_with_spaces(tmp_path: Path) -> None:
    root = tmp_path / "export"
    write_export(root)
    rename(root, "Car", "tag", "Background ", "tag-Background ")
    assert load(root, split=0.5).class_names == ("Background", "tree-top")


@pytest.mark.parametrize(
    ("first", "second"),
    [(("tag", "a/b"), ("tag", "a-b")), (("tag-a", "b"), ("tag", "a-b"))],
)
def test_masks_that_were_written_over_others_are_named(
    tmp_path: Path, first: tuple[str, str], second: tuple[str, str]
) -> None:
    root = tmp_path / "export"
    write_export(root)
    rename(root, "Car", *first, "tag-a-b")
    rename(root, "tree-top", *second, "tag-a-b")
    said = r"has regions of 'a-b' and of '(a/)?b' with one mask, .*-tag-a-b-0.png"
    with pytest.raises(UserError, match=said):
        load(root, split=0.5)


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize(
    ("tool", "value", "more"),
    [
        ("polygonlabels", {"points": CORNERS, "polygonlabels": ["Car"]}, SIZED),
        ("polygon", {"points": CORNERS, "closed": True}, {}),
        ("rectanglelabels", {**BOX, "rectanglelabels": ["dog"]}, SIZED),
        ("rectangle", BOX, {}),
        ("labels", {**BOX, "labels": ["dog"]}, {}),
        ("textarea", {**BOX, "text": ["a sign"]}, {}),  # whose rectangle is missing
        ("ellipselabels", {"x": 1, "y": 1, "radiusX": 2, "radiusY": 2}, {}),
        ("keypointlabels", {"x": 1, "y": 1, "width": 0.1}, {}),
        ("vectorlabels", {"vertices": [{"x": 1, "y": 1}], "closed": False}, {}),
        ("bitmask", {"imageDataURL": "data:image/png;base64,AA"}, {}),
        ("something new", {"corners": CORNERS}, SIZED),
        ("brushlabels", {"format": "rle", "brushlabels": ["Car"]}, {}),
        ("brush", {"format": "rle", "rle": None}, {}),
        (None, {"brushlabels": ["Car"]}, {}),
        (None, {"points": CORNERS}, {}),
    ],
)
def test_regions_of_other_tools_are_refused(
    tmp_path: Path, tool: str | None, value: object, more: dict[str, Any], alone: bool
) -> None:
    root = tmp_path / "export"
    write_export(root)
    result = {"id": "p", "from_name": "shape", "type": tool, "value": value, **more}
    if alone:
        tasks = read_tasks(root)
        tasks[1]["annotations"][0]["result"] = [result]
        write_tasks(root, tasks)
    else:
        add(root, result)
    said = (
        rf"json: annotation 11 of task 1 has a region by '{tool or 'another tool'}' of "
        "'shape', .*would be background. Draw it with the brush, .* as COCO"
    )
    with pytest.raises(UserError, match=said):
        load(root, split=0.5)
    assert not list((tmp_path / "prepared" / "converted").iterdir())


@pytest.mark.parametrize(
    ("tag", "label"), [("tag", 5000 * "x"), (5000 * "x", "dog"), (5000 * "x", "")]
)
def test_names_of_any_length_are_cut(tmp_path: Path, tag: str, label: str) -> None:
    root = tmp_path / "export"
    write_export(root)
    value = {"rle": [1], "brushlabels": [label]} if label else BOX
    add(root, {"from_name": tag, "type": "brushlabels", "value": value})
    with pytest.raises(UserError, match="xxx….* JSON and masks anew") as raised:
        load(root, split=0.5)
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("choices", {"choices": ["sharp"]}),
        ("textarea", {"text": ["two\nlines"]}),
        ("rating", {"rating": 4}),
        ("number", {"number": 4}),
        ("taxonomy", {"taxonomy": [["a", "b"]]}),
        ("datetime", {"datetime": "2024-01-10"}),
        ("labels", {"start": 0, "end": 3, "text": "cat", "labels": ["noun"]}),
        ("brush", {}),
    ],
)
def test_remarks_are_no_regions(
    tmp_path: Path, kind: str, value: dict[str, Any], first: bool
) -> None:
    root = tmp_path / "export"
    drawn = write_export(root)
    own = region("Car")["value"] | value  # said of the region "x", whose pixels it has
    del own["brushlabels"]
    remark = {"id": "x", "type": kind, "from_name": "remark", "value": own, **SIZED}
    whole = {"id": "w", "type": kind, "from_name": "remark", "value": value}
    if kind == "labels":
        add(root, whole, first=first)
    elif kind == "brush":
        add(root, remark, first=first)
    else:
        add(root, remark, whole, whole | SIZED, first=first)
    assert_same(together(load(root, split=0.5)), drawn)


@pytest.mark.parametrize("more", [{"id": "other"}, {"rle": [0, 0, 9]}])
def test_regions_without_a_label_are_refused(
    tmp_path: Path, more: dict[str, Any]
) -> None:
    root = tmp_path / "export"
    write_export(root)
    bare = {"id": "x", "type": "brush", "value": {"format": "rle", "rle": [0, 0, 1, 2]}}
    if "rle" in more:
        bare["value"] = more
    add(root, bare | {key: it for key, it in more.items() if key == "id"})
    with pytest.raises(UserError, match="of task 1 has a region with 0 labels. Give"):
        load(root, split=0.5)


@pytest.mark.parametrize("result", ["{}", '{"value":{}}', '{"value":{"labels":[]}}'])
def test_small_results_take_no_more_than_thirty_times_their_size(
    tmp_path: Path, result: str
) -> None:
    table = tmp_path / "table.json"
    table.write_text(f"[{','.join([result] * 30_000)}]")
    tracemalloc.start()
    try:
        read_json(table, list[BrushResult], "results", "")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 30 * table.stat().st_size

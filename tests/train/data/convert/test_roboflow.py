"""Roboflow's semantic masks: parts, values, and what does not match."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data.images import read_mask

from ...inspection.folders import inspect
from ..exports import (
    assert_same,
    labels,
    load,
    records,
    together,
    write_image,
    write_mask,
)

TABLE = "Pixel Value, Class\n0, background\n1, cat\n2, dog"
PARTS = {"train": range(6), "valid": range(6, 9), "test": range(9, 10)}


def name_of(index: int) -> str:
    return f"photo_{index}_jpg.rf.{index:08x}"


def write_export(
    root: Path, table: str = TABLE, values: tuple[int, ...] = (0, 1, 2)
) -> dict[str, np.ndarray]:
    """Writes an export and returns the masks by their names in VOC layout."""
    drawn = {}
    stored = np.full(256, 255, np.uint8)
    stored[:3] = values
    for part, indices in PARTS.items():
        for index in indices:
            mask = labels()[f"photo {index}"]
            write_image(root / part / f"{name_of(index)}.jpg", index)
            path = root / part / f"{name_of(index)}_mask.png"
            write_mask(path, stored[mask], palette=False)
            drawn[f"{part}/{name_of(index)}"] = mask
        (root / part / "_classes.csv").write_text(table)
    return drawn


def test_parts_are_splits(tmp_path: Path) -> None:
    root = tmp_path / "export"
    drawn = write_export(root)
    found = load(root)
    assert found.name == str(root)
    assert found.class_names == ("background", "cat", "dog")
    assert list(records(found)["train"]) == [f"train/{name_of(i)}" for i in range(6)]
    expected = {name: mask for name, mask in drawn.items() if "test" not in name}
    assert_same(together(found), expected)
    assert list(records(load(root, val_split="test"))["val"]) == [f"test/{name_of(9)}"]


def test_masks_are_linked_where_values_are_indices(tmp_path: Path) -> None:
    root = tmp_path / "export"
    write_export(root)
    load(root)
    masks = list((tmp_path / "prepared" / "converted").rglob("*SegmentationClass/*/*"))
    assert len(masks) == 10 and all(path.is_symlink() for path in masks)


@pytest.mark.parametrize(
    ("table", "values", "names"),
    [
        ("Pixel Value, Class\n3, dog\n0, none\n1, cat\n", (0, 1, 3), "none cat dog"),
        ("Pixel Value, Class\n1, cat\n2, dog\n", (0, 1, 2), "background cat dog"),
        ("\ufeffPixel Value,Class\r\n0,none\r\n7,cat\r\n9,dog\r\n", (0, 7, 9), ""),
        ("\n \nPixel Value, Class\n\n0, none\n1, cat\n2, dog\n", (0, 1, 2), ""),
    ],
)
def test_values_become_indices(
    tmp_path: Path, table: str, values: tuple[int, ...], names: str
) -> None:
    root = tmp_path / "export"
    drawn = write_export(root, table, values)
    found = load(root)
    assert found.class_names == tuple((names or "none cat dog").split())
    expected = {name: mask for name, mask in drawn.items() if "test" not in name}
    assert_same(together(found), expected)


def test_parts_of_any_name_of_a_split(tmp_path: Path) -> None:
    root = tmp_path / "export"
    drawn = write_export(root)
    shutil.rmtree(root / "test")
    (root / "valid").rename(root / "val")
    expected = {name.replace("valid", "val"): it for name, it in drawn.items()}
    parts = {name: it for name, it in expected.items() if "test" not in name}
    assert_same(together(load(root)), parts)
    (root / "train").rename(root / "Train")
    with pytest.raises(UserError, match="Train is read only where it is called train"):
        load(root, split=0.4)


@pytest.mark.parametrize("folder", [".", "annotations"])
def test_any_json_may_be_beside(tmp_path: Path, folder: str) -> None:
    root = tmp_path / "export"
    write_export(root)
    (root / folder).mkdir(exist_ok=True)
    (root / folder / "project.json").write_text('{"version": 1}')
    assert load(root).class_names == ("background", "cat", "dog")


def test_one_part_is_divided(tmp_path: Path) -> None:
    root = tmp_path / "export"
    drawn = write_export(root)
    for part in ("valid", "test"):
        (root / part / "_classes.csv").unlink()
    with pytest.raises(UserError, match=r"valid has masks, and _classes\.csv is miss"):
        load(root)
    for part in ("valid", "test"):
        shutil.rmtree(root / part)
    with pytest.raises(
        UserError, match="has 6 images and no lists .*: add --split 0.2"
    ):
        load(root)
    expected = {name: mask for name, mask in drawn.items() if "train" in name}
    assert_same(together(load(root, split=0.5)), expected)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("Pixel Value, Class\n0, none\nx, cat\n", "line 3: expected VALUE, .*'x, cat'"),
        ("Pixel Value, Class\n0, none\n1\n", "line 3: expected VALUE, CLASS"),
        ("Pixel Value, Class\n0, none\n1_0, cat\n", "line 3: .*'1_0, cat'"),
        ("Pixel Value, Class\n0, none\n٢, cat\n", "line 3: .*'٢, cat'"),
        ("Pixel Value, Class\n0, none\n+1, cat\n", "line 3: .*'.1, cat'"),
        ("Pixel Value, Class\n0, none\n0, cat\n", "line 3: .*another value"),
        ("Pixel Value, Class\n0, none\n1, cat, big\n", "line 3: .*'1, cat, big'"),
        ("Pixel Value, Class\n0, __ignore__\n1, cat\n", "is labelme's name for no cl"),
        (
            "Pixel Value, Class\n0, none\n255, cat\n",
            "line 3: .*another value of 0 to 254",
        ),
        ("Pixel Value, Class\n0, none\n1, none\n", "once; repeated: none"),
        (
            "Pixel Value, Class\n1, background\n2, cat\n",
            r"calls the value 1 'background', and gives 0 no name.*`0, NAME` to every",
        ),
        ("Pixel Value, Class\n0, none\n", "export must name 2 to 255 .*, it has 1"),
        (f"Pixel Value, Class\n0, none\n1, {'x' * 140_000}\n", "line 3: .*VALUE"),
        (f"Pixel Value, Class\n0, none\n{'9' * 5000}, cat\n", "line 3: .*VALUE"),
    ],
)
def test_bad_tables_are_named(tmp_path: Path, table: str, said: str) -> None:
    root = tmp_path / "export"
    write_export(root, table)
    with pytest.raises(UserError, match=said):
        load(root)


def test_an_image_may_be_called_as_a_mask(tmp_path: Path) -> None:
    """Masks are PNG."""
    root = tmp_path / "export"
    drawn = write_export(root)
    for end in (".jpg", "_mask.png"):
        path = root / "train" / f"{name_of(0)}{end}"
        path.rename(path.with_name(f"leaf_mask{end}"))
    expected = {name: mask for name, mask in drawn.items() if "test" not in name}
    expected["train/leaf_mask"] = expected.pop(f"train/{name_of(0)}")
    assert_same(together(load(root)), expected)


def test_links_of_images_and_masks_to_nothing(tmp_path: Path) -> None:
    """Both together would be left out."""
    root = tmp_path / "export"
    write_export(root)
    for end in ("_mask.png", ".jpg"):
        link = root / "train" / f"more{end}"
        link.symlink_to("/nowhere")
    with pytest.raises(UserError, match=rf"^{root}/train/more\S+ is a link to what is"):
        load(root)


def test_tables_must_agree(tmp_path: Path) -> None:
    root = tmp_path / "export"
    write_export(root)
    (root / "valid" / "_classes.csv").write_text(TABLE.replace("cat", "cow"))
    with pytest.raises(
        UserError, match=r"valid._classes\.csv and .*train._classes.*diff"
    ):
        load(root)


def test_files_that_do_not_match_are_counted(tmp_path: Path) -> None:
    root = tmp_path / "export"
    write_export(root)
    (root / "train" / f"{name_of(0)}_mask.png").unlink()
    (root / "train" / f"{name_of(1)}.jpg").unlink()
    said = "train is not whole: 1 of 5 images have no mask: photo_0.*; 1 masks have no"
    with pytest.raises(UserError, match=said):
        load(root)


@pytest.mark.parametrize(
    ("table", "values", "value"),
    [
        ("Pixel Value, Class\n0, none\n7, cat\n", (0, 7, 9), 9),
        (TABLE, (0, 1, 9), 9),
        ("Pixel Value, Class\n0, none\n1, cat\n", (0, 1, 2), 2),
    ],
)
def test_value_without_class_is_named(
    tmp_path: Path, table: str, values: tuple[int, ...], value: int
) -> None:
    root = tmp_path / "export"
    write_export(root, table, values)
    said = (
        rf"^{root}/train/\S+_mask\.png has the value {value}, which {root}/train/"
        rf"_classes\.csv gives no class\. Add the line `{value}, NAME` to every"
    )
    with pytest.raises(UserError, match=said):
        load(root)
    assert not list((tmp_path / "prepared" / "converted").iterdir())


def test_faults_of_linked_masks_name_the_users(tmp_path: Path) -> None:
    root = tmp_path / "export"
    write_export(root)
    mask = root / "train" / f"{name_of(0)}_mask.png"
    write_mask(mask, np.zeros((3, 4), np.uint8))
    with pytest.raises(UserError, match=f"jpg is 8×6 but its mask {mask} is 4×3") as it:
        load(root)
    assert "prepared" not in str(it.value)
    with pytest.raises(UserError, match="it has no split 'tset', but test, train, val"):
        load(root, val_split="tset")


def test_changed_mask_is_noticed(tmp_path: Path) -> None:
    root = tmp_path / "export"
    drawn = write_export(
        root, "Pixel Value, Class\n0, none\n1, cat\n3, dog\n", (0, 1, 3)
    )
    load(root)
    name = f"train/{name_of(2)}"
    write_mask(root / f"{name}_mask.png", np.zeros_like(drawn[name]))
    assert not together(load(root))[name].any()


def test_tables_of_whole_images_are_of_another_export(tmp_path: Path) -> None:
    root = tmp_path / "export"
    write_export(root, "filename, cat, dog\nphoto.jpg, 1, 0\n")
    with pytest.raises(UserError, match="has no JPEGImages/"):
        load(root)


@pytest.mark.parametrize("linked", [True, False])
def test_palettes_of_the_export_are_compared(tmp_path: Path, linked: bool) -> None:
    """Those of masks that are linked to, and of those that are written anew."""
    root = tmp_path / "export"
    last = 2 if linked else 3
    write_export(root, TABLE.replace("2, dog", f"{last}, dog"), (0, 1, last))
    for path in root.glob("*/*_mask.png"):
        other = path.parent.name == "valid"
        image = Image.fromarray(read_mask(path))
        colors = np.array([(77, 77, value) for value in range(256)], np.uint8)
        colors[[last, 1] if other else [1, last]] = (255, 0, 0), (0, 255, 0)
        image.putpalette(colors.tobytes())
        image.save(path)
    said = rf"valid/.*_mask\.png shows 0,255,0 where the value is 1, but {root}/train/"
    with pytest.raises(UserError, match=f"{said}.* where it is {last}: .*export anew"):
        load(root)
    for path in root.glob("valid/*_mask.png"):  # whose values count
        Image.fromarray(read_mask(path)).save(path)
    found = load(root)
    colors_of = {one.color: one.value for one in found.shown}
    known = {"77,77,0": 0, "255,0,0": 1, "0,255,0": 2, "77,77,255": 255}
    assert colors_of == (known if linked else {})


@pytest.mark.parametrize("linked", [True, False])
def test_white_in_masks_of_the_export_is_told(
    tmp_path: Path, linked: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "export"
    last = 2 if linked else 3
    write_export(root, TABLE.replace("2, dog", f"{last}, dog"), (0, 1, last))
    for path in sorted(root.glob("train/*_mask.png"))[:3]:
        mask = np.where(read_mask(path) == 1, 255, 0).astype(np.uint8)
        Image.fromarray(mask).save(path)
    load(root)
    said = f"3 of {6 if linked else 10} masks hold only 0 and 255, while others have cl"
    told = capsys.readouterr().err
    assert said in told and f"They are: {root}/train/{name_of(0)}_mask.png, " in told
    of_all = said.replace("of 6", "of 9")
    warnings = (warning.text for warning in inspect(root).warnings)
    assert any(it.startswith(of_all) for it in warnings) == linked

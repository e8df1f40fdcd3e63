"""Inspection where nothing names the classes, lists cannot be read, or white is 255."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.data.dataset import load_dataset
from train.inspection.page import write_inspection
from train.inspection.printed import text_of_summary

from ..programs import call
from .folders import (
    black_and_white,
    image,
    inspect,
    jpeg_mask,
    mask,
    options_of,
    rewrite,
)

Change = Callable[[np.ndarray], np.ndarray]


def from_one(values: np.ndarray) -> np.ndarray:
    return np.where(values == 255, 255, values + 1).astype(np.uint8)


def other_void(values: np.ndarray) -> np.ndarray:
    return np.where(values == 255, 200, values).astype(np.uint8)


def almost_white(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, 254, 0).astype(np.uint8)


@pytest.mark.parametrize(
    ("change", "values", "cause"),
    [
        (from_one, ["1", "2", "3"], "counted from 1"),
        (other_void, ["0", "1", "2", "200"], "written as 200"),
        (almost_white, ["0", "254"], "254 is probably class 1"),
    ],
)
@pytest.mark.parametrize("listed", [True, False])
def test_values_have_a_table_and_a_cause_without_names(
    folder: Path,
    tmp_path: Path,
    change: Change,
    values: list[str],
    cause: str,
    listed: bool,
) -> None:
    (folder / "class_names.txt").unlink()
    if not listed:
        shutil.rmtree(folder / "ImageSets")
    rewrite(folder, change)
    summary = inspect(folder, **({} if listed else {"split": 0.34}))
    assert [
        fault.text.count("without a list of class") for fault in summary.faults
    ] == [1]
    assert [len(of) for of in summary.facts.values()] == [4, 2]
    assert summary.values and cause in summary.values.cause.what
    assert [line.what for line in summary.values.lines] == values
    assert "Values, classes unknown" in text_of_summary(summary)
    page = write_inspection(summary, tmp_path / "out").read_text()
    assert cause in page and page.count("<img") >= 6


def test_named_classes_name_what_white_is(folder: Path) -> None:
    rewrite(folder, almost_white)
    found = inspect(folder).values
    assert found and "254 is probably red" in found.cause.what


def test_values_that_can_be_counted_have_no_table(folder: Path) -> None:
    (folder / "class_names.txt").unlink()
    jpeg_mask(folder)
    summary = inspect(folder)
    assert len(summary.faults) == 1 and len(summary.faults[0].places) == 1
    assert len(summary.facts["train"]) == 4 and summary.values is None


def test_black_and_white_masks_are_one_fault_without_names(folder: Path) -> None:
    (folder / "class_names.txt").unlink()
    black_and_white(folder)
    (fault,) = inspect(folder).faults
    assert "0 and 255 alone" in fault.text


@pytest.mark.parametrize("broken", ["empty", "paths"])
def test_a_list_that_cannot_be_read_makes_no_other_both(
    folder: Path, broken: str
) -> None:
    val = folder / "ImageSets" / "Segmentation" / "val.txt"
    val.write_text("" if broken == "empty" else "/home/joe/x.jpg\n")
    summary = inspect(folder)
    assert list(summary.facts) == ["train"] and len(summary.faults) == 1
    assert not [w for w in summary.warnings if "One list is both" in w.text]


def test_copies_are_to_be_taken_out_of_lists_or_folders(folder: Path) -> None:
    shutil.rmtree(folder / "ImageSets")
    shutil.copy(image(folder, "a"), image(folder, "d"))
    texts = [
        w.text for w in inspect(folder, split=0.34).warnings if "pixel by" in w.text
    ]
    assert len(texts) == 1 and "without lists files, out" in texts[0]


def white(folder: Path, names: str) -> None:
    """Makes some masks 0 and 255, and the others 0 and 1."""
    for path in (folder / "SegmentationClass").iterdir():
        values = np.array(Image.open(path)) % 255 > 0
        level = 255 if path.stem in names else 1
        Image.fromarray((values * level).astype(np.uint8)).save(path)
    (folder / "class_names.txt").write_text("ground\nred\n")


def test_white_beside_classes_is_warned_of(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    white(folder, "bdf")
    (found,) = (w for w in inspect(folder).warnings if "hold only 0 and 255" in w.text)
    assert found.text.startswith("3 of 6 masks hold only 0 and 255, while others have")
    assert [(p.split, p.number) for p in found.places] == [
        ("train", 1),
        ("train", 3),
        ("val", 1),
    ]
    load_dataset(options_of(folder))
    said = capsys.readouterr().err
    assert "warning: 2 of 4 masks hold only 0 and 255" in said
    assert f"warning: {found.text} They are: " in said
    assert str(mask(folder, "f")) in said


def test_values_of_two_colors_are_warned_of(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In training's own words; and so is what is said of lists and layouts."""
    for number, path in enumerate(sorted((folder / "SegmentationClass").iterdir())):
        values = Image.fromarray(np.minimum(np.array(Image.open(path)) % 255, 1))
        values.putpalette([0, 0, 0, *((200, 0, 0), (0, 200, 0))[number % 2]])
        values.save(path)
    train = folder / "ImageSets" / "Segmentation" / "train.txt"
    train.write_text("a\nb\nb\n")
    summary = inspect(folder)
    load_dataset(options_of(folder))
    said = capsys.readouterr().err
    (found,) = (w for w in summary.warnings if "anew" in w.text)
    assert f"warning: {found.text}\n" in said
    assert [(p.split, p.number) for p in found.places] == [("train", 1)]
    assert found.text in text_of_summary(summary)
    (note,) = summary.contents.notes
    assert f"{note}\n" in said and "names 1 images again, which count once: b" in note
    assert note in write_inspection(summary, tmp_path / "out").read_text()


def test_few_masks_with_void_alone_are_sound(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    white(folder, "b")
    lists = folder / "ImageSets" / "Segmentation"
    names = ["b"]
    for number in range(12):
        for kind, end in (("JPEGImages", "jpg"), ("SegmentationClass", "png")):
            shutil.copy(folder / kind / f"a.{end}", folder / kind / f"{number}.{end}")
        names.append(str(number))
    (lists / "train.txt").write_text("\n".join(names))
    assert not [w for w in inspect(folder).warnings if "0 and 255" in w.text]
    load_dataset(options_of(folder))
    assert "0 and 255" not in capsys.readouterr().err


def test_the_program_shows_causes_without_names(folder: Path, tmp_path: Path) -> None:
    (folder / "class_names.txt").unlink()
    rewrite(folder, from_one)
    ended = call("inspect_data", folder, "--out", tmp_path / "out")
    assert ended.returncode == 1, ended.stderr
    assert "Likely: indices off by one" in ended.stdout

"""Faults: what ends a training, and nothing else, is named before it."""

import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from PIL import Image

from train.common.errors import UserError
from train.data.dataset import load_dataset
from train.inspection import contents, facts
from train.inspection.printed import text_of_summary

from .folders import (
    BREAKERS,
    empty_mask,
    image,
    inspect,
    mask,
    no_list,
    options_of,
    other_size,
    stray_value,
    truncated,
)


@pytest.mark.parametrize("damage", BREAKERS)
def test_what_ends_a_training_is_a_fault_word_for_word(
    folder: Path, damage: Callable[[Path], None]
) -> None:
    assert not inspect(folder).faults
    damage(folder)
    with pytest.raises(UserError) as refusal:
        load_dataset(options_of(folder))
    summary = inspect(folder)
    assert str(refusal.value) in [fault.text for fault in summary.faults]
    assert str(refusal.value) in text_of_summary(summary)
    assert not any(line.weight for line in summary.classes)


def test_all_faults_are_found_and_counted_by_kind(folder: Path) -> None:
    for damage in (truncated, empty_mask, other_size, stray_value):
        damage(folder)
    Image.new("L", (7, 8)).save(mask(folder, "f"))
    image(folder, "e").write_bytes(b"")  # beside its mask, which is empty too
    summary = inspect(folder)
    found = [
        ("".join(summary.name(place) for place in fault.places), fault.text)
        for fault in summary.faults
    ]
    assert [names for names, _ in found] == ["b", "cf", "d", "e", "e"]
    expected = ["b.jpg cannot", "10×20", "got 9 at (5, 7)", "e.jpg", "e.png"]
    for (_, text), words in zip(found, expected, strict=True):
        assert words in text


def test_the_rest_is_read_where_a_list_is_missing(folder: Path) -> None:
    no_list(folder)
    truncated(folder)
    summary = inspect(folder)
    assert list(summary.facts) == ["train"] and len(summary.facts["train"]) == 4
    texts = [fault.text for fault in summary.faults]
    assert len(texts) == 2 and "val.txt is missing" in texts[0]
    assert "b.jpg cannot be decoded" in texts[1]


def test_all_missing_files_are_named(folder: Path) -> None:
    for name in "abe":
        image(folder, name).unlink()
    mask(folder, "f").unlink()
    texts = [fault.text for fault in inspect(folder).faults]
    assert len(texts) == 2  # kinds
    assert all(f"/{name}.jpg is missing" in texts[0] for name in "abe")
    assert "f.png is missing" in texts[1]


def test_defect_with_one_image_ends_no_inspection(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = facts.read_pair

    def broken(image: Path, *arguments: Any) -> Any:
        if image.name == "b.jpg":
            raise TypeError("broken")
        return read(image, *arguments)

    monkeypatch.setattr(facts, "read_pair", broken)
    summary = inspect(folder)
    (fault,) = summary.faults
    assert "b.jpg or its mask: TypeError: broken. That is a defect" in fault.text
    assert [len(of) for of in summary.facts.values()] == [4, 2]


def test_images_of_both_splits_are_a_fault_unless_meant(folder: Path) -> None:
    listed = folder / "ImageSets" / "Segmentation" / "val.txt"
    listed.write_text("e\na\n")
    texts = [fault.text for fault in inspect(folder).faults]
    assert len(texts) == 1 and texts[0].startswith("1 of the images evaluated")
    assert not inspect(folder, shared_images=True).faults


@pytest.mark.parametrize("holdout", [0.1, 0.9])
def test_holdout_that_leaves_a_side_empty_is_a_fault(
    folder: Path, holdout: float
) -> None:
    listed = folder / "ImageSets" / "Segmentation" / "train.txt"
    listed.write_text("a\n")
    options = options_of(folder, holdout=holdout)
    with pytest.raises(UserError, match="leaves one side without any of the 1") as said:
        load_dataset(options)
    summary = inspect(folder, holdout=holdout)
    assert [fault.text for fault in summary.faults] == [str(said.value)]
    assert {split: len(of) for split, of in summary.facts.items()} == {"train": 1}
    assert str(said.value) in text_of_summary(summary)


def test_holdout_of_what_is_left_is_no_fault(folder: Path) -> None:
    for name in "bcd":
        image(folder, name).unlink()
    texts = [fault.text for fault in inspect(folder, holdout=0.3).faults]
    assert len(texts) == 1 and "b.jpg is missing" in texts[0]


def test_words_of_any_length_take_no_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(options: object) -> NoReturn:
        raise UserError(f"{folder} is called {10**6 * 'x'}")

    monkeypatch.setattr(contents, "find_dataset", refuse)
    start = time.process_time()
    texts = [fault.text for fault in inspect(folder).faults]
    assert time.process_time() - start < 3
    assert 10_000 < max(map(len, texts)) < 21_000


def test_what_was_read_for_a_refusal_is_let_go(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read once more, by other classes, and both would take memory at once."""
    tables: list[weakref.ref[set[int]]] = []

    def refuse(options: object) -> NoReturn:
        assert not any(table() for table in tables)
        table = {1}
        tables.append(weakref.ref(table))
        raise UserError("unsound")

    monkeypatch.setattr(contents, "find_dataset", refuse)
    assert "unsound" in [fault.text for fault in inspect(folder).faults]
    assert len(tables) == 2

"""What a folder seems to have and has not is refused: nothing else is read for it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from train.common.errors import UserError
from train.data.dataset import DataOptions, find_dataset
from train.data.voc_files import LISTS

from .exports import labels, load, together, write_pairs

NAMES = sorted(labels())


def write_lists(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, names in {"train": NAMES[:6], "val": NAMES[6:]}.items():
        (folder / f"{name}.txt").write_text("\n".join(names))


AUG = "SegmentationClassAug"


@pytest.mark.parametrize(
    "name",
    ["labelmap.txt", "class_names.txt", AUG, "ImageSets", "ImageSets/Segmentation"]
    + [f"{AUG}/photo 3.png", f"{AUG}/photo 3.PNG", f"{AUG}/inner", "images", "valid"],
)
def test_links_to_nothing(tmp_path: Path, name: str) -> None:
    root = write_pairs(tmp_path / "voc", "JPEGImages", "SegmentationClass")
    path = root / name
    if name.startswith(f"{AUG}/"):
        shutil.copytree(root / "SegmentationClass", root / AUG)
        (root / AUG / "photo 3.png").unlink()
    if name == f"{AUG}/inner":
        for folder, end in (("JPEGImages", ".jpg"), ("SegmentationClass", ".png")):
            (root / folder / "inner").mkdir()
            first = next((root / folder).glob(f"*{end}"))
            shutil.copy(first, root / folder / "inner" / f"one{end}")
    path.parent.mkdir(exist_ok=True)
    path.symlink_to("../lists/gone")
    said = rf"{path} is a link to what is not there \(../lists/gone\)"
    with pytest.raises(UserError, match=said):
        load(root, split=0.3)


@pytest.mark.parametrize("listed", [True, False])
def test_an_image_of_another_ending_that_is_a_link_to_nothing(
    tmp_path: Path, listed: bool
) -> None:
    root = write_pairs(tmp_path / "voc", "JPEGImages", "SegmentationClass")
    if listed:
        write_lists(root)
    path = next((root / "JPEGImages").glob("*.jpg")).with_suffix(".png")
    path.symlink_to("gone")
    with pytest.raises(UserError, match=rf"{path} is a link to what is not there"):
        load(root, split=0 if listed else 0.3)


@pytest.mark.parametrize("name", ["train/masks", "train/images", "images/val"])
def test_links_to_nothing_in_folders_of_splits(tmp_path: Path, name: str) -> None:
    root = tmp_path / "pairs"
    if name == "images/val":
        for part in ("train", "valid"):
            pairs = write_pairs(tmp_path / part, "images", "masks")
            for folder in ("images", "masks"):
                (root / folder).mkdir(parents=True, exist_ok=True)
                (pairs / folder).rename(root / folder / part)
    else:
        for part in ("train", "val"):
            write_pairs(root / part, "imgs", "labels")
    options = {"shared_images": True}
    load(root, **options)
    (root / name).symlink_to("gone")
    with pytest.raises(UserError, match=f"{root / name} is a link to what is not ther"):
        load(root, **options)


def test_links_to_nothing_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_pairs(tmp_path / "voc", "JPEGImages", "SegmentationClass")
    (root / "labelmap.txt").symlink_to("gone")
    monkeypatch.chdir(root)
    prepared = str(tmp_path / "prepared")
    with pytest.raises(
        UserError, match=r"labelmap\.txt is a link to what is not there"
    ):
        find_dataset(DataOptions(folder=".", split=0.3, prepared=prepared))


@pytest.mark.parametrize("place", [".", LISTS])
@pytest.mark.parametrize("name", ["val", "validation"])
def test_lists_that_are_links_to_nothing(
    tmp_path: Path, place: str | Path, name: str
) -> None:
    """The same split may have a list in the other place, or by another name."""
    root = write_pairs(tmp_path / "pairs", "images", "masks")
    write_lists(root)
    path = root / place / f"{name}.txt"
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to("gone")
    with pytest.raises(UserError, match=rf"{path} is a link to what is not there"):
        load(root)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LabelMap.txt", "labelmap.txt"),
        ("CLASS_NAMES.TXT", "class_names.txt"),
        ("Train.txt", "train.txt"),
        ("Validation.txt", "validation.txt"),
        ("imagesets/Segmentation/train.txt", "ImageSets"),
        ("ImageSets/segmentation/train.txt", "Segmentation"),
        ("SegmentationClassAUG/photo 3.png", "SegmentationClassAug"),
    ],
)
def test_names_in_other_letters(tmp_path: Path, name: str, meant: str) -> None:
    root = write_pairs(tmp_path / "voc", "JPEGImages", "SegmentationClass")
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with pytest.raises(UserError, match=f" is read only where it is called {meant}, "):
        load(root, split=0.3)
    (root / Path(name).parts[0]).rename(tmp_path / "elsewhere")
    load(root, split=0.3)


def test_masks_in_other_letters(tmp_path: Path) -> None:
    """Those of the next folder, or of another ending, would be read for them."""
    root = write_pairs(tmp_path / "voc", "JPEGImages", "SegmentationClass")
    shutil.copytree(root / "SegmentationClass", root / AUG)
    (root / AUG / "photo 3.png").rename(root / AUG / "Photo 3.png")
    said = r"Aug/Photo 3\.png is read only where it is called photo 3\.png, "
    with pytest.raises(UserError, match=said):
        load(root, split=0.3)
    shutil.copy(root / "JPEGImages" / "photo 4.jpg", root / "JPEGImages/Photo 3.jpg")
    assert len(together(load(root, split=0.3))) == len(NAMES) + 1  # and its own now


def test_masks_of_endings_in_other_letters(tmp_path: Path) -> None:
    root = write_pairs(tmp_path / "pairs", "images", "masks")
    write_lists(root)
    wrong = root / "masks" / "photo 3_Mask.png"
    shutil.copy(root / "masks" / "photo 3.png", wrong)
    said = r"photo 3_Mask\.png is read only where it is called photo 3_mask\.png, "
    with pytest.raises(UserError, match=said):
        load(root)
    wrong.rename(wrong.with_name("Photo 3_mask.png"))
    with pytest.raises(UserError, match=said.replace("photo 3_M", "Photo 3_m", 1)):
        load(root)
    shutil.copy(root / "images" / "photo 4.jpg", root / "images" / "Photo 3.jpg")
    assert len(together(load(root))) == len(NAMES)


def test_folders_in_other_letters(tmp_path: Path) -> None:
    root = write_pairs(tmp_path / "voc", "JPEGImages", "SegmentationClass")
    for folder, name in (
        ("JPEGImages", "day/1.jpg"),
        ("SegmentationClass", "day/1.png"),
    ):
        first = next((root / folder).glob(f"*{name[-4:]}"))
        (root / folder / "day").mkdir()
        shutil.copy(first, root / folder / name)
    shutil.copytree(root / "SegmentationClass", root / AUG)
    (root / AUG / "day").rename(root / AUG / "Day")
    with pytest.raises(
        UserError, match=r"Aug/Day is read only where it is called day, "
    ):
        load(root, split=0.3)


@pytest.mark.parametrize("place", [".", LISTS])
def test_lists_of_splits_in_capital_letters(tmp_path: Path, place: str | Path) -> None:
    """As CVAT calls its subsets."""
    root = write_pairs(tmp_path / "voc", "JPEGImages", "SegmentationClass")
    write_lists(root / place)
    (root / place / "train.txt").rename(root / place / "Train.txt")
    (root / place / "val.txt").rename(root / place / "Validation.txt")
    (root / place / "Test.txt").write_text(NAMES[-1])
    if place == LISTS:
        with pytest.raises(UserError, match=r"train\.txt is missing.*Train"):
            load(root)
    for val, count in (("Validation", len(NAMES) - 6), ("Test", 1)):
        found = load(root, train_split="Train", val_split=val)
        assert (len(found.train), len(found.val)) == (6, count)


def test_hidden_lists_are_none(tmp_path: Path) -> None:
    """Some systems leave their own beside those of the user."""
    root = write_pairs(tmp_path / "voc", "JPEGImages", "SegmentationClass")
    (root / LISTS).mkdir(parents=True)
    (root / LISTS / "._default.txt").write_bytes(b"\0\5")
    load(root, split=0.3)
    (root / LISTS / "default.txt").write_text("\n".join(NAMES))
    load(root, split=0.3)

"""The work that a folder's files ask for: in proportion to them, not to a product."""

from __future__ import annotations

import filecmp
import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest

from train.common.errors import UserError
from train.data import named_files, voc_lists
from train.data.convert import coco_masks
from train.data.convert.coco_masks import Annotation, Runs, class_mask
from train.data.convert.tfds_files import _configs
from train.data.dataset import find_dataset
from train.data.inside import Inside
from train.data.layouts import brush_masks, what_is_left
from train.data.voc_files import Files
from train.data.voc_lists import read_list

from ..conftest import MakeConfig
from .exports import write_pairs


@pytest.mark.parametrize("listed", [True, False])
def test_a_folder_without_files_is_listed_once(
    folder: Path,
    make_config: MakeConfig,
    monkeypatch: pytest.MonkeyPatch,
    listed: bool,
) -> None:
    for number in range(20):
        (folder / "SegmentationClassAug" / str(number)).mkdir(parents=True)
    if not listed:
        shutil.rmtree(folder / "ImageSets")
    seen: list[Path] = []
    iterate = Path.iterdir

    def counted(path: Path) -> object:
        seen.append(path)
        return iterate(path)

    monkeypatch.setattr(Path, "iterdir", counted)
    find_dataset(make_config(split=0.0 if listed else 0.3).data)
    assert seen.count(folder / "SegmentationClassAug") == 1


def test_a_folder_under_many_names_is_listed_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And an image under many names is one that the list names again."""
    monkeypatch.setattr(voc_lists, "_USELESS", 8)
    for place, name in itertools.product(("JPEGImages", "SegmentationClass"), "xy"):
        (folder / place / name).symlink_to(".")
    image = next((folder / "JPEGImages").glob("*.*")).stem
    linked = ["/".join([*links, image]) for links in itertools.product("xy", repeat=3)]
    path = folder / "ImageSets" / "Segmentation" / "train.txt"
    path.write_text("\n".join([image, *linked]))
    seen: list[Path] = []
    by_letters = named_files._by_letters

    def counted(folder: Path) -> dict[str, list[str]]:
        seen.append(folder)
        return by_letters(folder)

    monkeypatch.setattr(named_files, "_by_letters", counted)
    monkeypatch.setattr(filecmp, "cmp", None)  # of masks with themselves
    assert [pair.name for pair in read_list(path, Files(folder))] == [image]
    assert seen == [folder / "JPEGImages", folder / "SegmentationClass"]
    path.write_text("\n".join([image, *linked, f"x/{image}"]))
    with pytest.raises(UserError, match="more than 8 lines that name no image, or one"):
        read_list(path, Files(folder))


def test_folders_that_are_not_there_are_not_kept(folder: Path) -> None:
    files = Files(folder)
    for number in range(100):
        assert files.image(f"{number}/a") is None
    assert len(files._names._listed) == 0


def test_a_file_is_compared_with_its_own_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / str(number) for number in range(3)]
    for path in folders:
        path.mkdir()
        (path / "a").touch()
    inside = Inside(tmp_path, folders, links=False)
    monkeypatch.setattr(Path, "is_relative_to", None)  # one by one
    for path in (*folders, tmp_path):
        assert inside.checked(path / "a") == path / "a"
    (folders[0] / "b").symlink_to("/etc/passwd")
    with pytest.raises(UserError, match="b leads out of"):
        inside.checked(folders[0] / "b")


SIZE = (20, 30)
WHOLE = Runs(SIZE, [0, 600])


def drawn(*segmentations: object) -> np.ndarray:
    annotations = [
        Annotation(1, 1, segmentation)  # type: ignore[arg-type]
        for segmentation in segmentations
    ]
    return class_mask(annotations, SIZE, {"1": 1}, Path("a.json"))


def test_what_annotations_of_an_image_cover_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(coco_masks, "_MOST_PAINTED", 300)
    monkeypatch.setattr(coco_masks, "_MOST_TIMES", 2)
    drawn(WHOLE, WHOLE)
    seen = itertools.count()
    draw = coco_masks._segmented

    def counted(*of: object) -> object:
        next(seen)
        return draw(*of)  # type: ignore[arg-type]

    monkeypatch.setattr(coco_masks, "_segmented", counted)
    said = r"^a\.json: the annotations of image 1 cover 1800 pixels .* at most 1500"
    with pytest.raises(UserError, match=said):
        drawn(*[WHOLE] * 1000)
    assert next(seen) < 5  # the others are not drawn


def test_as_much_as_the_busiest_images_have_is_drawn() -> None:
    """Two hundred objects, which cover all of it six times."""
    size = (480, 640)
    side = 96.0
    boxes = [
        Annotation(1, 1, [[x, y, x + side, y, x + side, y + side, x, y + side]])
        for x, y in itertools.product(range(0, 540, 36), range(0, 380, 29))
    ]
    mask = class_mask(boxes, size, {"1": 1}, Path("a.json"))
    assert len(boxes) > 200 and mask.mean() > 0.9


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A folder of images and masks, and another one beside with three links to it."""
    root = write_pairs(tmp_path / "data", "images", "masks")
    for name in ("images/0.jpg", "masks/0.png", "1.0.0/features.json", "task-1.png"):
        (root / "sub" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "sub" / name).touch()
    for name in ("a", "link", "z"):
        (root / name).symlink_to("sub")
    (root / "itself").symlink_to(".")
    return root


def test_what_is_left_aside_is_named_once(linked: Path) -> None:
    """Links to a folder that is looked into anyway lead to nothing more."""
    said = what_is_left(linked, "plain pairs")
    assert said.count("/images/ and ") == 1


def test_masks_of_label_studio_are_found_once(linked: Path) -> None:
    assert brush_masks(linked) == [linked / "sub" / "task-1.png"]


def test_configurations_are_found_once(linked: Path) -> None:
    """By the name of the folder itself, which is the one that a set may have."""
    (linked / "other" / "1.0").mkdir(parents=True)
    assert _configs(linked) == ["sub"]

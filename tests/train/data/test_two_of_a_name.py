"""Two files for one name: refused with both names, whichever a folder lists first."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data.convert.conversion import converted
from train.data.convert.voc_archives import find_voc_archives
from train.data.dataset import find_dataset
from train.data.layouts import VOC_ARCHIVE

from ..conftest import MakeConfig
from .convert import coco_files, test_label_studio, test_roboflow, voc_downloads
from .exports import assert_same, labels, load, together, write_image, write_pairs

NAMES = sorted(labels())


@pytest.fixture(params=["with lists", "without"])
def pairs(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    root = write_pairs(tmp_path / "pairs", "images", "masks")
    if request.param == "with lists":
        (root / "train.txt").write_text("\n".join(NAMES[:6]))
        (root / "val.txt").write_text("\n".join(NAMES[6:]))
    return root


def refused(root: Path, *names: str) -> None:
    """Asserts that loading a folder is refused with these names, in any order."""
    split = 0.0 if list(root.rglob("*.txt")) else 0.3
    with pytest.raises(UserError) as raised:
        load(root, split=split)
    assert all(str(root / name) in str(raised.value) for name in names), raised.value


@pytest.mark.parametrize("name", ["photo 3.png", "photo 3.JPG", "photo 3.jpeg"])
def test_two_images(pairs: Path, name: str) -> None:
    write_image(pairs / "images" / "a.png", 99)
    (pairs / "images" / "a.png").rename(pairs / "images" / name)
    refused(pairs, f"images/{name}", "images/photo 3.jpg")


@pytest.mark.parametrize("name", ["photo 3_mask.png", "photo 3.PNG", "photo 3_L.Png"])
def test_two_masks(pairs: Path, name: str) -> None:
    shutil.copy(pairs / "masks" / "photo 4.png", pairs / "masks" / name)
    refused(pairs, f"masks/{name}", "masks/photo 3.png")


def test_the_mask_of_another_image_is_not_one_of_two(pairs: Path) -> None:
    for folder, end in (("images", ".jpg"), ("masks", ".png")):
        path = pairs / folder / f"photo 4{end}"
        path.rename(pairs / folder / f"photo 3_mask{end}")
    drawn = labels()
    drawn["photo 3_mask"] = drawn.pop("photo 4")
    split = 0.0
    if (pairs / "train.txt").exists():
        (pairs / "train.txt").write_text(
            "\n".join([*NAMES[:4], "photo 3_mask", "photo 5"])
        )
    else:
        split = 0.3
    assert_same(together(load(pairs, split=split)), drawn)
    (pairs / "masks" / "photo 3.png").unlink()
    with pytest.raises(UserError, match="'photo 3' and 'photo 3_mask'. Name masks as"):
        load(pairs, split=split)


@pytest.mark.parametrize("place", ["JPEGImages", "SegmentationClass"])
@pytest.mark.parametrize("listed", [True, False])
def test_voc_layout(
    folder: Path, make_config: MakeConfig, place: str, listed: bool
) -> None:
    end = ".jpg" if place == "JPEGImages" else ".png"
    shutil.copy(folder / place / f"a{end}", folder / place / f"a{end.upper()}")
    if not listed:
        shutil.rmtree(folder / "ImageSets")
    said = rf"{place}/a\.\w+ and .*{place}/a\.\w+ (are both|have one)"
    with pytest.raises(UserError, match=said):
        find_dataset(make_config(split=0.0 if listed else 0.3).data)


def test_folders_of_masks_go_in_their_order(
    folder: Path, make_config: MakeConfig
) -> None:
    aug = folder / "SegmentationClassAug"
    aug.mkdir()
    shutil.copy(folder / "SegmentationClass" / "b.png", aug / "a.png")
    found = find_dataset(make_config().data).folder
    assert found and found.splits["train"][0].mask == aug / "a.png"
    assert found.splits["train"][1].mask == folder / "SegmentationClass" / "b.png"


@pytest.mark.parametrize("same", [True, False])
def test_two_lists_of_one_split(pairs: Path, same: bool) -> None:
    (pairs / "train.txt").write_text("\n".join(NAMES[:6]))
    for name, ends in (("val", 10), ("valid", 10 if same else 8)):
        (pairs / f"{name}.txt").write_text("\n".join(NAMES[6:ends]))
    if same:
        assert len(load(pairs).val) == 4
    else:
        refused(pairs, "val.txt", "valid.txt")
        assert len(load(pairs, val_split="valid").val) == 2  # by its name


@pytest.mark.parametrize("other", ["valid", "Val"])
@pytest.mark.parametrize("above", [True, False])
def test_two_folders_of_one_split(tmp_path: Path, other: str, above: bool) -> None:
    root = tmp_path / "pairs"
    for split in ("train", "val", other):
        for kind in ("images", "masks"):
            inner = f"{split}/{kind}" if above else f"{kind}/{split}"
            (root / inner).mkdir(parents=True)
            image = Image.new("L", (8, 6), kind == "masks")
            image.save(root / inner / f"{split}.png")
    refused(root, *(n if above else f"images/{n}" for n in ("val", other)))


@pytest.mark.parametrize("kind", ["images", "masks"])
def test_folders_that_differ_by_case(pairs: Path, kind: str) -> None:
    shutil.copytree(pairs / kind, pairs / kind.upper())
    refused(pairs, kind, kind.upper())


@pytest.mark.parametrize("again", ["other", "brush2", "."])
@pytest.mark.parametrize("number", ["1", "01"])
def test_regions_of_label_studio(tmp_path: Path, again: str, number: str) -> None:
    root = tmp_path / "export"
    test_label_studio.write_export(root)
    path = next((root / "brush").glob("task-1-*Car-0.png"))
    name = path.name.replace("task-1-", f"task-{number}-").replace("by-1", "by-2")
    (root / again).mkdir(exist_ok=True)
    shutil.copy(
        root / "brush" / path.name.replace("Car-0", "Car-1"), root / again / name
    )
    refused(root, f"brush/{path.name}", str(Path(again, name)))


def test_images_and_tasks_of_label_studio(tmp_path: Path) -> None:
    root = tmp_path / "export"
    test_label_studio.write_export(root)
    write_image(root / "imgs" / "photo_2.jpg", 77)
    refused(root, "images/photo_2.jpg", "imgs/photo_2.jpg")
    tasks = test_label_studio.read_tasks(root)
    tasks[3]["id"] = tasks[0]["id"]
    test_label_studio.write_tasks(root, tasks)
    with pytest.raises(UserError, match=r"\.json gives two tasks one id"):
        load(root, split=0.5)


def test_images_of_roboflow(tmp_path: Path) -> None:
    root = tmp_path / "export"
    test_roboflow.write_export(root)
    name = f"train/{test_roboflow.name_of(2)}"
    write_image(root / f"{name}.png", 77)
    refused(root, f"{name}.jpg", f"{name}.png")


@pytest.mark.parametrize("same", [True, False])
def test_images_of_coco(tmp_path: Path, same: bool) -> None:
    root = tmp_path / "export"
    coco_files.write_alone(root)
    if same:
        shutil.copy(root / "images" / "2.jpg", root / "2.jpg")
        assert len(load(root, split=0.5).train) == 2
    else:
        write_image(root / "2.jpg", 77, coco_files.SIZE)
        with pytest.raises(UserError) as raised:
            load(root, split=0.5)
        assert f"{root}/images/2.jpg and {root}/2.jpg" in str(raised.value)


Files = dict[str, bytes]


@pytest.mark.parametrize(
    "again", ["JPEGImages", "SegmentationClass", "ImageSets/Segmentation", "dataset"]
)
def test_members_of_archives(tmp_path: Path, again: str) -> None:
    root = tmp_path / "downloads"
    root.mkdir()
    made: dict[str, Callable[[], Files]] = {
        VOC_ARCHIVE: voc_downloads.voc_files,
        "benchmark.tar": voc_downloads.sbd_files,
    }
    for archive, files in made.items():
        whole = files()
        names = [it for it in whole if f"/{again}/" in it and "inst" not in it]
        first = names[:1] if "img" not in str(names[:1]) else []
        # Another spelling of the name is another member of the archive.
        more = {it.replace("/", "//", 1): whole[it] for it in first}
        voc_downloads.write_tar(root / archive, whole | more)
    found = find_voc_archives(
        root, tmp_path, "train_aug", published=voc_downloads.PUBLISHED
    )
    assert found
    with pytest.raises(UserError, match="has two files for '"):
        converted(found, str(root), tmp_path / "prepared")
    assert np.all([not path.is_dir() for path in tmp_path.glob("prepared/converted/*")])


def test_two_paths_of_one_name(tmp_path: Path) -> None:
    """Their masks could not be told apart where they are shown by their names."""
    root = write_pairs(tmp_path / "pairs", "JPEGImages", "SegmentationClass")
    for folder in ("other", "JPEGImages/other"):
        write_image(root / folder / "a.jpg", 3)
    mask = "/SegmentationClass/photo 3.png"
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for split in ("train", "val"):
        lines = f"/JPEGImages/other/a.jpg {mask}\n/other/a.jpg {mask}\n"
        (lists / f"{split}.txt").write_text(lines)
    refused(root, "other/a.jpg", "JPEGImages/other/a.jpg")


def test_two_coco_files_of_one_split(tmp_path: Path) -> None:
    root = tmp_path / "coco"
    for index, year in enumerate((2014, 2017)):
        write_image(root / "images" / f"{index}.jpg", index, coco_files.SIZE)
        path = root / "annotations" / f"instances_val{year}.json"
        coco_files.write_json(path, coco_files.content([f"{index}.jpg"], index))
    names = ("val2014", "val2017")
    refused(root, *(f"annotations/instances_{name}.json" for name in names))


@pytest.mark.parametrize("kind", ["masks", "COCO"])
def test_two_parts_of_roboflow_of_one_split(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "roboflow"
    if kind == "masks":
        test_roboflow.write_export(root)
    else:
        content = coco_files.content(["a.jpg"])
        write_image(root / "valid" / "a.jpg", 0, coco_files.SIZE)
        coco_files.write_json(root / "valid" / "_annotations.coco.json", content)
    shutil.copytree(root / "valid", root / "val")
    refused(root, "val", "valid")


@pytest.mark.parametrize("folder", ["images", "masks"])
def test_links_to_folders_are_named(tmp_path: Path, folder: str) -> None:
    """Nobody looks into them without lists, and their images would be missing."""
    root = write_pairs(tmp_path / "pairs", "images", "masks")
    (root / "more").mkdir()
    (root / folder / "more").symlink_to("../more")
    refused(root, f"{folder}/more")
    for split, names in (("train", NAMES[:6]), ("val", NAMES[6:])):
        (root / f"{split}.txt").write_text("\n".join(names))
    assert_same(together(load(root)), labels())


def test_images_beside_the_folders_of_splits_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_pairs(tmp_path / "pairs", "images/train", "masks/train")
    for kind in ("images", "masks"):
        shutil.copytree(root / kind / "train", root / kind / "val")
    write_image(root / "images" / "a\x1b.jpg", 0)
    load(root)
    said = "images has 1 images beside the folders of its splits, which are left out: "
    assert f"{said}a\\x1b.jpg." in capsys.readouterr().err

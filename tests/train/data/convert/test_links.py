"""Converted folders: they are found again for the files that links lead to now."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data.convert.links import ORIGINALS, images_in
from train.data.dataset import Dataset
from train.data.images import decode, read_mask

from ..exports import load
from . import coco_files, test_label_studio, test_roboflow

WRITERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "COCO": (coco_files.write_alone, "images"),
    "Label Studio": (test_label_studio.write_export, "images"),
    "Roboflow": (test_roboflow.write_export, "train"),
}


def found(root: Path, form: str, **more: object) -> Dataset:
    return load(root, **({} if form == "Roboflow" else {"split": 0.5}), **more)


def reds(data: Dataset) -> set[int]:
    """Returns the red of training images, about 0, 20, …; 230 of a second day."""
    images = [decode(data.train[i]).image for i in range(len(data.train))]
    return {int(image[0, 0, 0]) for image in images}


def second_day(root: Path, folder: str) -> None:
    """Moves a folder to day1, and copies it to day2 with other pictures."""
    (root / folder).rename(root / "day1")
    shutil.copytree(root / "day1", root / "day2")
    for blue, path in enumerate(sorted((root / "day2").glob("*.jpg"))):
        with Image.open(path) as image:
            size = image.size
        Image.new("RGB", size, (230, 40, 9 * blue)).save(path)


def lead(root: Path, folder: str, day: str, kind: str) -> None:
    """Makes a folder, what is in it, or a folder in it links to those of a day."""
    place = root / folder
    if place.is_symlink():
        place.unlink()
    elif place.exists():
        shutil.rmtree(place)
    if kind == "folder":
        place.symlink_to(day)
        return
    place.mkdir()
    for path in (root / day).iterdir():
        (place / path.name).symlink_to(path)


def link_within(root: Path, day: str) -> None:
    (root / "images").mkdir(exist_ok=True)
    (root / "images" / "inner").unlink(missing_ok=True)
    (root / "images" / "inner").symlink_to(root / day)


@pytest.mark.parametrize("kind", ["files", "folder"])
@pytest.mark.parametrize("form", WRITERS)
def test_images_are_those_that_links_lead_to_now(
    tmp_path: Path, form: str, kind: str
) -> None:
    root = tmp_path / "export"
    write, folder = WRITERS[form]
    write(root)
    second_day(root, folder)
    lead(root, folder, "day1", kind)
    first = found(root, form)
    assert max(reds(first)) < 200
    lead(root, folder, "day2", kind)
    second = found(root, form)
    assert min(reds(second)) > 200
    assert second.fingerprint != first.fingerprint
    lead(root, folder, "day1", kind)
    assert found(root, form).fingerprint == first.fingerprint


def test_folders_within_may_be_links_too(tmp_path: Path) -> None:
    root = tmp_path / "export"
    names = [f"inner/{index}.jpg" for index in range(4)]
    coco_files.write_alone(root)
    coco_files.write_json(root / "export.json", coco_files.content(names))
    second_day(root, "images")
    link_within(root, "day1")
    assert max(reds(found(root, "COCO"))) < 200
    link_within(root, "day2")
    assert min(reds(found(root, "COCO"))) > 200


def test_links_by_the_thousand_take_no_more(tmp_path: Path) -> None:
    """Images are found once, whichever links lead to folders around them."""
    root, prepared = tmp_path / "data", tmp_path / "prepared"
    inner = [".hidden/a", "hidden/.a/b/c", "plain"]
    for name in inner:
        (root / name).mkdir(parents=True)
        (root / name / "0.jpg").touch()
    links = [root / f"{name.replace('/', '')}{i}" for name in inner for i in range(3)]
    for link, name in zip(
        links, [name for name in inner for _ in range(3)], strict=True
    ):
        link.symlink_to(name)
    images = images_in([*links, root], prepared)
    assert images == sorted(
        [root / "plain" / "0.jpg", links[0] / "0.jpg", links[3] / "0.jpg", *links]
    )
    (root / "outer").symlink_to("hidden/.a")
    assert len(images_in([*links, root, root / "outer"], prepared)) == len(images) + 1


def test_links_in_a_folder_elsewhere_are_followed(tmp_path: Path) -> None:
    """The folder of the images may be a link, and those in it links within it."""
    root, elsewhere = tmp_path / "export", tmp_path / "elsewhere"
    coco_files.write_alone(root)
    second_day(root, "images")
    elsewhere.mkdir()
    for day in ("day1", "day2"):
        (root / day).rename(elsewhere / day)
    (root / "images").symlink_to(elsewhere)
    for number, day in ((0, "day1"), (1, "day2")):
        for index in range(4):
            path = elsewhere / f"{index}.jpg"
            path.unlink(missing_ok=True)
            path.symlink_to(elsewhere / day / path.name)
        assert (min(reds(found(root, "COCO"))) > 200) == number


@pytest.mark.parametrize("form", ["Label Studio", "Roboflow"])
def test_masks_are_those_that_links_lead_to_now(tmp_path: Path, form: str) -> None:
    root = tmp_path / "export"
    WRITERS[form][0](root)
    place = next(root.glob("brush/*.png" if form[0] == "L" else "train/*_mask.png"))
    for name in ("v1", "v2"):
        (root / name).mkdir()
        shutil.copy(place, root / name / "a.png")
    place.unlink()
    place.symlink_to(root / "v1" / "a.png")
    before = found(root, form)
    place.unlink()
    place.symlink_to(root / "v2" / "a.png")
    assert found(root, form).fingerprint == before.fingerprint
    black = np.zeros_like(read_mask(place))
    Image.fromarray(black).save(root / "v1" / "a.png")
    assert found(root, form).fingerprint == before.fingerprint
    shutil.copy(root / "v1" / "a.png", root / "v2" / "a.png")
    assert found(root, form).fingerprint != before.fingerprint


@pytest.mark.parametrize("form", WRITERS)
def test_an_image_may_get_another_ending(tmp_path: Path, form: str) -> None:
    root = tmp_path / "export"
    write, folder = WRITERS[form]
    write(root)
    found(root, form)
    path = sorted((root / folder).glob("*.jpg"))[0]
    path.rename(path.with_suffix(".png"))
    for table in root.glob("*.json"):
        name = path.with_suffix("").name
        text = table.read_text().replace(f"{name}.jpg", f"{name}.png")
        table.write_text(text)
    found(root, form)


@pytest.mark.parametrize("form", ["Label Studio", "Roboflow"])
def test_masks_elsewhere_need_links_each_time(tmp_path: Path, form: str) -> None:
    root = tmp_path / "export"
    more = {"table": "Pixel Value, Class\n0, a\n1, b\n3, c\n", "values": (0, 1, 3)}
    WRITERS[form][0](root, **({} if form[0] == "L" else more))
    mask = next(root.glob("brush/*.png" if form[0] == "L" else "train/*_mask.png"))
    mask.rename(tmp_path / "elsewhere.png")
    mask.symlink_to(tmp_path / "elsewhere.png")
    found(root, form, links=True)
    with pytest.raises(UserError, match=rf"^{mask} leads out of .* add --links"):
        found(root, form)


def test_images_elsewhere_are_refused_by_their_own_name(tmp_path: Path) -> None:
    root = tmp_path / "export"
    coco_files.write_alone(root)
    image = root / "images" / "1.jpg"
    image.rename(tmp_path / "elsewhere.jpg")
    image.symlink_to(tmp_path / "elsewhere.jpg")
    found(root, "COCO", links=True)
    with pytest.raises(UserError, match=rf"^{image} leads out of .* add --links"):
        found(root, "COCO")


@pytest.mark.parametrize("fault", ["other", "unknown", "table", "outside", "gone"])
def test_folders_of_other_links_are_refused(tmp_path: Path, fault: str) -> None:
    root = tmp_path / "export"
    coco_files.write_alone(root)
    before = found(root, "COCO")
    (folder,) = (tmp_path / "prepared" / "converted").iterdir()
    link = folder / "JPEGImages" / "images" / "1.jpg"
    table = folder / ORIGINALS
    if fault == "other":
        link.unlink()
        link.symlink_to(root / "images" / "2.jpg")
    elif fault == "unknown":
        (folder / "SegmentationClass" / "more.png").symlink_to(link)
    elif fault == "table":
        table.unlink()
    elif fault == "outside":
        link.unlink()
        link.symlink_to(tmp_path / "no.jpg")
        table.write_text(table.read_text().replace("images/1.jpg", "../no.jpg"))
    else:
        link.unlink()
        link.symlink_to(root / "no.jpg")
        text = table.read_text().replace(':"images/1.jpg', ':"no.jpg')
        table.write_text(text)
    said = (
        rf"{table} is missing" if fault == "table" else rf"{folder}/\S+ is a link to "
    )
    said += rf".* Move {folder} elsewhere; the next run writes"
    with pytest.raises(UserError, match=said):
        found(root, "COCO")
    folder.rename(tmp_path / "aside")
    assert found(root, "COCO").fingerprint == before.fingerprint


@pytest.mark.parametrize("form", WRITERS)
def test_links_that_became_files_are_refused(tmp_path: Path, form: str) -> None:
    """They would stay as they are, whatever becomes of the images."""
    WRITERS[form][0](tmp_path / "export")
    before = found(tmp_path / "export", form)
    (tmp_path / "prepared").rename(tmp_path / "linked")
    shutil.copytree(tmp_path / "linked", tmp_path / "prepared")
    (folder,) = (tmp_path / "prepared" / "converted").iterdir()
    said = (
        rf"{folder}/\S+ is no link to \S+ any more. Move {folder} elsewhere; the next"
    )
    with pytest.raises(UserError, match=said):
        found(tmp_path / "export", form)
    folder.rename(tmp_path / "aside")
    assert found(tmp_path / "export", form).fingerprint == before.fingerprint


def made_empty(path: Path) -> None:
    """Makes a file or a folder an empty folder."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.mkdir()


IMAGE, MASK = "JPEGImages/images/1.jpg", "SegmentationClass/images/1.png"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda it: (it / IMAGE).unlink(), f"{IMAGE} is missing"),
        (lambda it: (it / MASK).unlink(), f"{MASK} is missing"),
        (lambda it: (it / "class_names.txt").unlink(), "class_names.txt is missing"),
        (lambda it: shutil.rmtree(it / "SegmentationClass"), r"\d.png is missing"),
        (made_empty, f"{ORIGINALS} is missing"),
        (lambda it: (it / ORIGINALS).write_text("{"), f"{ORIGINALS} is missing or dam"),
        (lambda it: made_empty(it / MASK), f"{MASK} is missing"),
        (lambda it: shutil.copy(it / MASK, it / f"{MASK}.png"), "was not written ther"),
        (lambda it: (it / "labelmap.txt").touch(), "labelmap.txt was not written ther"),
    ],
)
def test_folders_that_are_not_whole_are_refused(
    tmp_path: Path, change: Callable[[Path], object], said: str
) -> None:
    root = tmp_path / "export"
    coco_files.write_alone(root)
    before = found(root, "COCO")
    (folder,) = (tmp_path / "prepared" / "converted").iterdir()
    (folder / ".DS_Store").touch()  # is no part of it
    assert found(root, "COCO").fingerprint == before.fingerprint
    change(folder)
    with pytest.raises(UserError, match=rf"^{folder}/.*{said}.* Move {folder} elsewh"):
        found(root, "COCO")


def test_what_is_prepared_within_the_data_is_none_of_them(tmp_path: Path) -> None:
    root = tmp_path / "export"
    coco_files.write_alone(root)
    for _ in range(3):
        found(root, "COCO", prepared=str(root / "data"))
    assert len(list((root / "data" / "converted").iterdir())) == 1

"""Files of a folder: none from elsewhere, each image once, and in one split."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data.dataset import DataOptions, find_dataset
from train.data.inside import within
from train.data.shared_images import check_shared, warn_of_shared

from ..conftest import MakeConfig
from .convert.coco_files import write_alone
from .test_voc_lists import names, write_list


@pytest.mark.parametrize(
    ("name", "inner"),
    [
        ("a", "a"),
        ("./a", "a"),
        ("x/../a", "a"),
        ("x//y/./a", "x/y/a"),
        ("..a/b", "..a/b"),
        ("../a", None),
        ("x/../../a", None),
        ("..", None),
        ("/a", None),
        ("//a", None),
    ],
)
def test_spellings_of_a_path(name: str, inner: str | None) -> None:
    assert within(name) == inner


@pytest.fixture
def elsewhere(folder: Path, tmp_path: Path) -> Path:
    """An image and its mask outside of the folder."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    shutil.copy(folder / "JPEGImages" / "a.jpg", place / "z.jpg")
    shutil.copy(folder / "SegmentationClass" / "a.png", place / "z.png")
    return place


@pytest.mark.parametrize(
    "line",
    [
        "../../elsewhere/z",
        "x/../../../elsewhere/z",
        "{elsewhere}/z",
        "/../elsewhere/z.jpg /../elsewhere/z.png",
        "/JPEGImages/a.jpg /../elsewhere/z.png",
    ],
)
def test_names_that_lead_out_are_refused_by_their_line(
    folder: Path, elsewhere: Path, line: str
) -> None:
    line = line.format(elsewhere=elsewhere)
    write_list(folder, ["a", line])
    with pytest.raises(UserError) as raised:
        names(folder)
    said = str(raised.value)
    assert f"train.txt, line 2: {line!r} leads out of {folder}" in said


def link(folder: Path, elsewhere: Path, *, image: bool, mask: bool) -> None:
    """Puts an image `z` and its mask into the folder, as links or as they are."""
    for place, name, linked in (
        ("JPEGImages", "z.jpg", image),
        ("SegmentationClass", "z.png", mask),
    ):
        to, source = folder / place / name, elsewhere / name
        to.symlink_to(source) if linked else shutil.copy(source, to)


@pytest.mark.parametrize(("image", "mask"), [(True, False), (False, True)])
def test_links_that_lead_out_are_refused_unless_meant(
    folder: Path, elsewhere: Path, make_config: MakeConfig, image: bool, mask: bool
) -> None:
    link(folder, elsewhere, image=image, mask=mask)
    of = "z.jpg" if image else "z.png"
    for line in ("z", "JPEGImages/z.jpg SegmentationClass/z.png"):
        write_list(folder, ["b", line])
        said = rf"train\.txt, line 2: .*{of} leads out of .*elsewhere/{of}\. .*--links"
        with pytest.raises(UserError, match=said):
            find_dataset(make_config().data)
        found = find_dataset(make_config(links=True).data).folder
        assert found and [pair.name for pair in found.splits["train"]] == ["b", "z"]


def test_links_are_refused_without_lists(
    folder: Path, elsewhere: Path, make_config: MakeConfig
) -> None:
    link(folder, elsewhere, image=True, mask=False)
    shutil.rmtree(folder / "ImageSets")
    with pytest.raises(UserError, match=r"z\.jpg leads out of"):
        find_dataset(make_config(split=0.3).data)
    find_dataset(make_config(split=0.3, links=True).data)


def test_folders_may_be_links(
    folder: Path, tmp_path: Path, make_config: MakeConfig
) -> None:
    for place in ("JPEGImages", "SegmentationClass"):
        moved = tmp_path / f"moved_{place}"
        (folder / place).rename(moved)
        (folder / place).symlink_to(moved)
    (tmp_path / "data").symlink_to(folder)
    find_dataset(make_config(data=str(tmp_path / "data")).data)
    deep = tmp_path / "deep"
    deep.mkdir()
    for place, suffix in (("JPEGImages", ".jpg"), ("SegmentationClass", ".png")):
        shutil.copy(folder / place / f"a{suffix}", deep / f"y{suffix}")
        (folder / place / "street").symlink_to(deep)
    write_list(folder, ["street/y"])
    with pytest.raises(UserError, match=r"line 1: .*street/y\.jpg leads out"):
        find_dataset(make_config().data)


def test_links_of_other_forms_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "coco"
    write_alone(root)
    image = next(path for path in root.rglob("*.jpg"))
    moved = tmp_path / "moved.jpg"
    image.rename(moved)
    image.symlink_to(moved)
    options = DataOptions(
        folder=str(root), prepared=str(tmp_path / "prepared"), split=0.5
    )
    with pytest.raises(UserError, match=r"leads out of .*moved\.jpg"):
        find_dataset(options)


def test_an_image_counts_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, masks = folder / "JPEGImages", folder / "SegmentationClass"
    (images / "linked.jpg").symlink_to("a.jpg")
    shutil.copy(masks / "a.png", masks / "linked.png")
    write_list(folder, ["a", "./a", "b", "x/../a", "a", "linked"])
    assert names(folder) == ["a", "b"]
    said = capsys.readouterr().err
    assert "train.txt names 4 images again, which count once: a, a, a, linked" in said
    write_list(folder, ["a", "b"])
    assert names(folder) == ["a", "b"] and not capsys.readouterr().err


def test_one_image_has_one_mask(folder: Path) -> None:
    (folder / "JPEGImages" / "z.jpg").symlink_to("a.jpg")
    masks = folder / "SegmentationClass"
    Image.fromarray(np.zeros((40, 48), np.uint8)).save(masks / "z.png")
    write_list(folder, ["a", "z"])
    with pytest.raises(UserError, match=r"train\.txt: 'a' and 'z' are one image, but"):
        names(folder)


@pytest.mark.parametrize("copied", [False, True])
def test_images_of_both_splits_are_refused_unless_meant(
    folder: Path,
    make_config: MakeConfig,
    capsys: pytest.CaptureFixture[str],
    copied: bool,
) -> None:
    name = "a"
    if copied:  # under another name
        name = "z"
        for place, end in (("JPEGImages", ".jpg"), ("SegmentationClass", ".png")):
            shutil.copy(folder / place / f"a{end}", folder / place / f"z{end}")
    write_list(folder, ["e", name, "f"], "val")
    options = make_config().data
    found = find_dataset(options)
    said = rf"^1 of the images evaluated .*: {name}\. .*--holdout.*--shared-images"
    with pytest.raises(UserError, match=said):
        check_shared(found, options)
    for meant in ({"shared_images": True}, {"holdout": 0.25}, {"val_split": "train"}):
        options = make_config(**meant).data
        check_shared(find_dataset(options), options)
    assert not capsys.readouterr().err
    options = make_config(shared_images=True).data
    warn_of_shared(find_dataset(options), options)
    assert "warning: 1 of the images evaluated" in capsys.readouterr().err


def test_images_held_out_are_not_kept_under_other_names(
    folder: Path, make_config: MakeConfig
) -> None:
    for place, end in (("JPEGImages", ".jpg"), ("SegmentationClass", ".png")):
        shutil.copy(folder / place / f"a{end}", folder / place / f"z{end}")
    write_list(folder, ["a", "b", "c", "d", "z"], "train")
    options = make_config(holdout=0.25, val_split="train").data
    said = r"1 of the images held out are trained on as well \(list train\): z\."
    with pytest.raises(UserError, match=said + ".*under other names.*--shared-images"):
        check_shared(find_dataset(options), options)
    options = make_config(holdout=0.25, val_split="train", shared_images=True).data
    check_shared(find_dataset(options), options)

"""Lists of a folder in VOC layout: which files a line names."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data.dataset import find_dataset
from train.data.shared_images import warn_of_shared
from train.data.voc import read_voc_folder
from train.data.voc_lists import Pair

from ..conftest import MakeConfig


def write_list(folder: Path, lines: Sequence[str], split: str = "train") -> None:
    listed = folder / "ImageSets" / "Segmentation" / f"{split}.txt"
    listed.write_text("\n".join(lines) + "\n")


def rename(folder: Path, old: str, new: str) -> None:
    for kind, suffix in (("JPEGImages", ".jpg"), ("SegmentationClass", ".png")):
        (folder / kind / (old + suffix)).rename(folder / kind / (new + suffix))


def pairs(folder: Path, split: str = "train") -> list[Pair]:
    return read_voc_folder(folder, (split,)).splits[split]


def names(folder: Path) -> list[str]:
    return [pair.name for pair in pairs(folder)]


@pytest.mark.parametrize("end", [" 1", " 0", " -1", "  1", "\t1"])
def test_name_that_is_there_is_taken_whole(folder: Path, end: str) -> None:
    rename(folder, "b", "a" + end)
    write_list(folder, ["a", "a" + end])
    assert names(folder) == ["a", "a" + end]
    write_list(folder, ["a" + end])
    assert names(folder) == ["a" + end]


@pytest.mark.parametrize(
    "name", ["a ", " a", "a\u00a0", "a\u2028b", "a\u0085b", "a\x1cb", "a\vb", "\ta\t"]
)
def test_line_is_whole_whatever_is_a_space_elsewhere(folder: Path, name: str) -> None:
    rename(folder, "b", name)
    write_list(folder, [name, "c"])
    assert names(folder) == [name, "c"]


@pytest.mark.parametrize("line", [".", "a/..", "./"])
def test_the_folder_is_no_image(folder: Path, line: str) -> None:
    shutil.copy(folder / "JPEGImages" / "a.jpg", folder / "JPEGImages.jpg")
    shutil.copy(
        folder / "SegmentationClass" / "a.png", folder / "SegmentationClass.png"
    )
    write_list(folder, ["a", line])
    with pytest.raises(UserError, match=r"missing, but a split lists .* line 2\)"):
        names(folder)


def test_spaces_around_a_name_are_left_out(folder: Path) -> None:
    write_list(folder, ["a ", "\tb", " c  1", "  "], "train")
    with pytest.raises(UserError, match=r"c  1\.jpg is missing"):
        names(folder)
    write_list(folder, ["a ", "\tb", "  ", " c\u00a0"])
    assert names(folder) == ["a", "b", "c"]


def test_column_is_read_where_every_line_has_it(folder: Path) -> None:
    write_list(folder, ["a  1", "b -1", "", "c\t0"])
    assert names(folder) == ["a", "b", "c"]
    write_list(folder, ["a  1", "b -1", "c"])
    said = r"a  1\.jpg is missing.*lists 'a  1' \(.*train\.txt, line 1\).*every line"
    with pytest.raises(UserError, match=said):
        names(folder)


def test_missing_image_of_a_list_with_a_column_is_named_as_listed(folder: Path) -> None:
    write_list(folder, ["a 1", "photo 1"])
    said = r"photo 1\.jpg and .*photo\.jpg are missing, but .*'photo 1' \(.*line 2\)"
    with pytest.raises(UserError, match=said):
        names(folder)


def test_paths_of_image_and_mask_are_read(folder: Path) -> None:
    shutil.copytree(folder / "SegmentationClass", folder / "Drawn")
    rename(folder, "b", "b 1")
    write_list(
        folder,
        ["/JPEGImages/a.jpg /Drawn/a.png"]
        + ["JPEGImages/b 1.jpg   SegmentationClass/b 1.png"],
    )
    first, second = pairs(folder)
    assert first == ("a", folder / "JPEGImages/a.jpg", folder / "Drawn/a.png")
    assert second.name == "b 1"
    assert second.mask == folder / "SegmentationClass" / "b 1.png"


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("/JPEGImages/a.jpg /Drawn/a.png", "Drawn/a.png is missing, the mask of"),
        ("/JPEGImages/z.jpg /Drawn/z.png", r"JPEGImages/z.jpg is missing \(.*line 1"),
    ],
)
def test_missing_path_is_named(folder: Path, line: str, missing: str) -> None:
    write_list(folder, [line])
    with pytest.raises(UserError, match=missing):
        pairs(folder)


@pytest.mark.parametrize(("image", "mask"), [(".JPG", ".PNG"), (".Jpeg", ".pNg")])
def test_endings_are_of_any_case(folder: Path, image: str, mask: str) -> None:
    (folder / "JPEGImages" / "a.jpg").rename(folder / "JPEGImages" / f"a{image}")
    masks = folder / "SegmentationClass"
    (masks / "a.png").rename(masks / f"a{mask}")
    assert pairs(folder)[0][1:] == (
        folder / "JPEGImages" / f"a{image}",
        masks / f"a{mask}",
    )


def test_masks_are_found_file_by_file(folder: Path) -> None:
    masks = folder / "SegmentationClass"
    for name, other in (("a", "Aug"), ("b", "PNG")):
        (folder / f"SegmentationClass{other}").mkdir()
        shutil.copy(masks / f"{name}.png", folder / f"SegmentationClass{other}")
    shutil.copy(masks / "a.png", folder / "SegmentationClassPNG")
    found = [pair.mask.parent.name[17:] for pair in pairs(folder)]
    assert found == ["Aug", "PNG", "", ""]
    assert {pair.mask.parent for pair in pairs(folder, "val")} == {masks}
    (masks / "c.png").unlink()
    with pytest.raises(UserError, match="'c' has no mask in SegmentationClassAug, Seg"):
        pairs(folder)


def test_mask_with_another_ending_is_named(folder: Path) -> None:
    masks = folder / "SegmentationClass"
    Image.open(masks / "b.png").save(masks / "b.JPG", "JPEG")
    (masks / "b.png").unlink()
    with pytest.raises(UserError, match=r"b\.JPG is the mask of image 'b'.*as \.png"):
        pairs(folder)


def test_the_only_list_may_be_cvats(
    folder: Path,
    make_config: MakeConfig,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lists = folder / "ImageSets" / "Segmentation"
    (lists / "train.txt").rename(lists / "default.txt")
    with pytest.raises(UserError, match=r"train\.txt is missing.*default, val"):
        pairs(folder)
    (lists / "val.txt").unlink()
    options = make_config().data
    found = find_dataset(options)
    assert f"val.txt is missing: val is {lists}/default.txt" in capsys.readouterr().err
    assert found.shared == ("a", "b", "c", "d")


def test_images_of_both_lists_are_named(
    folder: Path, make_config: MakeConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    warn_of_shared(find_dataset(make_config().data), make_config().data)
    assert not capsys.readouterr().err
    write_list(folder, ["e", "a", "f", "b"], "val")
    options = make_config().data
    warn_of_shared(find_dataset(options), options)
    said = capsys.readouterr().err
    assert "2 of the images evaluated (list val) are trained on" in said
    assert ": a, b." in said
    held = make_config(holdout=0.25).data
    warn_of_shared(find_dataset(held), held)
    assert not capsys.readouterr().err


def turn(path: Path, orientation: int, pixels: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)


def test_flag_that_makes_sizes_differ_is_named(
    folder: Path, make_config: MakeConfig
) -> None:
    from train.data.dataset import load_dataset

    image = folder / "JPEGImages" / "a.jpg"
    turn(image, 6, np.asarray(Image.open(image)))
    said = r"a\.jpg is 40×48 but its mask .*a\.png is 48×40.*EXIF.*a\.jpg by 6\. Save"
    with pytest.raises(UserError, match=said):
        load_dataset(make_config().data)
    mask = folder / "SegmentationClass" / "a.png"
    turn(mask, 6, np.asarray(Image.open(mask)))
    assert len(load_dataset(make_config().data).train) == 4

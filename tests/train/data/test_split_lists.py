"""Lists of a folder, in either place and in any layout; lines that are no names."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from train.common.errors import UserError
from train.data.dataset import DataOptions, find_dataset
from train.data.voc_files import IMAGES, Files
from train.data.voc_lists import read_list

from ..conftest import MakeConfig
from .exports import labels, load, options, records, write_images, write_mask

NAMES = sorted(labels())
LISTS = Path("ImageSets", "Segmentation")
LAYOUTS = [("JPEGImages", "SegmentationClass"), ("images", "masks")]


def write_folder(root: Path, images: str, masks: str) -> Path:
    write_images(root / images, labels())
    for name, mask in labels().items():
        write_mask(root / masks / f"{name}.png", mask)
    return root


def write_lists(place: Path, **lists: list[str]) -> None:
    place.mkdir(parents=True, exist_ok=True)
    for split, names in lists.items():
        (place / f"{split}.txt").write_text("\n".join(names))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("place", [Path(), LISTS])
def test_lists_are_read_in_either_place(
    tmp_path: Path, layout: tuple[str, str], place: Path
) -> None:
    root = write_folder(tmp_path / "data", *layout)
    write_lists(root / place, train=NAMES[:2], val=NAMES[3:4])
    found = records(load(root))
    assert list(found["train"]) == NAMES[:2] and list(found["val"]) == NAMES[3:4]
    with pytest.raises(UserError, match="--split 0.2 is not used: .*data says itself"):
        load(root, split=0.2)
    with pytest.raises(UserError, match=r"test\.txt.*has.*train"):
        load(root, val_split="test")


def test_cvats_only_list_is_divided_beside_images(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", "images", "masks")
    write_lists(root / LISTS, default=NAMES[:5])
    assert len(load(root, split=0.2).train) == 4


@pytest.mark.parametrize("layout", LAYOUTS)
def test_lists_in_both_places_must_be_the_same(
    tmp_path: Path, layout: tuple[str, str]
) -> None:
    root = write_folder(tmp_path / "data", *layout)
    write_lists(root / LISTS, train=NAMES[:2], val=NAMES[3:4])
    write_lists(root, train=NAMES[:2])
    assert len(load(root).train) == 2
    write_lists(root, train=NAMES[:3])
    said = r"data/train\.txt and .*Segmentation/train\.txt are both lists of train, and"
    with pytest.raises(UserError, match=said):
        load(root)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "line",
    ["/home/joe/data/{images}/photo 1.jpg", "{images}/photo 1.jpg", "photo 1.jpg"]
    + ["/home/joe/{images}/photo 1", "../../{images}/photo 1.JPG"]
    + ["C:\\data\\{images}\\photo 1.jpg", "{root}/{images}/photo 1.jpg"],
)
def test_paths_are_answered_by_the_name_to_write(
    tmp_path: Path, layout: tuple[str, str], line: str
) -> None:
    root = write_folder(tmp_path / "data", *layout)
    text = line.format(images=layout[0], root=root)
    write_lists(root / LISTS, train=["photo 0", text], val=NAMES[3:4])
    with pytest.raises(UserError, match=r"train\.txt, line 2: .*Write `photo 1`: "):
        load(root)


def test_of_two_paths_the_first_gives_the_name(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", *LAYOUTS[0])
    for kind in LAYOUTS[0]:
        (end,) = {path.suffix for path in (root / kind).iterdir()}
        (root / kind / f"photo 1{end}").rename(root / kind / f"one{end}")
    line = "/home/joe/JPEGImages/one.jpg /home/joe/SegmentationClass/one.png"
    write_lists(root / LISTS, train=[line], val=NAMES[3:4])
    with pytest.raises(UserError, match="line 1: .*Write `one`: "):
        load(root)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("end", [".tif", ".TIFF", ".bmp", ".dib", ".pbm", "link"])
def test_what_is_not_read_is_named_with_the_reason(
    tmp_path: Path, layout: tuple[str, str], listed: bool, end: str
) -> None:
    root = write_folder(tmp_path / "data", *layout)
    image = root / layout[0] / "photo 2.jpg"
    if end == "link":
        image.unlink()
        image.symlink_to("/nowhere/photo.jpg")
        said = rf"{image} is a link to what is not there \(/nowhere/photo\.jpg\)"
    else:
        image.rename(image.with_suffix(end))
        said = rf"Not read, save it as \.jpg or .*photo 2\{end}"
    if listed:
        write_lists(root / LISTS, train=NAMES[:3], val=NAMES[3:4])
        said = r"train\.txt, line 3: .*" + said
    with pytest.raises(UserError, match=said):
        load(root, **({} if listed else {"split": 0.2}))


def test_links_of_masks_to_nothing_are_named(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", "images", "masks")
    mask = root / "masks" / "photo 2.png"
    mask.unlink()
    mask.symlink_to("/nowhere/mask.png")
    with pytest.raises(UserError, match=r"masks/photo 2\.png is a link to what is not"):
        load(root, split=0.2)


def test_evaluation_of_another_split_is_told_the_way_out(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", "images", "masks")
    with pytest.raises(UserError, match="not 'test': add .*--split val to evaluate.py"):
        find_dataset(options(root, split=0.2, train_split="test", val_split="test"))


@pytest.mark.parametrize("colors", [(0, 128), (0, 128, 200)])
def test_two_lists_of_classes_must_agree(
    folder: Path, make_config: MakeConfig, colors: tuple[int, ...]
) -> None:
    names = ("ground", "red", "blue")
    lines = [f"{n}:{c},0,0::" for n, c in zip(names, colors, strict=False)]
    (folder / "labelmap.txt").write_text("\n".join(lines))
    if len(colors) == len(names):
        assert find_dataset(make_config().data).class_names == names
        (folder / "labelmap.txt").write_text("\n".join(lines[::-1]))
    said = r"labelmap\.txt names the classes .*, but .*class_names\.txt ground, red, bl"
    with pytest.raises(UserError, match=said):
        find_dataset(make_config().data)


def test_missing_images_are_told_without_listing_the_folder_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of a stranger may have any number of names, and a folder of files."""
    (tmp_path / IMAGES).mkdir()
    for name in ("a.TIF", "b.tif", "c.png"):
        (tmp_path / IMAGES / name).write_bytes(b"")
    path = tmp_path / "train.txt"
    path.write_text("a\nb\n" + "".join(f"gone{number}\n" for number in range(50)))
    listed: list[Path] = []
    iterdir = Path.iterdir

    def noting(folder: Path) -> Iterator[Path]:
        listed.append(folder)
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", noting)
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: noting(folder))
    refused: list[UserError] = []
    read_list(path, Files(tmp_path), refused.append)
    assert len(refused) == 52 and len(listed) < 5
    for error, name in zip(refused, ("a.TIF", "b.tif"), strict=False):
        assert f"{IMAGES}/{name}" in str(error) and "Not read, save" in str(error)


@pytest.mark.parametrize("name", ["_", "__", "a b", "all", "", 201 * "a", 101 * "é"])
def test_names_that_no_split_can_have(name: str) -> None:
    """As TFDS names it, or as files of prepared records are called after it."""
    said = "-split must be letters, .* bytes, and other than all .rename"
    with pytest.raises(UserError, match=f"--train{said}"):
        DataOptions(folder="data", train_split=name)
    with pytest.raises(UserError, match=f"--val{said}"):
        DataOptions(folder="data", val_split=name)


@pytest.mark.parametrize("name", ["a_b", "_1", "2012", "é", 200 * "a"])
def test_names_that_splits_have(name: str) -> None:
    assert DataOptions(folder="data", val_split=name).val_split == name

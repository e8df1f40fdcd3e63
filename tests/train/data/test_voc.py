"""Folders in VOC layout: what is read, and what is refused by name."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data.dataset import find_dataset, load_dataset
from train.data.images import read_image, read_mask
from train.data.voc import read_pair, read_voc_folder
from train.data.voc_records import VocLayout
from train.training.loss_options import check_classes

from ..conftest import NAMES, SIZE, MakeConfig

SPLITS = ("train", "val")


def mask_path(folder: Path, name: str = "b") -> Path:
    return folder / "SegmentationClass" / f"{name}.png"


def fingerprint(folder: Path) -> str:
    return read_voc_folder(folder, SPLITS).fingerprint


def test_files_and_classes_are_found(folder: Path) -> None:
    found = read_voc_folder(folder, SPLITS)
    assert found.class_names == ("ground", "red", "blue")
    assert found.colors.tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0]]
    names = {split: [name for name, _, _ in v] for split, v in found.splits.items()}
    assert names == NAMES


def test_a_copy_of_the_folder_has_its_fingerprint(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    for file in copy.rglob("*.*"):
        os.utime(file, (0, 0))
    assert fingerprint(copy) == fingerprint(folder)


def test_fingerprint_changes_with_one_pixel_of_a_mask(folder: Path) -> None:
    found = []
    for value in (0, 1):
        labels = read_mask(mask_path(folder)).copy()
        labels[0, 0] = value
        Image.fromarray(labels).save(mask_path(folder), compress_level=0)
        found.append((mask_path(folder).stat().st_size, fingerprint(folder)))
    (size, first), (same_size, second) = found
    assert size == same_size and first != second


def test_fingerprint_changes_with_the_size_of_an_image(folder: Path) -> None:
    before = fingerprint(folder)
    with (folder / "JPEGImages" / "b.jpg").open("ab") as image:
        image.write(b"more")
    assert fingerprint(folder) != before


def test_labelmap_gives_names_and_colors(folder: Path) -> None:
    (folder / "class_names.txt").unlink()
    (folder / "labelmap.txt").write_text("# label:color\nsky:1,2,3::\nroad:4,5,6::\n")
    found = read_voc_folder(folder, SPLITS)
    assert found.class_names == ("sky", "road")
    assert found.colors.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_classes_are_counted_where_nothing_names_them(folder: Path) -> None:
    (folder / "class_names.txt").unlink()
    assert read_voc_folder(folder, SPLITS).class_names == ("0", "1", "2")
    named = read_voc_folder(folder, SPLITS, ("x", "y", "z"))
    assert named.class_names == ("x", "y", "z")


def test_augmented_masks_are_preferred(folder: Path) -> None:
    augmented = folder / "SegmentationClassAug"
    (folder / "SegmentationClass").rename(augmented)
    assert read_voc_folder(folder, SPLITS).splits["val"][0][2].parent == augmented


def test_palette_mask_is_read_as_indices(tmp_path: Path) -> None:
    mask = Image.fromarray(np.array([[0, 2], [255, 1]], np.uint8)).convert("P")
    mask.putpalette([9] * 768)
    mask.save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png").tolist() == [[0, 2], [255, 1]]


def test_image_is_turned_as_the_camera_says(tmp_path: Path) -> None:
    image = Image.new("RGB", (6, 4))
    exif = image.getexif()
    exif[0x0112] = 6  # turned by a quarter
    image.save(tmp_path / "image.jpg", exif=exif)
    assert read_image(tmp_path / "image.jpg").shape == (6, 4, 3)


def break_list(folder: Path) -> None:
    (folder / "ImageSets" / "Segmentation" / "val.txt").unlink()


def empty_list(folder: Path) -> None:
    (folder / "ImageSets" / "Segmentation" / "val.txt").write_text("\n")


def remove_mask(folder: Path) -> None:
    mask_path(folder).unlink()


def remove_image(folder: Path) -> None:
    (folder / "JPEGImages" / "b.jpg").unlink()


def shrink_mask(folder: Path) -> None:
    Image.new("L", (10, 20)).save(mask_path(folder))


def foreign_value(folder: Path) -> None:
    mask = np.zeros(SIZE, np.uint8)
    mask[5, 7] = 9
    Image.fromarray(mask).save(mask_path(folder))


def color_mask(folder: Path) -> None:
    Image.new("RGB", SIZE[::-1], (128, 0, 0)).save(mask_path(folder))


def truncate_image(folder: Path) -> None:
    path = folder / "JPEGImages" / "b.jpg"
    path.write_bytes(path.read_bytes()[:400])


def bad_labelmap(folder: Path) -> None:
    (folder / "labelmap.txt").write_text("sky:1,2,3::\nroad\n")


def strange_digits(folder: Path) -> None:
    (folder / "labelmap.txt").write_text("sky:1,2, 3::\nroad:1_0,٣,0::\n")


def nameless_class(folder: Path) -> None:
    (folder / "labelmap.txt").write_text("sky:1,2,3::\n :4,5,6::\n")


def repeated_class(folder: Path) -> None:
    (folder / "class_names.txt").write_text("ground\nred\nred\n")


def blank_name(folder: Path) -> None:
    (folder / "class_names.txt").write_text("ground\nred\n \nblue\n\n\n")


def lone_class(folder: Path) -> None:
    (folder / "class_names.txt").write_text("ground\n")


def stray_value(folder: Path) -> None:
    (folder / "class_names.txt").unlink()
    foreign_value(folder)


def list_endings(folder: Path) -> None:
    (folder / "ImageSets" / "Segmentation" / "val.txt").write_text("e.jpg\nf.jpg\n")


def list_in_latin1(folder: Path) -> None:
    path = folder / "ImageSets" / "Segmentation" / "val.txt"
    path.write_bytes("caf\xe9\n".encode("latin-1"))


def deep_image(folder: Path) -> None:
    (folder / "JPEGImages" / "b.jpg").unlink()
    depth = np.full(SIZE, 40_000, np.uint16)
    Image.fromarray(depth).save(folder / "JPEGImages" / "b.png")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_list, r"val\.txt is missing.*It has: train"),
        (empty_list, r"val\.txt is empty"),
        (remove_mask, r"b\.png is missing: image 'b' has no mask"),
        (remove_image, r"b\.jpg is missing"),
        (shrink_mask, r"b\.jpg is 48×40 but its mask .*b\.png is 10×20"),
        (foreign_value, r"b\.png must lie in 0…2 .*got 9 at \(5, 7\), 1 of .*labelmap"),
        (color_mask, r"b\.png holds colors \(RGB\).*: 128,0,0\. Write labelmap"),
        (truncate_image, r"b\.jpg cannot be decoded"),
        (bad_labelmap, r"labelmap\.txt, line 2: expected name:red,green,blue"),
        (strange_digits, r"labelmap\.txt, line 2: expected .*got 'road:1_0,"),
        (nameless_class, r"labelmap\.txt has a class called ''\. Give it a name"),
        (repeated_class, r"class_names\.txt must name each class once; repeated: red"),
        (blank_name, r"class_names\.txt, line 3 is blank, .* take the line out"),
        (lone_class, r"class_names\.txt must name 2 to 255 classes, it has 1"),
        (stray_value, r"b\.png has the value 9, but no mask has 3, 4, 5, 6, 7, …"),
        (
            list_endings,
            r"line 1: 'e\.jpg' is no name.*Write `e`: .*without their ending",
        ),
        (list_in_latin1, r"val\.txt is not UTF-8 text"),
        (deep_image, r"b\.png has more than 8 bits a channel"),
    ],
)
def test_bad_input_is_named_and_mended(
    folder: Path,
    make_config: MakeConfig,
    damage: Callable[[Path], None],
    message: str,
) -> None:
    config = make_config()
    whole = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    damage(folder)
    with pytest.raises(UserError, match=message):
        load_dataset(config.data)
    assert not Path(config.run.workdir).exists()
    (folder / "labelmap.txt").unlink(missing_ok=True)
    (folder / "JPEGImages" / "b.png").unlink(missing_ok=True)
    for path, content in whole.items():
        path.write_bytes(content)
    assert (
        len(load_dataset(config.data).train) == 4
    )  # nothing half-prepared is in the way


def test_two_classes_need_another_normalization(
    folder: Path, make_config: MakeConfig
) -> None:
    (folder / "class_names.txt").unlink()
    for path in (folder / "SegmentationClass").iterdir():
        mask = read_mask(path)
        Image.fromarray(np.minimum(mask, 1).astype(bool)).save(path)  # 1 bit a pixel
    config = make_config()
    classes = len(find_dataset(config.data).class_names)
    assert not Path(config.data.prepared).exists()  # found without writing
    with pytest.raises(
        UserError, match="cannot learn 2 classes.*--normalization image_score, or none"
    ):
        check_classes(config.loss, classes)
    check_classes(make_config(normalization="none").loss, classes)
    check_classes(make_config(loss="softmax_cross_entropy").loss, classes)
    assert len(load_dataset(config.data).class_names) == classes == 2


def test_lists_from_other_programs_are_read(
    folder: Path, make_config: MakeConfig
) -> None:
    lists = folder / "ImageSets" / "Segmentation"
    (folder / "JPEGImages" / "a.jpg").rename(folder / "JPEGImages" / "my photo.jpg")
    mask_path(folder, "a").rename(mask_path(folder, "my photo"))
    (lists / "train.txt").write_text("\ufeffmy photo  1\r\nb -1\r\n\r\nc\t0\r\nd 1\r\n")
    found = load_dataset(make_config().data)
    listed = [found.train[index]["name"] for index in range(4)]
    assert listed == [b"my photo", b"b", b"c", b"d"]


def test_damaged_records_are_named(make_config: MakeConfig) -> None:
    config = make_config()
    load_dataset(config.data)
    (path,) = Path(config.data.prepared).rglob("*-val.array_record*")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(
        UserError, match="-val.array_record.* ends at byte 100.*Move its folder"
    ):
        load_dataset(config.data)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: no such folder"):
        read_voc_folder(tmp_path / "nowhere", SPLITS)


def test_unknown_split_of_the_builtin_data_is_refused(make_config: MakeConfig) -> None:
    with pytest.raises(UserError, match="splits train, val, not 'test'"):
        load_dataset(make_config(data="", val_split="test").data)


def test_runs_that_begin_together_may_prepare_the_same_folder(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config()
    split_generators = VocLayout._split_generators

    def overtaken(builder: VocLayout, manager: object) -> object:
        monkeypatch.undo()
        load_dataset(config.data)  # another run, meanwhile
        return split_generators(builder, manager)

    monkeypatch.setattr(VocLayout, "_split_generators", overtaken)
    dataset = load_dataset(config.data)
    assert len(dataset.train) == len(NAMES["train"])
    assert dataset.val[0]["name"] == NAMES["val"][0].encode()


def test_pair_is_an_image_and_its_mask(folder: Path) -> None:
    image, mask = read_pair(folder / "JPEGImages" / "a.jpg", mask_path(folder, "a"), 3)
    assert mask.shape == SIZE and image.shape == (*SIZE, 3)
    assert set(np.unique(mask)) == {0, 1, 2, 255}

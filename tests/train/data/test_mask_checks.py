"""Masks that are sound alone and wrong together; classes asked for and listed."""

import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data.dataset import find_dataset, load_dataset
from train.data.images import read_mask
from train.data.mask_checks import black_and_white, check_values
from train.data.voc_classes import VOC_CLASSES, read_classes

from ..conftest import MakeConfig, batches_of

SPLITS = ("train", "val")
COLORS = np.array([(0, 0, 0), (48, 112, 32), (176, 112, 32)], np.uint8)


def masks(folder: Path) -> list[Path]:
    return sorted((folder / "SegmentationClass").iterdir())


def write_labelmap(folder: Path) -> None:
    lines = zip(("ground", "red", "blue"), COLORS.tolist(), strict=True)
    (folder / "labelmap.txt").write_text(
        "".join(f"{name}:{r},{g},{b}::\n" for name, (r, g, b) in lines)
    )


def test_colors_of_labelmap_are_of_the_fingerprint(
    folder: Path, make_config: MakeConfig
) -> None:
    write_labelmap(folder)
    before = find_dataset(make_config().data).fingerprint
    labelmap = folder / "labelmap.txt"
    labelmap.write_text(labelmap.read_text().replace("176", "177"))
    assert find_dataset(make_config().data).fingerprint != before


@pytest.mark.parametrize("named", [True, False])
def test_black_and_white_masks_are_refused(
    folder: Path, make_config: MakeConfig, named: bool
) -> None:
    if not named:
        (folder / "class_names.txt").unlink()
    for path in masks(folder):
        white = np.where(read_mask(path) == 1, 255, 0).astype(np.uint8)
        Image.fromarray(white).save(path)
    said = "SegmentationClass have the values 0 and 255 alone.*its index, 1"
    with pytest.raises(UserError, match=said) as refused:
        load_dataset(make_config().data)
    _, command, last = str(refused.value).splitlines()
    whole = {path: path.read_bytes() for path in folder.rglob("*.*")}
    python = shlex.quote(sys.executable)
    subprocess.run(command.replace("python", python, 1), shell=True, check=True)
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == whole
    (copy,) = shlex.split(last.partition("--data ")[2])
    mended = load_dataset(make_config(data=copy).data)
    for index, path in enumerate(masks(folder)[:4]):
        expected = (read_mask(path) == 255).astype(np.uint8)
        np.testing.assert_array_equal(read_mask(mended.train[index]["label"]), expected)
    one = np.where(read_mask(masks(folder)[0]) == 255, 1, 0).astype(np.uint8)
    Image.fromarray(one).save(masks(folder)[0])
    assert len(load_dataset(make_config().data).train) == 4


def names_of(folder: Path, split: str) -> list[str]:
    listed = folder / "ImageSets" / "Segmentation" / f"{split}.txt"
    return listed.read_text().split()


@pytest.mark.parametrize("kept", [True, False])
def test_black_and_white_masks_are_refused_whatever_they_were_prepared_for(
    folder: Path, make_config: MakeConfig, tmp_path: Path, kept: bool
) -> None:
    for name in names_of(folder, "train"):
        path = folder / "SegmentationClass" / f"{name}.png"
        Image.fromarray((read_mask(path) > 0) * np.uint8(255)).save(path)
    exchanged = make_config(train_split="val", val_split="train").data
    assert len(load_dataset(exchanged).val) == 4
    for path in [] if kept else (tmp_path / "prepared").rglob("palettes.json"):
        path.unlink()
    with pytest.raises(UserError, match="have the values 0 and 255 alone"):
        load_dataset(make_config().data)
    assert len(load_dataset(exchanged).val) == 4


def test_the_copy_of_black_and_white_masks_keeps_others(folder: Path) -> None:
    every = masks(folder)
    one, classes = every[0], {path: read_mask(path) for path in every[1:]}
    white = Image.fromarray((read_mask(one) == 1) * np.uint8(255))
    white.putpalette([9, 9, 9] * 255 + [0, 0, 0])  # a dark one: values are what counts
    white.save(one)
    _, command, last = str(black_and_white(folder, one)).splitlines()
    python = shlex.quote(sys.executable)
    subprocess.run(command.replace("python", python, 1), shell=True, check=True)
    (copy,) = shlex.split(last.partition("--data ")[2])
    for path in every:
        found = read_mask(Path(copy) / path.relative_to(folder))
        expected = classes.get(path, np.asarray(white) == 255)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("name", "one"), [("Masks", "b/b.png"), ("gt", "a.png")])
def test_the_copy_of_black_and_white_masks_reads_no_images(
    tmp_path: Path, name: str, one: str
) -> None:
    """Which are PNG too, and of no indices."""
    root, white = tmp_path / "data", np.full((4, 4), 255, np.uint8)
    for place in (root / name, root / "Images"):
        place.mkdir(parents=True)
    colors = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    Image.fromarray(colors).save(root / "Images" / "a.png")
    for mask in ("a.png", "b/b.png"):
        (root / name / mask).parent.mkdir(exist_ok=True)
        Image.fromarray(white).save(root / name / mask)
    _, command, _ = str(black_and_white(root, root / name / one)).splitlines()
    python = shlex.quote(sys.executable)
    subprocess.run(command.replace("python", python, 1), shell=True, check=True)
    for mask in ("a.png", "b/b.png"):
        assert (read_mask(tmp_path / "data_bits" / name / mask) == 1).all()


def test_what_is_converted_is_not_to_be_copied(folder: Path) -> None:
    said = str(black_and_white(folder, masks(folder)[0], converted=True))
    assert str(folder) not in said and "python -c" not in said
    with pytest.raises(UserError, match=r"^the masks come out with the values 0 and"):
        check_values([0, 255], folder, masks(folder)[0], converted=True)
    for path in masks(folder):
        Image.fromarray(np.zeros((2, 2), np.uint8)).save(path)
    with pytest.raises(UserError, match="no class but 0. Name the classes with --cl"):
        read_classes(folder / "none", masks(folder), (), converted=True)


def test_rgb_masks_train_as_their_indices_do(
    folder: Path, make_config: MakeConfig
) -> None:
    config = make_config()
    expected = batches_of(load_dataset(config.data).train, config)
    palette = np.full((256, 3), (224, 224, 192), np.uint8)
    palette[:3] = COLORS
    for path in masks(folder):
        Image.fromarray(palette[read_mask(path)]).save(path)
    write_labelmap(folder)
    for batch, other in zip(
        batches_of(load_dataset(config.data).train, config), expected, strict=True
    ):
        np.testing.assert_array_equal(batch.label, other.label)


@pytest.mark.parametrize("listed", ["labelmap.txt", "class_names.txt"])
def test_classes_asked_for_must_be_those_listed(
    folder: Path,
    make_config: MakeConfig,
    listed: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if listed == "labelmap.txt":
        write_labelmap(folder)
    said = rf"{listed} names the classes ground, red, blue, but --classes .*has red, g"
    with pytest.raises(UserError, match=said):
        find_dataset(make_config(classes=("red", "ground", "blue")).data)
    same = find_dataset(make_config(classes=("ground", "red", "blue")).data)
    assert same.class_names == ("ground", "red", "blue")
    assert not capsys.readouterr().err
    presets = find_dataset(make_config(classes=tuple(VOC_CLASSES)).data)
    assert presets.class_names == same.class_names
    assert f"{listed} names the classes, in place of Pasc" in capsys.readouterr().err

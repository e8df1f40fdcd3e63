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
from train.data.mask_checks import MaskChecks, black_and_white
from train.data.palette import voc_colormap
from train.data.voc_classes import VOC_CLASSES, read_classes

from ..conftest import MakeConfig, batches_of

SPLITS = ("train", "val")
COLORS = np.array([(0, 0, 0), (48, 112, 32), (176, 112, 32)], np.uint8)


def masks(folder: Path) -> list[Path]:
    return sorted((folder / "SegmentationClass").iterdir())


def reorder(path: Path, order: tuple[int, ...]) -> None:
    """Writes a mask with class `order[i]` stored as i, and the colors of that."""
    stored = np.full(256, 255, np.uint8)
    stored[list(order)] = np.arange(len(order))
    image = Image.fromarray(stored[read_mask(path)])
    palette = np.full((256, 3), (224, 224, 192), np.uint8)
    palette[: len(order)] = COLORS[list(order)]
    image.putpalette(palette.tobytes())
    image.save(path)


def write_labelmap(folder: Path) -> None:
    lines = zip(("ground", "red", "blue"), COLORS.tolist(), strict=True)
    (folder / "labelmap.txt").write_text(
        "".join(f"{name}:{r},{g},{b}::\n" for name, (r, g, b) in lines)
    )


def test_palettes_in_different_orders_need_colors(
    folder: Path, make_config: MakeConfig
) -> None:
    drawn = [read_mask(path) for path in masks(folder)]
    for number, path in enumerate(masks(folder)):
        reorder(path, (0, 1, 2) if number % 2 else (0, 2, 1))
    said = r"b\.png shows 48,112,32 where the value is 1, but .*a\.png where it is 2"
    with pytest.raises(UserError, match=said + ".*Write labelmap"):
        load_dataset(make_config().data)
    write_labelmap(folder)
    found = load_dataset(make_config().data)
    for index in range(4):
        label = read_mask(found.train[index]["label"])
        np.testing.assert_array_equal(label, drawn[index])


@pytest.mark.parametrize("changed", ["train", "val"])
def test_palettes_of_splits_that_are_there_already_count(
    folder: Path, make_config: MakeConfig, changed: str
) -> None:
    """Where one split's masks were exported anew, the other's records are not."""
    lists = folder / "ImageSets" / "Segmentation"
    names = {split: (lists / f"{split}.txt").read_text().split() for split in SPLITS}
    for path in masks(folder):
        reorder(path, (0, 1, 2))
    load_dataset(make_config().data)
    for path in masks(folder):
        if path.stem in names[changed]:
            reorder(path, (0, 2, 1))
    with pytest.raises(UserError, match="palettes are in different orders"):
        load_dataset(make_config().data)
    for path in masks(folder):
        if path.stem in names[changed]:
            image = Image.fromarray(read_mask(path))  # gray now
            image.save(path)
    load_dataset(make_config().data)


def test_values_of_two_colors_are_told(
    folder: Path, make_config: MakeConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where a program numbers each file's colors anew: values may be no classes."""
    for number, path in enumerate(masks(folder)):
        image = Image.fromarray(np.minimum(read_mask(path), 1))
        image.putpalette([0, 0, 0, *((200, 0, 0), (0, 200, 0))[number % 2]])
        image.save(path)
    assert len(load_dataset(make_config().data).train) == 4
    said = capsys.readouterr().err
    first, second = masks(folder)[:2]
    assert said.count("warning") == 1
    assert f"warning: {second} shows 0,200,0 where the value is 1, but {first} " in said
    assert "200,0,0. Values are the classes. If colors are" in said


def test_equal_palettes_are_fine(folder: Path, make_config: MakeConfig) -> None:
    for path in masks(folder):
        image = Image.fromarray(read_mask(path))
        image.putpalette(voc_colormap().tobytes())
        image.save(path)
    Image.fromarray(read_mask(masks(folder)[1])).save(masks(folder)[1])  # one gray
    assert len(load_dataset(make_config().data).train) == 4


def test_colors_of_several_values_say_nothing_of_order(
    folder: Path, make_config: MakeConfig
) -> None:
    for path, colors in zip(masks(folder), ((1, 2, 2), (1, 3, 2)) * 3, strict=True):
        image = Image.fromarray(read_mask(path))
        palette = np.full((256, 3), 9, np.uint8)
        palette[:3] = np.array(colors)[:, None]
        image.putpalette(palette.tobytes())
        image.save(path)
    assert len(load_dataset(make_config().data).train) == 4


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


def test_what_is_converted_is_not_to_be_copied(folder: Path) -> None:
    said = str(black_and_white(folder, masks(folder)[0], converted=True))
    assert str(folder) not in said and "python -c" not in said
    with pytest.raises(UserError, match=r"^the masks come out with the values 0 and"):
        checks = MaskChecks(converted=True)
        checks.add(masks(folder)[0], np.array([0, 255], np.uint8))
        checks.finish(folder, masks(folder)[0])
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

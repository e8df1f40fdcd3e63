"""Colors of masks: compared over files, splits and commands, and kept with records."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.common.sealed import write_sealed
from train.data.dataset import Dataset, load_dataset
from train.data.images import read_mask
from train.data.mask_checks import MaskChecks
from train.data.palette import voc_colormap

from ..conftest import MakeConfig
from .test_mask_checks import COLORS, masks, write_labelmap

SPLITS = ("train", "val")
ORDERS = "palettes are in different orders"


def reorder(path: Path, order: tuple[int, ...]) -> None:
    """Writes a mask with class `order[i]` stored as i, and the colors of that."""
    stored = np.full(256, 255, np.uint8)
    stored[list(order)] = np.arange(len(order))
    image = Image.fromarray(stored[read_mask(path)])
    palette = np.full((256, 3), (224, 224, 192), np.uint8)
    palette[: len(order)] = COLORS[list(order)]
    image.putpalette(palette.tobytes())
    image.save(path)


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


def reordered(folder: Path, split: str) -> None:
    """Writes the masks of one split with the classes 1 and 2 exchanged in value."""
    names = (folder / "ImageSets" / "Segmentation" / f"{split}.txt").read_text().split()
    for path in masks(folder):
        reorder(path, (0, 2, 1) if path.stem in names else (0, 1, 2))


def alone(make_config: MakeConfig, split: str) -> Dataset:
    return load_dataset(make_config(train_split=split, val_split=split).data)


def kept(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "prepared").rglob("palettes.json"))


@pytest.mark.parametrize("before", [False, True])
def test_splits_that_were_prepared_apart_are_compared(
    folder: Path, make_config: MakeConfig, tmp_path: Path, before: bool
) -> None:
    """By what is kept beside their records, or by the masks where nothing is."""
    reordered(folder, "val")
    for split in SPLITS:
        alone(make_config, split)
    if before:
        for path in kept(tmp_path):
            path.unlink()
    said = r"e\.png shows 48,112,32 where the value is 2, but .*a\.png where it is 1"
    with pytest.raises(UserError, match=said):
        load_dataset(make_config().data)
    assert len(kept(tmp_path)) == 2
    for split in SPLITS:
        assert len(alone(make_config, split).train) == (4 if split == "train" else 2)


def test_values_of_two_colors_are_told_of_splits_prepared_apart(
    folder: Path, make_config: MakeConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in masks(folder):
        image = Image.fromarray(np.minimum(read_mask(path), 1))
        image.putpalette([0, 0, 0, *((200, 0, 0), (0, 200, 0))[path.stem in "ef"]])
        image.save(path)
    for split in SPLITS:
        alone(make_config, split)
    assert "warning" not in capsys.readouterr().err
    load_dataset(make_config().data)
    said = capsys.readouterr().err
    assert said.count("warning") == 1
    assert (
        f"warning: {masks(folder)[4]} shows 0,200,0 where the value is 1, but" in said
    )


def test_records_of_before_learn_what_masks_show(
    folder: Path,
    make_config: MakeConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for path in masks(folder):
        reorder(path, (0, 1, 2))
    expected = load_dataset(make_config().data).shown
    assert [(one.color, one.value) for one in expected] == [
        ("0,0,0", 0),
        ("48,112,32", 1),
        ("176,112,32", 2),
    ]
    assert {one.place for one in expected} == {masks(folder)[0]}
    contents = [path.read_bytes() for path in kept(tmp_path)]
    for path in kept(tmp_path):
        path.unlink()
    assert load_dataset(make_config().data).shown == expected
    assert [path.read_bytes() for path in kept(tmp_path)] == contents
    for path in kept(tmp_path):
        path.unlink()

    def full(*arguments: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr("train.data.voc_records.keep", full)
    assert load_dataset(make_config().data).shown == expected


@pytest.mark.parametrize(
    "colors",
    [None, {"1,2,3": [1, 4]}, {"1,2,300": [1, 0]}, {"1,2,3": [256, 0]}, {"a": [1]}],
)
def test_damage_to_what_is_kept_is_named(
    folder: Path, make_config: MakeConfig, tmp_path: Path, colors: object
) -> None:
    load_dataset(make_config().data)
    for path in kept(tmp_path):
        path.write_text("{") if colors is None else write_sealed(
            path, {"colors": colors, "values": [0]}
        )
    with pytest.raises(UserError, match="records of split 'train' cannot be read .*Mo"):
        load_dataset(make_config().data)


def test_only_colors_of_values_that_occur_count(
    folder: Path, make_config: MakeConfig
) -> None:
    """Programs fill palettes as they like."""
    for number, path in enumerate(masks(folder)):
        image = Image.fromarray(np.minimum(read_mask(path), 1))
        filling = ((9, 9, 9), (8, 8, 8)) if number % 2 else ((8, 8, 8), (9, 9, 9))
        image.putpalette([0, 0, 0, 200, 0, 0, *filling[0], *filling[1]])
        image.save(path)
    shown = load_dataset(make_config().data).shown
    assert [one.color for one in shown] == ["0,0,0", "200,0,0"]


def test_colors_of_a_labelmap_are_those_of_the_data(
    folder: Path, make_config: MakeConfig
) -> None:
    reordered(folder, "val")
    write_labelmap(folder)
    found = load_dataset(make_config().data)
    assert [(one.color, one.value) for one in found.shown] == [
        ("0,0,0", 0),
        ("48,112,32", 1),
        ("176,112,32", 2),
    ]
    assert found.by_color


def test_what_a_conversion_wrote_has_no_colors_of_the_user(folder: Path) -> None:
    reordered(folder, "val")
    checks = MaskChecks(made=folder)
    for path in masks(folder):
        assert checks.add(path, read_mask(path)) == []

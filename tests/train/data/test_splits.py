"""Folders without lists: --split, what it says, and that a run keeps it."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.common.errors import UserError
from train.data.dataset import DataOptions, DividedData, find_dataset
from train.data.splits import division
from train.workdir.run import Run

from ..conftest import MakeConfig
from .exports import (
    assert_same,
    labels,
    load,
    options,
    records,
    together,
    write_image,
    write_images,
    write_mask,
)

OPTIONS = ("--crop", "4", "4", "--loss", "softmax_cross_entropy")


@pytest.fixture
def unlisted(tmp_path: Path) -> Path:
    """A folder in VOC layout of ten images, as labelme exports it: without lists."""
    root = tmp_path / "unlisted"
    write_images(root / "JPEGImages", labels())
    for name, mask in labels().items():
        write_mask(root / "SegmentationClass" / f"{name}.png", mask)
    return root


def test_every_image_is_on_one_side(
    unlisted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = load(unlisted, split=0.3)
    said = "10 images without lists: 7 to train, 3 to val, by --split 0.3\n"
    assert capsys.readouterr().err.count(said) == 1
    assert (len(found.train), len(found.val)) == (7, 3)
    assert set(found.val_names) == records(found)["val"].keys()
    assert_same(together(found), labels())


def expected(fraction: float) -> tuple[str, ...]:
    """Returns the names that a permutation of the sorted names has first."""
    names = sorted(labels())
    order = np.random.default_rng(0).permutation(len(names))
    return tuple(sorted(names[index] for index in order[: round(10 * fraction)]))


def test_the_same_images_validate_always(unlisted: Path) -> None:
    found = find_dataset(options(unlisted, split=0.3))
    assert found.val_names == expected(0.3) == ("photo 2", "photo 4", "photo 6")


@settings(derandomize=True, deadline=None, max_examples=100)
@given(
    st.dictionaries(st.text(min_size=1), st.integers(0, 30), min_size=2, max_size=60),
    st.floats(0.05, 0.95),
)
def test_equal_images_stay_together(kinds: dict[str, int], fraction: float) -> None:
    images = {name: str(kind) for name, kind in kinds.items()}
    try:
        val = division(images, fraction)
    except UserError as error:
        assert "leaves one side without any of the" in str(error)
        return
    train = images.keys() - set(val)
    assert train and val
    assert not {images[name] for name in train} & {images[name] for name in val}
    assert division(dict(reversed(images.items())), fraction) == val


def test_fraction_is_kept_where_images_differ() -> None:
    images = {str(number): f"digest {number}" for number in range(617)}
    assert len(division(images, 0.2)) == 123
    assert division(images, 0) == ()


@pytest.mark.parametrize("fraction", [-0.1, 1, 1.5])
def test_fraction_is_below_one(unlisted: Path, fraction: float) -> None:
    with pytest.raises(UserError, match=r"--split must lie in \[0, 1\), got"):
        options(unlisted, split=fraction)


def test_refusals_give_the_way_out(folder: Path, unlisted: Path) -> None:
    with pytest.raises(
        UserError, match="unlisted has 10 images and no lists.*add --split 0.2 to"
    ):
        load(unlisted)
    with pytest.raises(UserError, match="--split 0.2 is not used: .*voc says itself"):
        load(folder, split=0.2)
    with pytest.raises(UserError, match="0.01 leaves one side without any of the 10"):
        load(unlisted, split=0.01)
    with pytest.raises(
        UserError, match="makes train and val, not 'train_aug': add --tr"
    ):
        load(unlisted, split=0.2, train_split="train_aug")
    with pytest.raises(UserError, match="--split needs --data; the built-in scenes"):
        DataOptions(split=0.2)


def test_folder_of_no_kind_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no JPEGImages/ and no Image.*data.md"):
        load(tmp_path, split=0.2)


def test_images_and_masks_that_do_not_match_are_named(unlisted: Path) -> None:
    (unlisted / "SegmentationClass" / "photo 3.png").unlink()
    (unlisted / "JPEGImages" / "photo 5.jpg").unlink()
    said = (
        "do not match: 1 of 9 images have no mask: photo 3; 1 masks have no image: "
        "photo 5. Add .* write lists"
    )
    with pytest.raises(UserError, match=said):
        load(unlisted, split=0.2)


def test_two_images_of_one_name_are_named(unlisted: Path) -> None:
    write_image(unlisted / "JPEGImages" / "photo 3.png")
    with pytest.raises(UserError, match=r"photo 3.jpg and .*photo 3.png have one name"):
        load(unlisted, split=0.2)


def test_files_of_the_system_are_no_images(unlisted: Path) -> None:
    (unlisted / "JPEGImages" / "._photo 1.jpg").write_bytes(b"\0")
    (unlisted / "JPEGImages" / "Thumbs.db").write_bytes(b"\0")
    assert len(together(load(unlisted, split=0.2))) == 10


def test_cvats_only_list_is_divided(unlisted: Path) -> None:
    lists = unlisted / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    names = sorted(labels())[:5]
    (lists / "default.txt").write_text("\n".join(names))
    found = load(unlisted, split=0.2)
    assert together(found).keys() == set(names) and len(found.val) == 1


def test_a_run_keeps_its_split(
    unlisted: Path, make_config: MakeConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_config(data=str(unlisted), split=0.3)
    run = Run(Path(config.run.workdir))
    found = find_dataset(config.data)
    run.begin(config)
    run.record(config.data, found)
    described = json.loads(run.dataset_path.read_text())
    assert tuple(described["val_names"]) == found.val_names == expected(0.3)
    assert run.with_split(config.data) == config.data  # data may still be mended
    (run.checkpoints / "1").mkdir(parents=True)

    for index in range(10, 15):
        write_image(unlisted / "JPEGImages" / f"photo {index}.jpg", index)
        write_mask(
            unlisted / "SegmentationClass" / f"photo {index}.png", labels()["photo 0"]
        )
    capsys.readouterr()
    kept = run.data_options(config.data)
    assert isinstance(kept, DividedData) and kept.split == 0
    again = find_dataset(kept)
    said = "15 images without lists: 12 to train, 3 to val, by the names of the run's"
    assert said in capsys.readouterr().err
    assert again.val_names == found.val_names
    assert again.splits["val"] == found.splits["val"]
    assert again.splits["train"] != found.splits["train"]
    assert find_dataset(config.data).val_names != found.val_names  # else it would move
    with pytest.raises(UserError, match="was trained on other data"):
        run.check_data(find_dataset(run.with_split(config.data)))

    (unlisted / "JPEGImages" / f"{found.val_names[0]}.jpg").unlink()
    (unlisted / "SegmentationClass" / f"{found.val_names[0]}.png").unlink()
    with pytest.raises(
        UserError, match=r"validates on 3 images .*not photo .*\(1 miss"
    ):
        find_dataset(kept)

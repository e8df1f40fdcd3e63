"""Folders of images beside folders of masks, pixel for pixel."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from train.common.errors import UserError
from train.data.palette import voc_colormap
from train.data.plain_pairs import ENDS

from .exports import (
    assert_same,
    labels,
    load,
    records,
    together,
    write_image,
    write_mask,
    write_pairs,
)
from .png_files import write_png

NAMES = sorted(labels())


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return write_pairs(tmp_path / "pairs", "images", "masks")


@pytest.mark.parametrize(
    ("images", "masks"),
    [("images", "masks"), ("imgs", "masks"), ("images", "labels")]
    + [("images", "annotations"), ("Images", "Masks"), ("IMGS", "Labels")],
)
@pytest.mark.parametrize("end", ENDS)
def test_masks_are_found_by_name(
    tmp_path: Path, images: str, masks: str, end: str
) -> None:
    root = write_pairs(tmp_path / "pairs", images, masks, end)
    assert_same(together(load(root, split=0.2)), labels())


def test_lists_beside_are_read(pairs: Path) -> None:
    (pairs / "train.txt").write_text("\n".join(NAMES[:6]))
    (pairs / "valid.txt").write_text("\n".join(NAMES[6:9]))
    (pairs / "masks" / f"{NAMES[9]}.png").unlink()  # is in no list
    found = records(load(pairs))
    assert list(found["train"]) == NAMES[:6] and list(found["val"]) == NAMES[6:9]
    with pytest.raises(UserError, match="--split 0.2 is not used: .*pairs says itself"):
        load(pairs, split=0.2)
    (pairs / "valid.txt").unlink()
    with pytest.raises(
        UserError, match="no val.txt or valid.txt or .*it has train.*hold"
    ):
        load(pairs)


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val", "VALID"])
@pytest.mark.parametrize("above", [True, False])
def test_folders_of_splits_are_read(tmp_path: Path, val: str, above: bool) -> None:
    root = tmp_path / "pairs"
    drawn = labels()
    for split, names in (("train", NAMES[:6]), (val, NAMES[6:])):
        for kind, end in (("images", ".jpg"), ("masks", "_mask.png")):
            folder = root / (f"{split}/{kind}" if above else f"{kind}/{split}")
            for shade, name in enumerate(names):
                if kind == "images":
                    write_image(folder / f"{name}{end}", shade)
                else:
                    write_mask(folder / f"{name}{end}", drawn[name])
    found = records(load(root))
    assert_same(found["train"], {name: drawn[name] for name in NAMES[:6]})
    assert_same(found["val"], {name: drawn[name] for name in NAMES[6:]})
    (root / (val if above else f"images/{val}")).rename(root / "images of val")
    with pytest.raises(UserError, match="no val/ or valid/ or .*--val-split train"):
        load(root)
    assert len(load(root, val_split="train", holdout=0.34).train) == 4


def test_of_two_cases_the_lower_goes_first(pairs: Path) -> None:
    (pairs / "Masks").mkdir(exist_ok=True)
    (pairs / "IMAGES").mkdir(exist_ok=True)
    assert_same(together(load(pairs, split=0.2)), labels())


def test_names_and_colors_of_classes_are_read(pairs: Path) -> None:
    colors = np.array([(9, 9, 9), (200, 0, 0), (0, 200, 0)], np.uint8)
    lines = ["sky:9,9,9::", "car:200,0,0::", "tree:0,200,0::"]
    (pairs / "labelmap.txt").write_text("\n".join(lines))
    palette = np.full((256, 3), (224, 224, 192), np.uint8)
    palette[:3] = colors
    for name, mask in labels().items():
        Image.fromarray(palette[mask]).save(pairs / "masks" / f"{name}.png")
    found = load(pairs, split=0.2)
    assert found.class_names == ("sky", "car", "tree")
    assert_same(together(found), labels())


def test_files_that_do_not_match_are_counted(pairs: Path) -> None:
    for name in NAMES[:7]:
        (pairs / "masks" / f"{name}.png").unlink()
    (pairs / "images" / f"{NAMES[9]}.jpg").unlink()
    said = "7 of 9 images have no mask: photo 0, .*photo 4, …; 1 masks have no image"
    with pytest.raises(UserError, match=said):
        load(pairs, split=0.2)


def test_one_mask_for_two_images_is_refused(pairs: Path) -> None:
    write_image(pairs / "images" / "photo 3_mask.jpg", 200)
    (pairs / "masks" / "photo 3.png").rename(pairs / "masks" / "photo 3_mask.png")
    said = r"mask of the images 'photo 3' and 'photo 3_mask'\. Name masks"
    with pytest.raises(UserError, match=said):
        load(pairs, split=0.2)


@pytest.mark.parametrize("end", [".jpg", ".txt", ".npy"])
def test_masks_of_other_formats_are_named(pairs: Path, end: str) -> None:
    mask = pairs / "masks" / f"{NAMES[2]}.png"
    mask.rename(mask.with_suffix(end))
    with pytest.raises(UserError, match=rf"photo 2\{end} is the mask .* read as \.png"):
        load(pairs, split=0.2)


def test_empty_folders_are_named(tmp_path: Path) -> None:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match=r"images has no images \(\.jpg, \.jpeg, \.p"):
        load(tmp_path, split=0.2)


def test_names_that_are_no_text_are_prepared(pairs: Path) -> None:
    odd = os.fsdecode(b"latin_\xff")
    for folder, end in (("images", ".jpg"), ("masks", ".png")):
        path = pairs / folder / f"{NAMES[0]}{end}"
        path.rename(path.with_name(odd + end))
    found = together(load(pairs, split=0.2))
    assert set(found) == {"latin_\\udcff", *NAMES[1:]}
    np.testing.assert_array_equal(found["latin_\\udcff"], labels()[NAMES[0]])


CHARACTERS = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\")
PART = st.text(CHARACTERS, min_size=1, max_size=12).filter(
    lambda text: not text.startswith(".") and len(text.encode()) < 100
)
FILE_NAMES = st.lists(
    st.one_of(PART, st.tuples(PART, PART).map("/".join)),
    min_size=2,
    max_size=4,
    unique_by=str.casefold,
).filter(lambda names: not {n + e for n in names for e in ENDS[1:]} & {*names})


def save_in_mode(path: Path, mask: np.ndarray, mode: str) -> None:
    """Writes indices as a file of a mode; RGB has the colors of `COLORS`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode == "RGB":
        Image.fromarray(voc_colormap()[mask]).save(path)
    elif mode == "P":
        write_mask(path, mask)
    else:
        write_png(path, mask, depth=8 if mode == "L" else 1)


@settings(derandomize=True, deadline=None, max_examples=25)
@given(
    FILE_NAMES,
    st.sampled_from(["L", "P", "RGB", "1"]),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.integers(0, 2**32),
    st.sampled_from(ENDS),
)
def test_any_name_mode_and_size(
    names: list[str], mode: str, size: tuple[int, int], seed: int, end: str
) -> None:
    rng = np.random.default_rng(seed)
    classes = 2 if mode == "1" else 3
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "pairs"
        drawn = {}
        for shade, name in enumerate(names):
            drawn[name] = rng.integers(0, classes, size, np.uint8)
            write_image(root / "images" / f"{name}.png", shade, size)
            save_in_mode(root / "masks" / f"{name}{end}.png", drawn[name], mode)
        listed = ("a", "b", "c")[:classes]
        if mode == "RGB":
            colors = voc_colormap()[:classes].tolist()
            (root / "labelmap.txt").write_text(
                "".join(
                    f"{name}:{','.join(map(str, color))}::\n"
                    for name, color in zip(listed, colors, strict=True)
                )
            )
        assert_same(together(load(root, split=0.5, classes=listed)), drawn)

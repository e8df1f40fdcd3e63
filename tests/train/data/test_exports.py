"""Exports in VOC layout as programs write them: labelme's and CVAT's."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.common.errors import UserError
from train.data.palette import voc_colormap

from .exports import (
    assert_same,
    labels,
    load,
    records,
    together,
    write_images,
    write_mask,
)

CLASSES = ("_background_", "cat", "tv/monitor")


def write_labelme(root: Path, *, old: bool) -> None:
    """Writes what labelme2voc does, in its layout until version 3 or after it."""
    write_images(root / "JPEGImages", labels())
    masks = "SegmentationClassPNG" if old else "SegmentationClass"
    arrays = "SegmentationClass" if old else "SegmentationClassNpy"
    for name, mask in labels().items():
        write_mask(root / masks / f"{name}.png", mask)
        (root / arrays).mkdir(exist_ok=True)
        values = np.where(mask == 255, -1, mask.astype(np.int32))  # __ignore__ is −1
        np.save(root / arrays / f"{name}.npy", values)
    write_images(root / "SegmentationClassVisualization", labels())
    (root / "class_names.txt").write_text("\n".join(CLASSES))  # without a last newline


@pytest.mark.parametrize("old", [True, False])
def test_labelmes_folders_are_read(tmp_path: Path, old: bool) -> None:
    root = tmp_path / "data_dataset_voc"
    write_labelme(root, old=old)
    found = load(root, split=0.2)
    assert found.class_names == CLASSES
    assert_same(together(found), labels())


def test_labelmes_ignored_label_is_no_class(tmp_path: Path) -> None:
    root = tmp_path / "data_dataset_voc"
    write_labelme(root, old=False)
    names = ("__ignore__", *CLASSES)  # labels.txt, put there by hand
    (root / "class_names.txt").write_text("\n".join(names))
    found = load(root, split=0.2)
    assert found.class_names == CLASSES
    assert_same(together(found), labels())


def write_cvat(root: Path, lists: dict[str, list[str]], end: str = ".jpg") -> None:
    """Writes "Segmentation mask 1.1" with images: RGB masks, objects beside."""
    write_images(root / "JPEGImages", labels(), end)
    colors = voc_colormap()
    for kind in ("SegmentationClass", "SegmentationObject"):
        for name, mask in labels().items():
            path = root / kind / f"{name}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(colors[mask]).save(path)
    folder = root / "ImageSets" / "Segmentation"
    folder.mkdir(parents=True)
    for split, names in lists.items():
        (folder / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
    lines = ["# label:color_rgb:parts:actions"]
    for name, color in zip(CLASSES, colors[:3].tolist(), strict=True):
        lines.append(f"{name}:{','.join(map(str, color))}::")
    (root / "labelmap.txt").write_text("\n".join(lines) + "\n")


def test_cvats_task_is_divided(tmp_path: Path) -> None:
    root = tmp_path / "task"
    write_cvat(root, {"default": list(labels())}, ".PNG")
    found = load(root, split=0.2)
    assert found.class_names == CLASSES
    assert_same(together(found), labels())
    held = load(root, holdout=0.2)  # the list is both, as before
    assert (len(held.train), len(held.val)) == (8, 2)


def test_cvats_subsets_are_lists(tmp_path: Path) -> None:
    names = list(labels())
    root = tmp_path / "project"
    write_cvat(root, {"Train": names[:6], "Validation": names[6:]})
    found = load(root, train_split="Train", val_split="Validation")
    assert list(records(found)["train"]) == names[:6]
    assert_same(together(found), labels())


def test_cvats_masks_without_images_are_named(tmp_path: Path) -> None:
    root = tmp_path / "task"
    write_cvat(root, {"default": list(labels())})
    (root / "JPEGImages").rename(root / "elsewhere")
    with pytest.raises(UserError, match=r"JPEGImages.photo 0\.jpg is missing, but"):
        load(root, split=0.2)

"""Small images and masks, and a whole way from a folder to its records."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from train.data.dataset import DataOptions, Dataset, find_dataset, prepare_dataset
from train.data.images import decode
from train.data.palette import voc_colormap

SIZE = (6, 8)
COUNT = 10


def labels(count: int = COUNT, classes: int = 3) -> dict[str, np.ndarray]:
    """Returns random class indices by name, all different; some pixels are ignored."""
    rng = np.random.default_rng(1)
    drawn = {}
    for index in range(count):
        drawn[f"photo {index}"] = rng.integers(0, classes, SIZE, np.uint8)
        drawn[f"photo {index}"][0, :2] = 255
    return drawn


def write_image(path: Path, shade: int = 0, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size[::-1], (20 * shade, 40, 90)).save(path)


def write_images(folder: Path, names: Mapping[str, object], end: str = ".jpg") -> None:
    for shade, name in enumerate(names):
        write_image(folder / f"{name}{end}", shade)


def write_mask(path: Path, mask: np.ndarray, *, palette: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(mask)
    if palette:
        image.putpalette(voc_colormap().tobytes())
    image.save(path)


def options(root: Path, **more: object) -> DataOptions:
    usual = {"folder": str(root), "prepared": str(root.parent / "prepared")}
    return DataOptions(**usual | more)  # type: ignore


def load(root: Path, **more: object) -> Dataset:
    chosen = options(root, **more)
    return prepare_dataset(find_dataset(chosen), chosen)


def records(dataset: Dataset) -> dict[str, dict[str, np.ndarray]]:
    """Returns the masks of both splits by the names of their images."""
    return {
        split: {
            source[index]["name"].decode(): decode(source[index]).label
            for index in range(len(source))
        }
        for split, source in (("train", dataset.train), ("val", dataset.val))
    }


def together(dataset: Dataset) -> dict[str, np.ndarray]:
    """Returns the masks of both splits, which have no image in common."""
    found = records(dataset)
    assert not found["train"].keys() & found["val"].keys()
    return found["train"] | found["val"]


def assert_same(
    found: Mapping[str, np.ndarray], drawn: Mapping[str, np.ndarray]
) -> None:
    assert found.keys() == drawn.keys()
    for name, mask in drawn.items():
        np.testing.assert_array_equal(found[name], mask, err_msg=name)


def write_pairs(root: Path, images: str, masks: str, end: str = "") -> Path:
    """Writes the masks of `labels` beside their images, in two folders."""
    write_images(root / images, labels())
    for name, mask in labels().items():
        write_mask(root / masks / f"{name}{end}.png", mask)
    return root

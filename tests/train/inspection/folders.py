"""Folders with faults, and their inspection."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from train.data.dataset import DataOptions
from train.inspection.contents import list_contents
from train.inspection.facts import facts_of_all
from train.inspection.summary import Summary, summarize

from ..conftest import SIZE


def options_of(folder: Path, **more: object) -> DataOptions:
    prepared = str(folder.parent / "prepared")
    return DataOptions(folder=str(folder), prepared=prepared, **more)  # type: ignore[arg-type]


def inspect(folder: Path, **more: object) -> Summary:
    options = options_of(folder, **more)
    contents = list_contents(options)
    return summarize(contents, facts_of_all(contents, options))


def image(folder: Path, name: str) -> Path:
    return folder / "JPEGImages" / f"{name}.jpg"


def mask(folder: Path, name: str) -> Path:
    return folder / "SegmentationClass" / f"{name}.png"


def rewrite(folder: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    for path in (folder / "SegmentationClass").iterdir():
        Image.fromarray(change(np.array(Image.open(path)))).save(path)


def truncated(folder: Path) -> None:
    image(folder, "b").write_bytes(image(folder, "b").read_bytes()[:400])


def empty_mask(folder: Path) -> None:
    mask(folder, "e").write_bytes(b"")


def other_size(folder: Path) -> None:
    Image.new("L", (10, 20)).save(mask(folder, "c"))


def stray_value(folder: Path) -> None:
    values = np.zeros(SIZE, np.uint8)
    values[5, 7] = 9
    Image.fromarray(values).save(mask(folder, "d"))


def jpeg_mask(folder: Path) -> None:
    Image.new("L", SIZE[::-1]).save(mask(folder, "a"), "JPEG")


def colored(folder: Path) -> None:
    Image.new("RGB", SIZE[::-1], (128, 0, 0)).save(mask(folder, "a"))


def black_and_white(folder: Path) -> None:
    rewrite(folder, lambda values: ((values > 0) * 255).astype(np.uint8))


def other_palette(folder: Path) -> None:
    for name, palette in (("a", [0, 0, 0, 9, 9, 9]), ("b", [9, 9, 9, 0, 0, 0])):
        picture = Image.fromarray(np.array(Image.open(mask(folder, name))) // 2)
        picture.putpalette(palette)
        picture.save(mask(folder, name))


def no_image(folder: Path) -> None:
    image(folder, "b").unlink()


def no_mask(folder: Path) -> None:
    mask(folder, "f").unlink()


def no_list(folder: Path) -> None:
    (folder / "ImageSets" / "Segmentation" / "val.txt").unlink()


def bad_names(folder: Path) -> None:
    (folder / "class_names.txt").write_text("ground\nred\nred\n")


def uncountable(folder: Path) -> None:
    (folder / "class_names.txt").unlink()
    stray_value(folder)


BREAKERS = [
    truncated,
    empty_mask,
    other_size,
    stray_value,
    jpeg_mask,
    colored,
    black_and_white,
    other_palette,
    no_image,
    no_mask,
    no_list,
    bad_names,
    uncountable,
]

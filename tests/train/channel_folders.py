"""Folders of images whose class shows in their last channel alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from train.data.forms import Form

from .data.channel_files import png, tiff

SIZE = (40, 48)
LISTS = {"train": "abcdef", "val": "gh"}


def make_folder(root: Path, form: Form, seed: int = 0) -> Path:
    """Writes images whose class shows in the last channel alone, TIFF and PNG."""
    rng = np.random.default_rng(seed)
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    for split, names in LISTS.items():
        (root / "ImageSets/Segmentation" / f"{split}.txt").write_text("\n".join(names))
        for number, name in enumerate(names):
            mask = np.zeros(SIZE, np.uint8)
            top, left = rng.integers(0, 16, 2)
            mask[top : top + 20, left : left + 24] = 1
            levels = 2**form.bits
            image = rng.integers(0, levels, (*SIZE, form.channels))
            middle = levels // 2 + (128 if form.bits == 16 else 0)
            image[..., -1] = np.where(mask, middle + 40, middle - 40)
            if form.bits == 8:
                image[..., -1] += rng.integers(-10, 10, SIZE)
            pixels = image.astype(form.dtype)
            content, ending = (tiff(pixels, deflate=True), "tif")
            if form.channels <= 4 and number % 2:
                content, ending = png(pixels), "png"
            (root / "JPEGImages" / f"{name}.{ending}").write_bytes(content)
            Image.fromarray(mask).save(root / "SegmentationClass" / f"{name}.png")
    (root / "class_names.txt").write_text("ground\nthing\n")
    return root


def options_of(form: Form, **more: Any) -> dict[str, Any]:
    return {
        "channels": form.channels,
        "bit_depth": form.bits,
        "preprocessing": "split",
        "normalization": "none",
        "classes": (),
        "scale": (1.0, 1.0),
        **more,
    }

"""Small files of COCO annotations, and the masks that they make."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco

from ..exports import write_image

SIZE = (20, 30)
CATEGORIES = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat", "supercategory": "x"}]
SQUARE = [[2, 2, 12, 2, 12, 12, 2, 12]]


def drawn(index: int) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Returns the annotations of an image, and the mask that they make.

    A large cat of two polygons, a small dog on it, listed first, in compressed lengths,
    a crowd of dogs below both in plain ones.
    """
    mask = np.zeros(SIZE, np.uint8)
    mask[10:19, 5:] = 255
    mask[2:12, 2:12] = mask[2:12, 20:25] = 1
    mask[4:8, 4 : 9 + index] = 2
    small = np.asfortranarray(mask == 2).astype(np.uint8)
    crowd = np.zeros(SIZE, np.uint8)
    crowd[10:19, 5:] = 1
    encoded = coco.encode(np.asfortranarray(small))
    size = list(SIZE)
    return [
        {
            "category_id": 7,
            "segmentation": {**encoded, "counts": encoded["counts"].decode()},
        },
        {"category_id": 3, "segmentation": [*SQUARE, [20, 2, 25, 2, 25, 12, 20, 12]]},
        {
            "category_id": 7,
            "segmentation": {"size": size, "counts": plain(crowd)},
            "iscrowd": 1,
        },
    ], mask


def plain(mask: np.ndarray) -> list[int]:
    changes = np.flatnonzero(np.diff(mask.T.ravel())) + 1
    return np.diff([0, *changes, mask.size]).tolist()


def content(names: Sequence[str], start: int = 0) -> dict[str, Any]:
    """Returns a file's content, as programs write it, of images by their names."""
    images = [
        {"id": 100 + i, "file_name": name, "height": 20, "width": 30, "license": 1}
        for i, name in enumerate(names)
    ]
    objects = [
        {"id": 10 * i + j, "image_id": 100 + i, "area": 1.5, "bbox": [0, 0, 1, 1], **it}
        for i in range(len(names))
        for j, it in enumerate(drawn(start + i)[0])
    ]
    info = {"description": "drawn", "year": 2024}
    return {
        "info": info,
        "licenses": [],
        "images": images,
        "annotations": objects,
        "categories": CATEGORIES,
    }


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def write_alone(root: Path, folder: str = "images") -> None:
    names = [f"{index}.jpg" for index in range(4)]
    for index, name in enumerate(names):
        write_image(root / folder / name, index, SIZE)
    write_json(root / "export.json", content(names))


def change(root: Path, **more: object) -> None:
    """Changes the first of the annotations of `write_alone`."""
    whole = json.loads((root / "export.json").read_text())
    whole["annotations"][0] |= more
    write_json(root / "export.json", whole)

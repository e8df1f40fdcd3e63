"""Images and masks: decoded, rescaled, padded.

Everything is decoded here, with Pillow, so pixels do not depend on TensorFlow's or
OpenCV's decoder.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from PIL import Image, ImageOps

from train.common.errors import UserError

IGNORED = 255  # the label of pixels that do not count

# What pads images: ImageNet's mean, within 0.7 of 255, so about zero; within 0.2 of
# zero where a preprocessing subtracts 127.
MEAN_COLOR = (123, 117, 104)


class Source(Protocol):
    """Records by index."""

    def __len__(self) -> int: ...  # noqa: D105

    def __getitem__(self, index: int) -> Mapping[str, Any]: ...  # noqa: D105


class Example(NamedTuple):
    """An image with its mask, or a batch of them."""

    image: np.ndarray  # uint8 [..., height, width, 3]
    label: np.ndarray  # uint8 [..., height, width]


def decode(record: Mapping[str, Any]) -> Example:
    """Returns the pixels of a prepared record."""
    return Example(read_image(record["image"]), read_mask(record["label"]))


def read_image(source: Path | bytes) -> np.ndarray:
    """Decodes an image to uint8 `[height, width, 3]`, upright by its EXIF orientation.

    Raises:
      UserError: the file is missing, truncated or no image.
    """
    image = _load(source, upright=True)
    if image.mode.startswith("I") or image.mode == "F":
        raise UserError(
            f"{_name(source)} has more than 8 bits a channel (mode {image.mode}). "
            "Convert it to 8 bits, with the contrast you want the network to see."
        )
    return np.asarray(image.convert("RGB"))


def read_mask(source: Path | bytes) -> np.ndarray:
    """Decodes a mask to the class indices it stores, uint8 `[height, width]`.

    Raises:
      UserError: the file is missing, broken, or holds colors instead of indices.
    """
    image = _load(source)
    if image.mode not in ("P", "L", "1"):
        raise UserError(
            f"{_name(source)} has mode {image.mode}: a mask must be a palette or "
            "grayscale PNG whose pixel values are class indices (255 is ignored). "
            "Convert it first, each color to the index of its class."
        )
    return np.asarray(image, np.uint8)


def encode(pixels: np.ndarray, format: str, **options: Any) -> bytes:
    """Returns the file of an image or a mask, in one of Pillow's formats."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()


def _name(source: Path | bytes) -> str:
    return "a prepared record" if isinstance(source, bytes) else str(source)


def _load(source: Path | bytes, *, upright: bool = False) -> Image.Image:
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with Image.open(file) as image:
            image.load()  # a truncated file is only noticed here
            return ImageOps.exif_transpose(image) if upright else image
    except FileNotFoundError as error:
        raise UserError(f"{source!s}: no such file.") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(
            f"{_name(source)} cannot be decoded ({error}). Replace the file, or leave "
            "it out."
        ) from error


def rescale(example: Example, scale: float) -> Example:
    """Returns the image resized linearly and its mask by nearest neighbor."""
    height, width = (max(1, round(side * scale)) for side in example.label.shape)
    size = (width, height)
    image = Image.fromarray(example.image).resize(size, Image.Resampling.BILINEAR)
    label = Image.fromarray(example.label).resize(size, Image.Resampling.NEAREST)
    return Example(np.asarray(image), np.asarray(label))


def at_height(example: Example, height: int) -> Example:
    """Returns the example at a height in pixels, aspect kept; 0 leaves it as it is."""
    return rescale(example, height / len(example.label)) if height else example


def blank(size: tuple[int, int]) -> Example:
    """Returns an image of the mean color, all of it ignored."""
    image = np.empty((*size, 3), np.uint8)
    image[:] = MEAN_COLOR
    return Example(image, np.full(size, IGNORED, np.uint8))


def pad(example: Example, size: tuple[int, int]) -> Example:
    """Returns the example in the top left of a canvas of `blank`."""
    canvas = blank(size)
    height, width = example.label.shape
    canvas.image[:height, :width] = example.image
    canvas.label[:height, :width] = example.label
    return canvas


def pad_to_multiple(example: Example, multiple: int) -> Example:
    """Returns the example padded to the next multiple of height and width."""
    height, width = (-(-side // multiple) * multiple for side in example.label.shape)
    return pad(example, (height, width))

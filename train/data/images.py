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
from PIL import ExifTags, Image, ImageOps

from train.common.errors import UserError
from train.data.masks import IGNORED, mask_indices

# What pads images: ImageNet's mean, within 0.7 of 255, so about zero; within 0.2 of
# zero where a preprocessing subtracts 127.
MEAN_COLOR = (123, 117, 104)

_ORIENTATION = ExifTags.Base.Orientation

Image.init()
_FORMATS = tuple(
    name
    for name in "JPEG PNG BMP GIF TIFF WEBP PPM JPEG2000 AVIF".split()
    if name in Image.OPEN  # as Pillow was built
)

# Of a file, which may claim any size; Pillow's own limit is lower, and only of its kind
# in each process. Prepared records have been checked.
Image.MAX_IMAGE_PIXELS = None
PIXEL_LIMIT = 1_000_000_000
_limit = PIXEL_LIMIT

Size = tuple[int, int]  # height and width, pixels


class Source(Protocol):
    """Records by index."""

    def __len__(self) -> int: ...  # noqa: D105

    def __getitem__(self, index: int) -> Mapping[str, Any]: ...  # noqa: D105


class Example(NamedTuple):
    """An image with its mask, or a batch of them."""

    image: np.ndarray  # uint8 [..., height, width, 3]
    label: np.ndarray  # uint8 [..., height, width]


def limit_pixels(limit: int) -> None:
    """Refuses files of more pixels from now on, in this process."""
    global _limit
    _limit = limit


def decode(record: Mapping[str, Any]) -> Example:
    """Returns the pixels of a prepared record."""
    return Example(read_image(record["image"]), read_mask(record["label"]))


def read_image(source: Path | bytes) -> np.ndarray:
    """Decodes an image to uint8 `[height, width, 3]`, upright by its EXIF orientation.

    Raises:
      UserError: the file is missing, truncated or no image.
    """
    image = _load(source)
    if image.mode.startswith("I") or image.mode == "F":
        raise UserError(
            f"{_name(source)} has more than 8 bits a channel (mode {image.mode}). "
            "Convert it to 8 bits, with the contrast you want the network to see."
        )
    return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def read_mask(source: Path | bytes, colors: np.ndarray | None = None) -> np.ndarray:
    """Decodes a mask to class indices, uint8 `[height, width]`, upright as images are.

    Args:
      source: the file.
      colors: uint8 `[classes, 3]` of labelmap.txt, by which colors are read.

    Raises:
      UserError: the file is missing, broken, or its indices cannot be told.
    """
    image = _load(source)
    content = source if isinstance(source, bytes) else source.read_bytes()
    indices = mask_indices(image, content, _name(source), colors)
    if (turned := image.getexif().get(_ORIENTATION, 1)) == 1:
        return indices
    upright = Image.fromarray(indices)
    upright.getexif()[_ORIENTATION] = turned
    return np.asarray(ImageOps.exif_transpose(upright))


def open_image(file: Path | io.BytesIO) -> Image.Image:
    """Opens a picture by its content, of one of the formats that Pillow decodes itself.

    It hands others to programs: EPS, whatever its ending, to Ghostscript.
    """
    return Image.open(file, formats=_FORMATS)


def orientation(path: Path) -> int:
    """Returns the EXIF orientation by which a file is turned, 1 for none."""
    with open_image(path) as image:
        return int(image.getexif().get(_ORIENTATION, 1))


def upright_size(path: Path) -> Size:
    """Returns height and width of an image as it is seen, from the head of its file.

    Raises:
      UserError: the file is no image, or is larger than `limit_pixels` allows.
    """
    try:
        with open_image(path) as image:
            _check_pixels(path, image)
            turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
            size = image.height, image.width
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(
            f"{path} cannot be decoded ({error}). Replace the file, or leave it out."
        ) from error
    return size[::-1] if turned else size


def mask_sizes(source: Source) -> list[Size]:
    """Returns height and width of every mask, from the heads of their files."""
    sizes = []
    for index in range(len(source)):
        with open_image(io.BytesIO(source[index]["label"])) as mask:
            sizes.append((mask.height, mask.width))
    return sizes


def encode(pixels: np.ndarray, format: str, **options: Any) -> bytes:
    """Returns the file of an image or a mask, in one of Pillow's formats."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()


def _name(source: Path | bytes) -> str:
    return "a prepared record" if isinstance(source, bytes) else str(source)


def _load(source: Path | bytes) -> Image.Image:
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with open_image(file) as image:
            if isinstance(source, Path):
                _check_pixels(source, image)
            image.load()  # a truncated file is only noticed here
            return image
    except FileNotFoundError as error:
        raise UserError(f"{source!s}: no such file.") from error
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # not of Pillow
            raise UserError(
                f"{source!s} cannot be read ({error.strerror}). Check its permissions "
                "and the disk it is on."
            ) from error
        raise UserError(
            f"{_name(source)} cannot be decoded ({error}). Replace the file, or leave "
            "it out."
        ) from error


def _check_pixels(path: Path, image: Image.Image) -> None:
    """Refuses what is larger than `limit_pixels` allows, before it takes memory."""
    count = image.width * image.height
    if count > _limit:
        raise UserError(
            f"{path} has {image.width}×{image.height} = {count} pixels, more than the "
            f"{_limit} of --pixel-limit. If it is meant to be as large, give the "
            f"command again with --pixel-limit {count}."
        )


def rescale(example: Example, scale: float) -> Example:
    """Returns the image resized linearly and its mask by nearest neighbor."""
    height, width = (max(1, round(side * scale)) for side in example.label.shape)
    size = (width, height)
    image = Image.fromarray(example.image).resize(size, Image.Resampling.BILINEAR)
    label = Image.fromarray(example.label).resize(size, Image.Resampling.NEAREST)
    return Example(np.asarray(image), np.asarray(label))


def at_height(example: Example, height: int) -> Example:
    """Returns the example at a height in pixels, aspect kept; 0 leaves it as it is.

    Raises:
      UserError: it would be larger than `limit_pixels` allows.
    """
    if not height:
        return example
    scale = height / len(example.label)
    count = round(example.label.size * scale**2)
    if count > _limit:
        raise UserError(
            f"--image-height {height} gives an image {count} pixels, more than the "
            f"{_limit} of --pixel-limit. Choose a smaller height."
        )
    return rescale(example, scale)


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

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
from PIL import Image

from train.common.errors import UserError
from train.common.regular import read_regular
from train.data.channels import decode_array, is_array, read_channels
from train.data.forms import RGB, Form, form_of
from train.data.image_files import (
    ORIENTATION,
    check_pixel_sums,
    check_pixels,
    most_bytes,
    opened,
)
from train.data.masks import IGNORED, check_is_png, mask_indices
from train.data.origin import Origin, check_fits, check_label, checking, name_in
from train.data.palette import as_rgb

# What pads RGB images: ImageNet's mean, about zero by whichever preprocessing.
MEAN_COLOR = (123, 117, 104)
Pixel = tuple[int, ...]  # of a pixel, a level for each channel
Size = tuple[int, int]  # height and width, pixels

# How many times larger images are made: what a model says of that costs its square.
_ENLARGED = 16


class Source(Protocol):
    """Records by index."""

    def __len__(self) -> int: ...  # noqa: D105
    def __getitem__(self, index: int) -> Mapping[str, Any]: ...  # noqa: D105


class Example(NamedTuple):
    """An image with its mask, or a batch of them."""

    image: np.ndarray  # uint8 or uint16 [..., height, width, channels]
    label: np.ndarray  # uint8 [..., height, width]


def decode(record: Mapping[str, Any]) -> Example:
    """Returns the pixels of a prepared record.

    Raises:
      UserError: it is damaged, or no record of its data; see `origin.py`.
    """
    with checking(record) as origin:
        image = record["image"]
        pixels = decode_array(image) if is_array(image) else read_image(image)
        label = _label_in(record, origin)
        check_fits(pixels, label, origin)
        if origin:
            name_in(record, origin)
        return Example(pixels, label)


def decode_label(record: Mapping[str, Any]) -> np.ndarray:
    """Returns the mask of a prepared record; raises as `decode` does."""
    with checking(record) as origin:
        return _label_in(record, origin)


def _label_in(record: Mapping[str, Any], origin: Origin | None) -> np.ndarray:
    label = read_mask(record["label"])
    check_label(label, origin)
    return label


def read_image(source: Path | bytes, form: Form = RGB) -> np.ndarray:
    """Decodes an image `[height, width, channels]`, upright by its EXIF orientation.

    Args:
      source: the file; content is read as RGB.
      form: of the pixels. To RGB of 8 bits other pictures of 8 bits are converted, and
        images of any other form must have it.

    Raises:
      UserError: the file is missing, truncated, no image, or of another form.
    """
    if not form.is_rgb and isinstance(source, Path):
        return upright(*read_channels(source, form))
    with opened(source) as image:
        if image.mode.startswith("I") or image.mode == "F":
            raise UserError(
                f"{_name(source)} has more than 8 bits a channel (mode {image.mode}). "
                "Convert it to 8 bits, with the contrast you want the network to see, "
                "or train with --bit-depth 16 (and --channels)."
            )
        check_pixel_sums(image, whole=isinstance(source, Path))
        image.load()  # a truncated file is only noticed here
        return upright(np.asarray(as_rgb(image)), image.info[ORIENTATION])


def read_mask(
    source: Path | bytes,
    colors: np.ndarray | None = None,
    *,
    red: bool = False,
    name: str = "",
) -> np.ndarray:
    """Decodes a mask to class indices, uint8 `[height, width]`, upright as images are.

    Args:
      source: the file, or its content.
      colors: uint8 `[classes, 3]` of labelmap.txt, by which colors are read.
      red: whether the red of its colors is what is read.
      name: of content that is no prepared record. It is checked whole, as files are.

    Raises:
      UserError: the file is missing, broken, or its indices cannot be told.
    """
    named = bool(name) or isinstance(source, Path)
    name = name or _name(source)
    with opened(source, name) as image:  # refused by its head before all of it is read
        check_is_png(image, name)
        most = most_bytes(image.width * image.height)
        content = source if isinstance(source, bytes) else read_regular(source, most)
        check_pixel_sums(image, whole=named)
        image.load()
        turned = image.info[ORIENTATION]
        if turned != 1 and not named:  # by whose head alone its size is told
            raise ValueError("it is turned by its EXIF, as no prepared mask is")
        return upright(mask_indices(image, content, name, colors, red), turned)


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Returns pixels `[height, width, ...]` as they are seen, by EXIF's number."""
    if orientation >= 5:  # rows are columns
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def orientation(source: Path | bytes, name: str = "") -> int:
    """Returns the EXIF orientation by which a file is turned, 1 for none."""
    with opened(source, name) as image:
        return image.info[ORIENTATION]


def upright_size(path: Path) -> Size:
    """Returns height and width of an image as it is seen, from the head of its file.

    Raises:
      UserError: the file is no image, or is larger than `limit_pixels` allows.
    """
    with opened(path) as image:
        size = image.height, image.width
        return size[::-1] if image.info[ORIENTATION] >= 5 else size


def mask_sizes(source: Source) -> list[Size]:
    """Returns height and width of every mask, from the heads of their files."""
    sizes = []
    for index in range(len(source)):
        with checking(record := source[index]), opened(record["label"]) as mask:
            sizes.append((mask.height, mask.width))
    return sizes


def has_label(record: Mapping[str, Any]) -> bool:
    """Returns whether any pixel of a record's mask counts."""
    return bool((decode_label(record) != IGNORED).any())


def encode(pixels: np.ndarray, format: str, **options: Any) -> bytes:
    """Returns the file of an image or a mask, in one of Pillow's formats."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()


def _name(source: Path | bytes) -> str:
    return "a prepared record" if isinstance(source, bytes) else str(source)


def rescale(example: Example, scale: float) -> Example:
    """Returns the image resized linearly and its mask by nearest neighbor."""
    tall, wide = example.label.shape
    size = rescaled_size((tall, wide), scale)[::-1]
    label = Image.fromarray(example.label).resize(size, Image.Resampling.NEAREST)
    return Example(_resized(example.image, size), np.asarray(label))


def rescaled_size(size: Size, scale: float) -> Size:
    """Returns height and width times a scale, rounded, at least 1."""
    height, width = (max(1, round(side * scale)) for side in size)
    return height, width


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns an image at another width and height."""
    if form_of(image).is_rgb:
        picture = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
        return np.asarray(picture)
    resized = [  # as numbers, so that no level is lost
        np.asarray(Image.fromarray(channel).resize(size, Image.Resampling.BILINEAR))
        for channel in np.moveaxis(image.astype(np.float32), -1, 0)
    ]
    return np.floor(np.stack(resized, axis=-1) + 0.5).astype(image.dtype)


def check_enlarged(
    pixels: int, height: int, what: str, way_out: str, largest: float = 1.0
) -> None:
    """Refuses to make an image larger than any network is trained to see it.

    Args:
      pixels: height of the image.
      height: that it is resized to; 0 leaves it as it is.
      what: the image, for messages.
      way_out: likewise.
      largest: scale at which it is then seen.

    Raises:
      UserError: it would be 16 times larger a side; the message says how much.
    """
    times = (height or pixels) / pixels * max(1.0, largest)
    if times > _ENLARGED:
        scale = f" and a scale of {largest:g}" if largest > 1 else ""
        raise UserError(
            f"{what} is {pixels} pixels high: --image-height {height}{scale} would "
            f"enlarge it {times:.4g} times a side, more than {_ENLARGED}. {way_out}"
        )


def at_height(example: Example, height: int, name: str = "an image") -> Example:
    """Returns the example at a height in pixels, aspect kept; 0 leaves it as it is.

    Args:
      example: of any size.
      height: pixels.
      name: of the image's file, for messages.

    Raises:
      UserError: it would be larger than `limit_pixels` allows, or than
        `check_enlarged` does.
    """
    if not height:
        return example
    way_out = (
        "Choose a smaller --image-height (a run's is that of its training), or make "
        "the images larger first."
    )
    check_enlarged(len(example.label), height, name, way_out)
    scale = height / len(example.label)
    check_pixels(
        round(example.label.size * scale**2),
        f"--image-height {height} gives an image",
        "Choose a smaller height.",
    )
    return rescale(example, scale)


def blank(
    size: tuple[int, int], color: Pixel = MEAN_COLOR, dtype: np.dtype = RGB.dtype
) -> Example:
    """Returns an image of one color, the mean, all of it ignored."""
    image = np.full((*size, len(color)), color, dtype)
    return Example(image, np.full(size, IGNORED, np.uint8))


def pad(example: Example, size: tuple[int, int], color: Pixel = MEAN_COLOR) -> Example:
    """Returns the example in the top left of a canvas of `blank`."""
    canvas = blank(size, color, example.image.dtype)
    height, width = example.label.shape
    canvas.image[:height, :width] = example.image
    canvas.label[:height, :width] = example.label
    return canvas


def pad_to_multiple(
    example: Example, multiple: int, color: Pixel = MEAN_COLOR
) -> Example:
    """Returns the example padded to the next multiple of height and width."""
    height, width = example.label.shape
    return pad(example, padded_size((height, width), multiple), color)


def padded_size(size: Size, multiple: int) -> Size:
    """Returns the next multiples of height and width."""
    height, width = (-(-side // multiple) * multiple for side in size)
    return height, width

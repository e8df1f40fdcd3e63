"""Masks as pictures: class colors, palette PNGs and overlays."""

import io
from typing import Any

import numpy as np
from PIL import Image


def voc_colormap(count: int = 256) -> np.ndarray:
    """Returns Pascal VOC's color map, in which neighboring classes differ most.

    The bits of a class index are dealt out to red, green and blue in turn, each
    channel filled from its highest bit down.

    Args:
      count: How many colors, from class 0 on; the full map has 256.

    Returns:
      uint8 [count, 3], red, green and blue.

    >>> voc_colormap()[[0, 1, 2, 255]].tolist()
    [[0, 0, 0], [128, 0, 0], [0, 128, 0], [224, 224, 192]]
    """
    bits = (np.arange(count)[:, None] >> np.arange(24)) & 1
    places = 7 - np.arange(8)
    channels = bits.reshape(count, 8, 3) << places[:, None]
    return channels.sum(axis=1).astype(np.uint8)


VOID_COLOR = voc_colormap()[255]


def colorize(mask: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Paints each pixel in its class's color.

    Args:
      mask: uint8 [H, W], class indices.
      colors: uint8 [C, 3], the data set's colors.

    Returns:
      uint8 [H, W, 3]; indices from C on, void among them, are `VOID_COLOR`.
    """
    palette = np.tile(VOID_COLOR, (256, 1))
    palette[: len(colors)] = colors
    return palette[mask]


def mask_image(mask: np.ndarray, colors: np.ndarray) -> Image.Image:
    """Returns a mask as a palette image, whose pixel values are the class indices.

    Args:
      mask: uint8 [H, W], class indices.
      colors: uint8 [C, 3], the palette's first entries; the rest is the VOC map.

    Returns:
      An image of mode "P", W wide and H high.
    """
    palette = voc_colormap()
    palette[: len(colors)] = colors
    image = Image.fromarray(mask)
    image.putpalette(palette.tobytes())
    return image


def mask_png(mask: np.ndarray, colors: np.ndarray) -> bytes:
    """Returns a mask as a palette PNG, the form of Pascal VOC's own masks.

    Args:
      mask: uint8 [H, W], class indices.
      colors: uint8 [C, 3], the data set's colors.
    """
    file = io.BytesIO()
    mask_image(mask, colors).save(file, format="PNG")
    return file.getvalue()


def overlay(
    image: np.ndarray,
    mask: np.ndarray,
    colors: np.ndarray,
    *,
    opacity: float = 0.5,
    ignore_label: int = 255,
) -> np.ndarray:
    """Lays a mask's colors over its photograph.

    Args:
      image: uint8 [H, W, 3], the photograph.
      mask: uint8 [H, W], class indices.
      colors: uint8 [C, 3], the data set's colors.
      opacity: Of the colors; 0 gives the photograph, 1 the painted mask.
      ignore_label: The void value; such pixels are left as the photograph.

    Returns:
      uint8 [H, W, 3].
    """
    painted = np.float32(opacity) * colorize(np.arange(256, dtype=np.uint8), colors)
    blend = image * np.float32(1 - opacity)
    blend += np.take(painted, mask, axis=0)
    laid = np.rint(blend, out=blend).astype(np.uint8)
    void = mask == ignore_label
    if void.any():
        laid[void] = image[void]
    return laid


def as_rgb(image: Image.Image) -> Image.Image:
    """Returns a decoded image as RGB.

    Raises:
      ValueError: it has pixels of colors that its palette lacks, which Pillow takes for
        black.
    """
    if image.mode == "P" and (palette := image.palette):
        entries = len(palette.palette) // len(palette.mode)
        largest: Any = image.getextrema()[1]
        if largest >= entries:
            raise ValueError(f"it has color {largest} of a palette of {entries} colors")
    return image.convert("RGB")


def color_codes(pixels: np.ndarray) -> np.ndarray:
    """Returns a number for the color of each pixel, by which colors are told apart.

    Args:
      pixels: `[..., 3]`, values of 8 bits.
    """
    return pixels @ np.array([65536, 256, 1], np.int32)


def colors_of(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the colors that there are, uint8 `[n, 3]` in order, and pixels of each.

    By a number for each color: a picture may have as many colors as pixels, of which
    sorting rows takes minutes.

    Args:
      pixels: `[..., 3]`, values of 8 bits.
    """
    codes, counts = np.unique(color_codes(pixels), return_counts=True)
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], 1).astype(
        np.uint8
    ), counts

"""Masks: from the pixels of a picture to the class indices that they mean.

A pixel's stored value is its class. Colors are read only by a `labelmap.txt`, which
gives each class one; where value and color say different things, neither is guessed.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from PIL import Image

from train.common.errors import UserError
from train.common.regular import check_size
from train.data.image_files import most_bytes, opened
from train.data.palette import VOID_COLOR, color_codes, colors_of
from train.data.png_chunks import depth_and_kind, palette_alpha

IGNORED = 255  # the label of pixels that do not count

_OTHER_BYTES = 2**22  # of a file, beside its pixels
_LOSSY = {"JPEG": "JPEG", "WEBP": "WebP"}  # by default
_GRAY, _GRAY_ALPHA = 0, 4  # PNG's color types


def mask_indices(
    image: Image.Image, content: bytes, name: str, colors: np.ndarray | None, red: bool
) -> np.ndarray:
    """Returns the class indices of a mask, uint8 `[height, width]`.

    Args:
      image: the PNG as Pillow decodes it.
      content: the file, since Pillow scales or cuts some depths.
      name: of the file, for messages.
      colors: uint8 `[classes, 3]` of labelmap.txt; None where there is none.
      red: whether the mask is of colors, whose red are the indices.

    Raises:
      UserError: what its pixels mean cannot be told; the message says what the file is.
    """
    most = most_bytes(image.width * image.height, other=_OTHER_BYTES)
    check_size(name, len(content), most)
    _check_opaque(_clear(image, content), name)
    if image.mode == "P" and not red:
        return _of_palette(image, name, colors)
    pixels, depth = _opaque_pixels(image, content, name)
    if red:
        if pixels.ndim == 2:
            raise UserError(f"{name} holds no colors, whose red are its classes.")
        return pixels[..., 0]
    if pixels.ndim == 2:
        return _of_gray(pixels, depth, name, colors)
    if colors is not None:
        return _by_color(pixels, name, colors)
    if (pixels == pixels[..., :1]).all():
        return pixels[..., 0]  # gray, saved with three channels
    listed = _listed(colors_of(pixels)[0])
    raise UserError(
        f"{name} holds colors ({image.mode}), not class indices: {listed}. Write "
        "labelmap.txt in the folder of the data, in the order of the classes a line "
        "NAME:red,green,blue:: for each, and masks are read by color."
    )


def check_is_png(image: Image.Image, name: str) -> None:
    """Refuses masks of other formats, whatever their ending says.

    Some keep pixels approximately; of others Pillow stretches or hides values.
    """
    if image.format in _LOSSY:
        raise UserError(
            f"{name} holds {_LOSSY[image.format]}, which may change the values of "
            "pixels, so that some are of another class than was drawn. Export the "
            "masks once more, as PNG, from the program that drew them; converting this "
            "file does not mend it."
        )
    if image.format != "PNG":
        raise UserError(
            f"{name} holds {image.format}, which is not read as a mask. Save it as a "
            "grayscale or palette PNG with the same values."
        )


def _opaque_pixels(
    image: Image.Image, content: bytes, name: str
) -> tuple[np.ndarray, int]:
    """Returns the values stored, `[height, width]` of gray, else `[…, 3]`; and bits."""
    depth, kind = depth_and_kind(content)
    if (depth, kind) == (16, _GRAY_ALPHA):
        pixels = _deep_gray_with_alpha(content)
    elif depth == 16 and kind != _GRAY:
        raise UserError(
            f"{name} holds colors of 16 bits a channel. Save it with 8 bits a channel, "
            "or as grayscale whose values are class indices."
        )
    else:
        pixels = np.asarray(image)
    if image.mode in ("LA", "RGBA"):
        pixels = _without_alpha(pixels, name)
    if pixels.dtype == bool:
        return pixels.astype(np.uint8), 1
    if depth < 8:  # which Pillow scales to the levels 0 to 255
        pixels = pixels // _scale(depth)
    return pixels, depth


def _scale(depth: int) -> int:
    """Returns the gray level of 0 to 255 that the value 1 is shown at."""
    return 255 // (2**depth - 1)


def _deep_gray_with_alpha(content: bytes) -> np.ndarray:
    """Returns 16-bit gray and alpha, `[height, width, 2]`, of which Pillow keeps half.

    With another header the same bytes are four channels of 8 bits: both have four bytes
    a pixel, which is all that PNG's filters and interlacing know.
    """
    header = b"IHDR" + content[16:24] + bytes([8, 6]) + content[26:29]
    checked = header + struct.pack(">I", zlib.crc32(header))
    with opened(content[:12] + checked + content[33:]) as halves:
        pairs = np.asarray(halves).astype(np.uint16)
    return pairs[..., 0::2] * 256 + pairs[..., 1::2]


def _without_alpha(pixels: np.ndarray, name: str) -> np.ndarray:
    """Returns gray `[height, width]` or RGB of pixels that are all opaque."""
    _check_opaque(pixels[..., -1] != np.iinfo(pixels.dtype).max, name)
    return pixels[..., 0] if pixels.shape[-1] == 2 else pixels[..., :3]


def _clear(image: Image.Image, content: bytes) -> np.ndarray:
    """Returns which pixels are of a value or color that the file makes transparent."""
    found = image.info.get("transparency")
    if found is None:
        return np.zeros((1, 1), bool)
    pixels = np.asarray(image)
    if image.mode == "P":  # of some palettes Pillow tells one transparent entry alone
        alpha = palette_alpha(content).ljust(256, b"\xff")
        return (np.frombuffer(alpha, np.uint8) != 255)[pixels]
    depth, _ = depth_and_kind(content)
    levels = np.array(found) & (2**depth - 1)  # higher bits say nothing
    if image.mode == "L":
        levels *= _scale(depth)
    clear = pixels == levels
    return clear.all(axis=-1) if clear.ndim == 3 else clear


def _check_opaque(clear: np.ndarray, name: str) -> None:
    """Refuses a mask some pixels of which are transparent, `[height, width]`."""
    if clear.any():
        row, column = np.argwhere(clear)[0].tolist()
        raise UserError(
            f"{name} has {clear.sum()} transparent pixels, the first at ({row}, "
            f"{column}): whether those are of a class or ignored is not said. Save it "
            "without transparency; ignored pixels have the value 255."
        )


def _of_gray(
    values: np.ndarray, depth: int, name: str, colors: np.ndarray | None
) -> np.ndarray:
    """Returns gray values as indices; as colors where they can be nothing else."""
    if colors is None:
        return _as_indices(values, name)
    used, places = np.unique(values.astype(np.int64), return_inverse=True)
    levels = _levels(used, depth)
    grays = colors[(colors == colors[:, :1]).all(axis=1), 0]
    known = np.isin(levels, grays)
    counts = used != IGNORED  # of indices, that which needs no color
    beyond = (used[counts] >= len(colors)).any()
    if not known.any() or not (known if beyond else known[counts]).all():
        return _as_indices(values, name)
    if beyond:
        shown = levels[places].reshape(*values.shape, 1).repeat(3, axis=-1)
        return _by_color(shown, name, colors)
    index = used[known]
    if index[-1] < len(colors) and (colors[index] == levels[known, None]).all():
        return values.astype(np.uint8)  # both say the same
    raise UserError(
        f"{name} is grayscale with the values {', '.join(map(str, used.tolist()))}, "
        "which are class indices (255 is ignored) and colors of labelmap.txt as well, "
        "of other classes. If they are indices, give the gray classes of labelmap.txt "
        "other colors; if they are colors, save the mask as RGB."
    )


def _levels(values: np.ndarray, depth: int) -> np.ndarray:
    """Returns the gray levels of 0 to 255 of values, −1 of those between levels."""
    if depth <= 8:
        return values * _scale(depth)
    return np.where(values % 257 == 0, values // 257, -1)


def _as_indices(values: np.ndarray, name: str) -> np.ndarray:
    if values.dtype == np.uint8:
        return values
    wrong = (values < 0) | (values > IGNORED)
    if wrong.any():
        raise UserError(
            f"{name} is grayscale of more than 8 bits with the value "
            f"{values[wrong][0]}, which is no class index: those are 0 to 254, and 255 "
            "is ignored. Save it with the index of its class at each pixel."
        )
    return values.astype(np.uint8)


def _of_palette(image: Image.Image, name: str, colors: np.ndarray | None) -> np.ndarray:
    """Returns the indices of a palette mask; by color where labelmap.txt differs."""
    indices = np.asarray(image)
    if colors is None:
        return indices
    used = np.unique(indices)
    palette = np.full((256, 3), -1)
    listed = np.array(image.getpalette("RGB"), np.int64).reshape(-1, 3)
    palette[: len(listed)] = listed
    if (palette[used] == used[:, None]).all():
        return _of_gray(indices, 8, name, colors)
    classes, last = used[used < len(colors)], palette[IGNORED]
    others = palette[used[(used >= len(colors)) & (used != IGNORED)]]
    is_void = len(others) and (others == VOID_COLOR).all()
    is_own = (palette == last).all(axis=1).sum() == 1  # no filling of a palette
    if not (IGNORED in used and is_own and (colors == last).all(axis=1).any()):
        same = len(classes) and (palette[classes] == colors[classes]).all()
        if same and not is_void:
            return indices  # a value that is no class is refused as such
        if set(used.tolist()) <= {IGNORED}:
            return indices
    return _by_color(palette[indices], name, colors)


def _by_color(pixels: np.ndarray, name: str, colors: np.ndarray) -> np.ndarray:
    """Returns the classes of colors, Pascal VOC's void color as ignored.

    Raises:
      UserError: a color is no class's, or that of several.
    """
    seen, places = np.unique(color_codes(pixels), return_inverse=True)
    known = {int(color_codes(VOID_COLOR)): IGNORED}
    known |= {code: index for index, code in enumerate(color_codes(colors).tolist())}
    classes = np.full(len(seen), -1)
    for code, index in known.items():
        classes[seen == code] = index
    labels = classes[places].reshape(pixels.shape[:2])
    if (classes < 0).any():
        raise UserError(_unknown_colors(pixels[labels < 0], name))
    for index in set(classes.tolist()) - {IGNORED}:
        if (colors == colors[index]).all(axis=1).sum() > 1:
            raise UserError(
                f"{name} has to be read by color, but labelmap.txt gives "
                f"{_listed(colors[index : index + 1])} to several classes. Give each "
                "class a color of its own, there and in the masks."
            )
    return labels.astype(np.uint8)


def _unknown_colors(pixels: np.ndarray, name: str) -> str:
    """Returns the refusal of pixels `[n, 3]` whose colors no class has."""
    if (pixels < 0).any():
        return (
            f"{name} has values that its own palette gives no color, and other colors "
            "than labelmap.txt. Save it as a grayscale or palette PNG whose values are "
            "class indices."
        )
    found, _ = colors_of(pixels)
    return (
        f"{name} has {len(pixels)} pixels of colors that labelmap.txt gives no class: "
        f"{_listed(found)}. Give each a line NAME:red,green,blue:: there. Colors "
        "between those of classes come from smoothing or a lossy copy: export the mask "
        "without. If its values are class indices whatever its colors, save it as "
        "grayscale."
    )


def _listed(colors: np.ndarray) -> str:
    shown = [",".join(map(str, color)) for color in colors[:5].tolist()]
    return "; ".join(shown) + (f"; … ({len(colors)} in all)" if len(colors) > 5 else "")

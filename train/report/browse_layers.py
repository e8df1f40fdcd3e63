"""Pictures of a browsed image: layers that a page lays over one another."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from train.data.palette import mask_image
from train.evaluation.whole_split import Panel

LONGEST = 2048  # pixels of a side; larger images are scaled down
WRONG_COLOR = (255, 0, 200)  # which no usual color of a class is
_STRIPES = (40, 40, 40), (215, 215, 215)  # of ignored pixels
_SHOWN = 230  # opacity of the stripes, of 255


def layers(panel: Panel, colors: np.ndarray) -> dict[str, bytes]:
    """Returns the files of an image by the ends of their names.

    The photograph is opaque; truth and prediction are transparent where the truth is
    ignored, or no class is; wrong and ignored pixels are marks on nothing. An image
    without ignored pixels has no file of them.

    Args:
      panel: the image; a truth of C or more is ignored.
      colors: uint8 [C, 3], the data set's colors.
    """
    image = Image.fromarray(panel.image)
    image.thumbnail((LONGEST, LONGEST))
    truth, prediction = (_at(m, image.size) for m in (panel.truth, panel.prediction))
    ignored = truth >= len(colors)
    wrong = (truth != prediction) & ~ignored
    files = {
        ".jpg": _file(image, "JPEG", quality=90, subsampling=0),
        "_truth.png": _mask(truth, colors),
        "_prediction.png": _mask(prediction, colors),
        "_wrong.png": _marks(wrong.astype(np.uint8), (WRONG_COLOR,), 255),
    }
    if ignored.any():
        files["_ignored.png"] = _marks(
            ignored * _hatch(ignored.shape), _STRIPES, _SHOWN
        )
    return files


def _at(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns a mask at a width and height, by nearest neighbor."""
    picture = Image.fromarray(mask)
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.NEAREST)
    return np.asarray(picture)


def _mask(mask: np.ndarray, colors: np.ndarray) -> bytes:
    opacity = bytes([255] * len(colors) + [0] * (256 - len(colors)))
    return _file(mask_image(mask, colors), "PNG", transparency=opacity)


def _hatch(shape: tuple[int, ...]) -> np.ndarray:
    """Returns 1 and 2 in diagonal stripes, at most a hundred along the longer side."""
    width = max(2, max(shape) // 100)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return ((rows + columns) // width % 2 + 1).astype(np.uint8)


def _marks(
    values: np.ndarray, colors: tuple[tuple[int, int, int], ...], opacity: int
) -> bytes:
    """Returns marks: value 0 is nothing, n the n-th color."""
    picture = Image.fromarray(values)
    picture.putpalette([0, 0, 0, *(channel for color in colors for channel in color)])
    return _file(picture, "PNG", transparency=bytes([0, *(opacity for _ in colors)]))


def _file(picture: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()

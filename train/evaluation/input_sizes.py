"""Sizes of the images to predict, and how far they are padded to have fewer of them.

Each size that the network sees is a program of its own, to compile and to keep.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from train.common.errors import UserError
from train.data.channels import stored_size
from train.data.images import Size, padded_size, rescaled_size, upright_size
from train.evaluation.stages import looked_at
from train.evaluation.views import EvaluationOptions

# Sizes that are taken as they are; of more, images are padded.
MOST_SIZES = 16
_MULTIPLES = (32, 64, 128, 256)  # pixels


def sizes_of(images: Sequence[Path]) -> dict[Path, Size]:
    """Returns height and width of the images, as their files' heads say.

    Those whose head cannot be read are left out: reading them names the cause.
    """
    found = looked_at(_size_of, images, "sizes")
    return {
        image: size
        for image, size in zip(images, found, strict=True)
        if size is not None
    }


def _size_of(path: Path) -> Size | None:
    try:
        return upright_size(path)
    except UserError:  # Pillow opens few kinds of TIFF
        with contextlib.suppress(UserError):
            return stored_size(path)
        return None


def size_at_height(size: Size, height: int) -> Size:
    """Returns the size of an image that is resized to a height; 0 leaves it."""
    return rescaled_size(size, height / size[0]) if height else size


def multiple_for(sizes: Iterable[Size], options: EvaluationOptions) -> int:
    """Returns what to pad images to a multiple of, pixels.

    The options' own for few sizes; for more than `MOST_SIZES`, the least of its
    multiples from 32, 64, 128 and 256 on that leaves no more, or the last. Images
    larger than a window do not count.
    """
    window = options.window
    whole = {
        size
        for size in sizes
        if window == (0, 0) or (size[0] <= window[0] and size[1] <= window[1])
    }
    own = options.size_multiple
    for multiple in (own, *(own * math.ceil(least / own) for least in _MULTIPLES)):
        if padded_sizes(whole, multiple) <= MOST_SIZES:
            break
    return multiple


def padded_sizes(sizes: Iterable[Size], multiple: int) -> int:
    """Returns the number of sizes that are left of images padded to a multiple."""
    return len({padded_size(size, multiple) for size in sizes})

"""How weights for RGB are fitted to images that are normalized by their split."""

from __future__ import annotations

from models.widening import Widening
from train.data.preprocessing import PREPROCESSINGS, SPLIT


def widening_for(preprocessing: str, trained: str) -> Widening | None:
    """Returns how filters of a file's first convolution change, None if they do not.

    What the split has at standard deviation 1, ImageNet has at that of its own levels
    under the preprocessing that the file was trained with.

    Args:
      preprocessing: of the run.
      trained: that of the file.
    """
    if preprocessing != SPLIT:
        return None
    if trained == SPLIT:
        return Widening()
    usual, its = PREPROCESSINGS["imagenet"].std, PREPROCESSINGS[trained]
    red, green, blue = (a / b for a, b in zip(usual, its.std, strict=True))
    return Widening((red, green, blue), its.bgr)
